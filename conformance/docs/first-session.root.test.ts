/** From a clone to a page in a browser, as a first-time user would; the times go into the document with `RECORD=1`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { projectRoot } from '../cache.ts';
import { DocMachine } from './machine.ts';
import { playDocument } from './play-document.ts';

const path = 'docs/first-session.md';
let machine: DocMachine;

beforeAll(async () => {
  machine = await DocMachine.start();
  // Where the reader has cloned it; what install writes goes into the machine's own /usr/local.
  await machine.run(`cd ${projectRoot}`);
}, 120_000);
afterAll(async () => {
  expect(await machine.close()).toEqual([]);
});

test('a reachable web server within two minutes', { timeout: 240_000 }, async () => {
  const played = await playDocument(machine, path);
  const page = played.findIndex(({ command }) => command.startsWith('curl'));
  const seconds = (to: number) => played.slice(0, to).reduce((sum, { tookMs }) => sum + tookMs, 0) / 1000;
  expect(seconds(page + 1)).toBeLessThan(120);
  if (process.env.RECORD === undefined) return;
  const measured = `<!-- measured -->Last measured:\n${seconds(page + 1).toFixed(1)} s from the first command to the page, of which \`make install\` took ${seconds(1).toFixed(1)} s.<!-- end of measured -->`;
  const text = readFileSync(join(projectRoot, path), 'utf8');
  writeFileSync(
    join(projectRoot, path),
    text.replace(/<!-- measured -->[\s\S]*<!-- end of measured -->/, () => measured),
  );
});
