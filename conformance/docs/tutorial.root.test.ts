/** Runs the tutorial as a reader would. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DocMachine } from './machine.ts';
import { playDocument } from './play-document.ts';

let machine: DocMachine;

beforeAll(async () => {
  machine = await DocMachine.start();
  await machine.startDaemon();
}, 120_000);
afterAll(async () => {
  expect(await machine.close()).toEqual([]);
});

test('docs/tutorial.md prints what it says', { timeout: 180_000 }, async () => {
  expect((await playDocument(machine, 'docs/tutorial.md')).length).toBeGreaterThan(40);
});
