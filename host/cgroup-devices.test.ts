import { expect, it } from 'vitest';
import { parseBlkio, parseIoStat } from './cgroup-devices.ts';

it('reads io.stat of version 2, also lines without figures', () => {
  expect(
    parseIoStat('254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n7:1 \n8:0 rbytes=5 rios=1\n'),
  ).toEqual([
    {
      major: '254',
      minor: '0',
      bytes: { Read: 4096n, Write: 8192n, Discard: 0n },
      requests: { Read: 1n, Write: 2n, Discard: 0n },
    },
    {
      major: '8',
      minor: '0',
      bytes: { Read: 5n, Write: 0n, Discard: 0n },
      requests: { Read: 1n, Write: 0n, Discard: 0n },
    },
  ]);
});

it('reads the two files of version 1 and leaves their totals out', () => {
  const bytes =
    '254:0 Read 1048576\n254:0 Write 0\n254:0 Sync 1048576\n254:0 Async 0\n254:0 Total 1048576\nTotal 1048576\n';
  expect(parseBlkio(bytes, '254:0 Read 12\nTotal 12\n')).toEqual([
    {
      major: '254',
      minor: '0',
      bytes: { Read: 1048576n, Write: 0n, Discard: 0n },
      requests: { Read: 12n, Write: 0n, Discard: 0n },
    },
  ]);
  expect(parseBlkio('Total 0\n', '')).toEqual([]);
});
