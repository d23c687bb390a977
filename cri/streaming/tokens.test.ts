import { expect, test } from 'vitest';
import { isRuntimeError } from '#base/errors.ts';
import { TokenStore } from './tokens.ts';

const any = (request: string): request is string => request !== '';

test('a token is 22 base64url characters and works once', () => {
  const tokens = new TokenStore<string>();
  const token = tokens.add('a');
  expect(token).toMatch(/^[A-Za-z0-9_-]{22}$/);
  expect(tokens.take(token, any)).toBe('a');
  expect(tokens.take(token, any)).toBeUndefined();
});

test('tokens share nothing that one could be guessed from', () => {
  const tokens = new TokenStore<string>({ maxPending: 4096 });
  const all = Array.from({ length: 4096 }, () => Buffer.from(tokens.add('x'), 'base64url'));
  expect(new Set(all.map((token) => token.toString('hex'))).size).toBe(4096);
  // Every bit is set in about half of them: 4096 throws of a coin stray by more than 320 once in 10^22.
  for (let bit = 0; bit < 128; bit += 1) {
    const set = all.filter((token) => (token[bit >> 3]! >> (bit & 7)) & 1).length;
    expect(Math.abs(set - 2048)).toBeLessThan(320);
  }
});

test('a token asked for under another verb stays usable', () => {
  const tokens = new TokenStore<string>();
  const token = tokens.add('exec');
  expect(tokens.take(token, (request): request is 'attach' => request === 'attach')).toBeUndefined();
  expect(tokens.take(token, any)).toBe('exec');
});

test('a token expires after its life', () => {
  let nowMs = 0;
  const tokens = new TokenStore<string>({ nowMs: () => nowMs });
  const early = tokens.add('early');
  nowMs = 59_999;
  const late = tokens.add('late');
  expect(tokens.take(early, any)).toBe('early');
  nowMs = 119_999;
  expect(tokens.take(late, any)).toBeUndefined();
});

test('too many waiting tokens are ResourceExhausted until some expire', () => {
  let nowMs = 0;
  const tokens = new TokenStore<string>({ nowMs: () => nowMs });
  for (let i = 0; i < 1000; i++) tokens.add('x');
  expect(() => tokens.add('x')).toThrow(
    expect.toSatisfy((error) => isRuntimeError(error, 'ResourceExhausted')),
  );
  nowMs = 60_000;
  expect(tokens.take(tokens.add('y'), any)).toBe('y');
});
