/**
 * Headers of tar archives as image layers have them: ustar, with PAX records for what does not fit (pax(1)). The same entry
 * gives the same bytes, always. Strings are bytes as latin1.
 */
import { blockBytes, type EntryType, type TarEntry } from '../unpack/tar-header.ts';

const flags: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

const longestName = 100;
const largestSize = 0o77777777777;
const largestId = 0o7777777;

/** Whether a field of the header can hold it: short, and bytes that every reader takes alike. */
function fits(text: string): boolean {
  return text.length <= longestName && /^[\x01-\x7e]*$/.test(text);
}

function record(key: string, value: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

function octal(block: Buffer, value: number, at: number, length: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1');
}

function headerBlock(
  fields: Omit<TarEntry, 'type' | 'xattrs' | 'modified'> & { readonly seconds: number },
  flag: string,
): Buffer {
  const block = Buffer.alloc(blockBytes);
  block.write(fields.name.slice(0, longestName), 0, 'latin1');
  octal(block, fields.mode, 100, 8);
  octal(block, fields.uid > largestId ? 0 : fields.uid, 108, 8);
  octal(block, fields.gid > largestId ? 0 : fields.gid, 116, 8);
  octal(block, fields.sizeBytes > largestSize ? 0 : fields.sizeBytes, 124, 12);
  octal(block, fields.seconds < 0 || fields.seconds > largestSize ? 0 : fields.seconds, 136, 12);
  block.write(flag, 156, 'latin1');
  block.write(fields.linkName.slice(0, longestName), 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(block, fields.devMajor, 329, 8);
  octal(block, fields.devMinor, 337, 8);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Zeros that fill the last block of `sizeBytes` of data. */
export function padding(sizeBytes: number): Buffer {
  return Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes);
}

/** What ends an archive. */
export const archiveEnd: Buffer = Buffer.alloc(2 * blockBytes);

/** The header of an entry; a file's data and its padding follow. */
export function encodeHeader(entry: TarEntry): Buffer {
  const isFile = entry.type === 'file';
  const sizeBytes = isFile ? entry.sizeBytes : 0;
  const { seconds, nanoseconds } = entry.modified;
  const records: Buffer[] = [];
  const note = (key: string, value: string) => records.push(record(key, Buffer.from(value, 'latin1')));
  if (!fits(entry.name)) note('path', entry.name);
  if (!fits(entry.linkName)) note('linkpath', entry.linkName);
  if (sizeBytes > largestSize) note('size', String(sizeBytes));
  if (entry.uid > largestId) note('uid', String(entry.uid));
  if (entry.gid > largestId) note('gid', String(entry.gid));
  if (nanoseconds !== 0 || seconds < 0 || seconds > largestSize) note('mtime', decimalTime(entry.modified));
  for (const [name, value] of [...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1)))
    records.push(record(`SCHILY.xattr.${name}`, value));
  const own = headerBlock({ ...entry, sizeBytes, seconds }, flags[entry.type]);
  if (records.length === 0) return own;
  const content = Buffer.concat(records);
  const extended = headerBlock(
    {
      name: `PaxHeaders.0/${entry.name.replace(/\/$/, '').split('/').at(-1) ?? ''}`.replaceAll(
        /[^\x20-\x7e]/g,
        '_',
      ),
      linkName: '',
      mode: 0o644,
      uid: 0,
      gid: 0,
      sizeBytes: content.length,
      devMajor: 0,
      devMinor: 0,
      seconds: 0,
    },
    'x',
  );
  return Buffer.concat([extended, content, padding(content.length), own]);
}

/** Seconds with their fraction, also before the epoch. */
function decimalTime({ seconds, nanoseconds }: TarEntry['modified']): string {
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
  const magnitude = total < 0n ? -total : total;
  const fraction = (magnitude % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  const whole = `${total < 0n ? '-' : ''}${magnitude / 1_000_000_000n}`;
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** A plain file's header, for archives that hold images. */
export function plainFile(name: string, sizeBytes: number): Buffer {
  return encodeHeader({
    name,
    type: 'file',
    linkName: '',
    mode: 0o644,
    uid: 0,
    gid: 0,
    sizeBytes,
    modified: { seconds: 0, nanoseconds: 0 },
    devMajor: 0,
    devMinor: 0,
    xattrs: new Map(),
  });
}
