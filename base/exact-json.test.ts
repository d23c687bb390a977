import { expect, it } from 'vitest';
import { exactNumber, parseExactly } from './exact-json.ts';

it('keeps whole numbers of any size', () => {
  const text = '{"hard":18446744073709551615,"soft":1024,"share":0.5,"name":"18446744073709551615"}';
  expect(JSON.stringify(parseExactly(text))).toBe(text);
  expect(JSON.stringify({ hard: exactNumber(2n ** 64n - 1n), soft: exactNumber(-1n) })).toBe(
    '{"hard":18446744073709551615,"soft":-1}',
  );
  expect(exactNumber(7n)).toBe(7);
});
