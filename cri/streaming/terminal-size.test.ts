import { expect, test } from 'vitest';
import { ResizeDecoder } from './terminal-size.ts';

test('decodes sizes with and without newlines, cut anywhere', () => {
  const decoder = new ResizeDecoder();
  const text = '{"Width":80,"Height":24}\n{"width":1,"HEIGHT":65535}{"Width":3}';
  const sizes = [...text].flatMap((character) => decoder.push(Buffer.from(character)));
  expect(sizes).toEqual([
    { width: 80, height: 24 },
    { width: 1, height: 65535 },
    { width: 3, height: 0 },
  ]);
});

test.each([
  '{"Width":65536,"Height":1}',
  '{"Width":-1}',
  '{"Width":1.5}',
  '{"Width":"80"}',
  'nonsense}',
  `{${'x'.repeat(2000)}`,
])('after %.20s the channel is dead', (bad) => {
  const decoder = new ResizeDecoder();
  expect(decoder.push(Buffer.from(`{"Width":1,"Height":1}${bad}`))).toEqual([{ width: 1, height: 1 }]);
  expect(decoder.push(Buffer.from('{"Width":2,"Height":2}'))).toEqual([]);
});
