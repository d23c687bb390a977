import { createHash, randomBytes } from 'node:crypto';
import { constants, createDeflate, createInflate } from 'node:zlib';
import { expect, test } from 'vitest';
import { ProtocolError } from './protocol-error.ts';
import { SpdyHeaderDecoder, SpdyHeaderEncoder, spdyDictionary } from './spdy-headers.ts';
import { adler32, Inflater } from './spdy-inflate.ts';
import { headerBlock } from './testing/spdy-client.ts';

/** Blocks of one zlib stream, each flushed, as a client with a connection-long context sends them. */
async function deflateBlocks(blocks: readonly Buffer[], options: { level?: number; strategy?: number } = {}) {
  const deflate = createDeflate({ dictionary: spdyDictionary, level: 9, ...options });
  const out: Buffer[] = [];
  for (const block of blocks) {
    const pieces: Buffer[] = [];
    const collect = (chunk: Buffer) => pieces.push(chunk);
    deflate.on('data', collect);
    deflate.write(block);
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve));
    deflate.off('data', collect);
    out.push(Buffer.concat(pieces));
  }
  deflate.close();
  return out;
}

test('the dictionary is the one of SPDY/3', () => {
  expect(spdyDictionary).toHaveLength(1423);
  expect(adler32(spdyDictionary)).toBe(0xe3c6a7c2);
  expect(createHash('sha256').update(spdyDictionary).digest('hex')).toBe(
    '51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02',
  );
});

test.each([
  ['dynamic', {}],
  ['fixed', { strategy: constants.Z_FIXED }],
  ['huffman only', { strategy: constants.Z_HUFFMAN_ONLY }],
  ['stored', { level: 0 }],
])('reads zlib blocks of one context: %s', async (_name, options) => {
  const plain = [
    Buffer.from('streamtype stdin content-length'),
    Buffer.alloc(0),
    Buffer.alloc(40_000, 'abcdefghij'),
    randomBytes(30_000),
    Buffer.from(randomBytes(10_000).toString('hex')),
    Buffer.from('streamtype stdout content-length'),
  ];
  const inflater = new Inflater(spdyDictionary);
  for (const [index, block] of (await deflateBlocks(plain, options)).entries()) {
    expect(Buffer.compare(inflater.block(block, 64 * 1024), plain[index]!)).toBe(0);
  }
});

test('decodes headers and takes the first of a list of values', async () => {
  const decoder = new SpdyHeaderDecoder();
  const [first, second] = await deflateBlocks([
    headerBlock({ streamtype: 'error', port: '80' }),
    headerBlock({ streamtype: 'data\0other', port: '80', requestid: '7' }),
  ]);
  expect([...decoder.decode(first!)]).toEqual([
    ['streamtype', 'error'],
    ['port', '80'],
  ]);
  expect(decoder.decode(second!).get('streamtype')).toBe('data');
});

test('zlib reads what the encoder writes, in one context', async () => {
  const encoder = new SpdyHeaderEncoder();
  const inflate = createInflate({ dictionary: spdyDictionary });
  const out: Buffer[] = [];
  inflate.on('data', (chunk: Buffer) => out.push(chunk));
  for (const headers of [[], [['streamtype', 'stdout']], []] as [string, string][][]) {
    inflate.write(encoder.encode(headers));
  }
  await new Promise<void>((resolve) => inflate.flush(resolve));
  inflate.close();
  expect(Buffer.concat(out)).toEqual(
    Buffer.concat([headerBlock({}), headerBlock({ streamtype: 'stdout' }), headerBlock({})]),
  );
});

test.each([
  ['an upper-case name', headerBlock({ StreamType: 'x' })],
  ['an empty name', headerBlock({ '': 'x' })],
  [
    'a name twice',
    Buffer.concat([Buffer.from([0, 0, 0, 2]), headerBlock({ a: 'b', c: 'd' }).subarray(4, 14)]),
  ],
  ['a count beyond the bytes', Buffer.from([0, 0, 0, 9])],
  ['a million headers', Buffer.from([0, 15, 66, 64])],
  ['a length beyond the bytes', Buffer.from([0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 1])],
  ['bytes left over', Buffer.concat([headerBlock({}), Buffer.from('x')])],
  ['70 kB of it', headerBlock({ a: 'b'.repeat(70_000) })],
])('refuses a block with %s', async (_name, plain) => {
  const [block] = await deflateBlocks([plain]);
  expect(() => new SpdyHeaderDecoder().decode(block!)).toThrow(ProtocolError);
});

test('damaged blocks are protocol errors, whatever the damage', async () => {
  const [block] = await deflateBlocks([Buffer.from(randomBytes(200).toString('hex').repeat(3))]);
  for (let round = 0; round < 3000; round++) {
    const damaged = Buffer.from(block!.subarray(0, 1 + Math.floor(Math.random() * block!.length)));
    for (let i = 0; i < 3; i++) damaged[Math.floor(Math.random() * damaged.length)] = Math.random() * 256;
    try {
      new Inflater(spdyDictionary).block(damaged, 4096);
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
    }
  }
});
