import { describe, expect, it } from 'vitest';
import { type TestEntry, tar, tarEntry } from '../testing/tar-writer.ts';
import type { TarEntry } from './tar-header.ts';
import { TarParser } from './tar-parser.ts';

interface Parsed extends TarEntry {
  content: Buffer;
}

/** Parses in pieces of `step` bytes; the content of a sparse file has its holes filled. */
function parse(archive: Buffer, step = archive.length): Parsed[] {
  const entries: Parsed[] = [];
  const parser = new TarParser({
    begin: (entry) => entries.push({ ...entry, content: Buffer.alloc(Math.min(entry.sizeBytes, 1 << 20)) }),
    data: (chunk, position) => chunk.copy(entries.at(-1)!.content, position),
    end: () => {},
  });
  for (let at = 0; at < archive.length; at += step) parser.write(archive.subarray(at, at + step));
  parser.end();
  return entries;
}

const sparseBlock = (patch: (block: Buffer) => void) => {
  const block = Buffer.alloc(512);
  patch(block);
  return block;
};
const octal = (block: Buffer, value: number, at: number) =>
  block.write(value.toString(8).padStart(11, '0'), at, 'latin1');

describe('the tar parser', () => {
  it('gives the same whatever the pieces', () => {
    const archive = tar([
      { name: 'a/' },
      { name: 'a/f', content: 'x'.repeat(1300), mode: 0o4755, uid: 3_000_000, gid: 5 },
      { name: 'l', type: 'symlink', link: 'a/f' },
      { name: 'd', type: 'char', major: 4, minor: 300 },
    ]);
    const whole = parse(archive);
    expect(whole.map(({ name, type }) => `${type} ${name}`)).toEqual([
      'directory a/',
      'file a/f',
      'symlink l',
      'char d',
    ]);
    expect(whole[1]).toMatchObject({ mode: 0o4755, uid: 3_000_000, gid: 5 });
    expect(whole[3]).toMatchObject({ devMajor: 4, devMinor: 300 });
    for (const step of [1, 7, 511, 513]) expect(parse(archive, step)).toEqual(whole);
  });

  it('reads long names, GNU and PAX, and those that are no UTF-8', () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(200)}`;
    const raw = Buffer.from([0x66, 0xff, 0xfe]);
    const [gnu, pax, bytes] = parse(
      tar([
        { name: long, isGnuLong: true, type: 'symlink', link: long },
        { name: 'short', pax: { path: long, linkpath: 'ü', size: '3' }, content: 'abc' },
        { name: raw },
      ]),
    );
    expect(gnu).toMatchObject({ name: long, linkName: long });
    expect(pax).toMatchObject({
      name: long,
      linkName: Buffer.from('ü').toString('latin1'),
      content: Buffer.from('abc'),
    });
    expect(Buffer.from(bytes!.name, 'latin1')).toEqual(raw);
  });

  it('reads times before the epoch and to the nanosecond, and large owners', () => {
    const times = (entry: Partial<TestEntry>) => parse(tar([{ name: 'f', ...entry }]))[0]!;
    expect(times({ mtime: -3 }).modified).toEqual({ seconds: -3, nanoseconds: 0 });
    expect(times({ pax: { mtime: '-1.25' } }).modified).toEqual({ seconds: -2, nanoseconds: 750_000_000 });
    expect(times({ pax: { mtime: '1700000000.123456789123' } }).modified.nanoseconds).toBe(123_456_789);
    expect(times({ pax: { uid: '4294967294' } }).uid).toBe(4_294_967_294);
    expect(times({ uid: 4_000_000_000 }).uid).toBe(4_000_000_000);
  });

  it('keeps attributes byte by byte', () => {
    const value = Buffer.from([1, 0, 0, 2, 0x0a, 0xff]);
    const [file] = parse(tar([{ name: 'f', pax: { 'SCHILY.xattr.security.capability': value } }]));
    expect(file!.xattrs.get('security.capability')).toEqual(value);
  });

  it('reads sparse files of all formats', () => {
    const expected = Buffer.concat([
      Buffer.alloc(1000),
      Buffer.from('abc'),
      Buffer.alloc(997),
      Buffer.from('de'),
      Buffer.alloc(98),
    ]);
    const map = [
      [1000, 3],
      [2000, 2],
      [2100, 0],
    ] as const;
    const old = tarEntry({
      name: 'old',
      typeFlag: 'S',
      content: 'abcde',
      patch: (block) => {
        block.write('ustar  \0', 257, 'latin1');
        map.forEach(([offset, length], index) => {
          octal(block, offset, 386 + index * 24);
          octal(block, length, 398 + index * 24);
        });
        octal(block, 2100, 483);
      },
    });
    const extended = Buffer.concat([
      tarEntry({
        name: 'extended',
        typeFlag: 'S',
        claimedSize: 5,
        patch: (block) => {
          block.write('ustar  \0', 257, 'latin1');
          for (let index = 0; index < 4; index += 1) {
            octal(block, 1000 + (index === 0 ? 0 : 2 + index), 386 + index * 24);
            octal(block, index === 0 ? 3 : 0, 398 + index * 24);
          }
          block[482] = 1;
          octal(block, 2100, 483);
        },
      }),
      sparseBlock((block) => {
        octal(block, 2000, 0);
        octal(block, 2, 12);
      }),
      Buffer.concat([Buffer.from('abcde')], 512),
    ]);
    const repeated = map.flatMap(([offset, length]) => [
      ['GNU.sparse.offset', String(offset)] as const,
      ['GNU.sparse.numbytes', String(length)] as const,
    ]);
    const text = `3\n${map.flat().join('\n')}\n`;
    const entries = parse(
      Buffer.concat([
        old,
        extended,
        tarEntry({
          name: 'x',
          content: 'abcde',
          pax: [['GNU.sparse.size', '2100'], ['GNU.sparse.name', '0.0'], ...repeated],
        }),
        tarEntry({
          name: 'x',
          content: 'abcde',
          pax: {
            'GNU.sparse.size': '2100',
            'GNU.sparse.map': map.flat().join(','),
            'GNU.sparse.name': '0.1',
          },
        }),
        tarEntry({
          name: 'x',
          content: Buffer.concat([Buffer.concat([Buffer.from(text)], 512), Buffer.from('abcde')]),
          pax: {
            'GNU.sparse.major': '1',
            'GNU.sparse.minor': '0',
            'GNU.sparse.realsize': '2100',
            'GNU.sparse.name': '1.0',
          },
        }),
        tarEntry({ name: 'after', content: 'z' }),
      ]),
      100,
    );
    expect(entries.map(({ name }) => name)).toEqual(['old', 'extended', '0.0', '0.1', '1.0', 'after']);
    for (const entry of entries.slice(0, 5))
      expect([entry.name, entry.content.equals(expected)]).toEqual([entry.name, true]);
  });

  it('passes over global headers and whatever follows the end', () => {
    const archive = Buffer.concat([
      tarEntry({ name: 'pax_global_header', typeFlag: 'g', content: '19 comment=abcdefg\n' }),
      tar([{ name: 'f' }]),
      Buffer.from('garbage'),
    ]);
    expect(parse(archive).map(({ name }) => name)).toEqual(['f']);
  });

  it.each([
    ['a wrong checksum', Buffer.concat([Buffer.alloc(512, 'x'), Buffer.alloc(1024)]), /checksum/],
    ['an unknown type', tar([{ name: 'f', typeFlag: 'Z' }]), /unknown type "Z"/],
    ['an end inside a file', tar([{ name: 'f', claimedSize: 5000 }]), /ends in the middle/],
    [
      'a huge PAX header',
      tar([{ name: 'p', typeFlag: 'x', claimedSize: 1 << 30 }]),
      /extended header of 1073741824 bytes/,
    ],
    ['a malformed PAX header', tar([{ name: 'p', typeFlag: 'x', content: '99 a=b\n' }]), /malformed/],
    ['a zero in a name', tar([{ name: 'f', pax: { path: 'a\0b' } }]), /zero byte/],
    ['an owner that means "no change"', tar([{ name: 'f', uid: 2 ** 32 - 1 }]), /is no id/],
    ['a group below zero', tar([{ name: 'f', gid: -1 }]), /is no id/],
    ['an owner that no file can have', tar([{ name: 'f', pax: { uid: '1099511627776' } }]), /is no id/],
    ['a negative size', tar([{ name: 'f', claimedSize: -1 }]), /negative size/],
    [
      'a sparse map that overlaps',
      tar([{ name: 'f', content: 'abcd', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '0,2,1,2' } }]),
      /does not fit/,
    ],
    [
      'a sparse map beyond the end',
      tar([{ name: 'f', content: 'ab', pax: { 'GNU.sparse.size': '9', 'GNU.sparse.map': '8,2' } }]),
      /does not fit/,
    ],
    [
      'an endless sparse map',
      tar([{ name: 'f', content: Buffer.alloc(1024, '9'), pax: { 'GNU.sparse.major': '1' } }]),
      /sparse map/,
    ],
  ])('refuses %s', (_what, archive, text) => {
    expect(() => parse(archive)).toThrow(text);
  });
});
