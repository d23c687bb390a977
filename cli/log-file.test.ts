import { appendFileSync, mkdtempSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { findTail, parseLogLine, readLog } from './log-file.ts';

const dir = mkdtempSync(join(tmpdir(), 'berth-log-'));
afterAll(() => rmSync(dir, { recursive: true }));

const line = (text: string, tag = 'F', stream = 'stdout') =>
  `2026-01-01T00:00:00.000000001Z ${stream} ${tag} ${text}\n`;

test('lines hold any bytes; what is none is passed over', () => {
  expect(parseLogLine(Buffer.from(line('a b ').trimEnd()))).toMatchObject({
    stream: 'stdout',
    isWhole: true,
  });
  expect(parseLogLine(Buffer.from('2026 stderr P a  b'))).toEqual({
    time: '2026',
    stream: 'stderr',
    text: Buffer.from('a  b'),
    isWhole: false,
  });
  expect(parseLogLine(Buffer.from('2026 stdout F'))?.text).toHaveLength(0);
  expect(parseLogLine(Buffer.from('nonsense'))).toBeUndefined();
});

test('the tail counts whole lines, however many pieces they are in', () => {
  const path = join(dir, 'tail');
  const texts = [line('one'), line('long-', 'P'), line('long-', 'P'), line('end'), line('three')];
  writeFileSync(path, texts.join(''));
  const fd = openSync(path, 'r');
  const size = Buffer.byteLength(texts.join(''));
  const from = (count: number) => texts.join('').slice(findTail(fd, size, count));
  expect(from(0)).toBe('');
  expect(from(1)).toBe(texts[4]);
  expect(from(2)).toBe(texts.slice(1).join(''));
  expect(from(3)).toBe(texts.join(''));
  expect(from(9)).toBe(texts.join(''));
});

test('following sees what is appended, and goes over to the next file after a rotation', async () => {
  const path = join(dir, 'followed');
  writeFileSync(path, line('first'));
  const ended = Promise.withResolvers<void>();
  const seen: string[] = [];
  const { signal } = new AbortController();
  for await (const { text } of readLog({
    path,
    tail: undefined,
    follow: true,
    ended: ended.promise,
    signal,
  })) {
    seen.push(text.toString());
    if (seen.length === 1) appendFileSync(path, line('second'));
    if (seen.length === 2) {
      renameSync(path, `${path}.1`);
      writeFileSync(path, line('third'));
    }
    if (seen.length === 3) ended.resolve();
  }
  expect(seen).toEqual(['first', 'second', 'third']);
});
