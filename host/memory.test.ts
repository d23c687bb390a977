import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { releaseMemory } from './memory.ts';

function residentKb(): number {
  return Number(/^Rss:\s+(\d+)/m.exec(readFileSync('/proc/self/smaps_rollup', 'latin1'))![1]);
}

test('the process goes on with less memory', () => {
  const before = residentKb();
  releaseMemory();
  expect(residentKb()).toBeLessThan(before - 5000);
  expect(JSON.parse('{"a":[1,2,3]}')).toEqual({ a: [1, 2, 3] });
});
