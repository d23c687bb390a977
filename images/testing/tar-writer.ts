/** Writes tar archives for tests: proper ones, and those that no honest program would write. */
const blockBytes = 512;

export interface TestEntry {
  readonly name: string | Buffer;
  /** Default 'file', or 'directory' for a name that ends with a slash. */
  readonly type?: 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';
  /** Overrides the letter that `type` stands for. */
  readonly typeFlag?: string;
  readonly content?: Buffer | string;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Written as a PAX header before the entry. */
  readonly pax?: Readonly<Record<string, string | Buffer>> | readonly (readonly [string, string | Buffer])[];
  /** Name and link name as GNU long names. */
  readonly isGnuLong?: boolean;
  /** Changes the header before its checksum is made. */
  readonly patch?: (header: Buffer) => void;
  /** The size that the header claims. */
  readonly claimedSize?: number;
}

const flags = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
} as const;

/** A number as octal digits, or in base 256 where they do not fit or it is negative. */
function writeNumber(header: Buffer, value: number, at: number, length: number): void {
  const octal = value.toString(8);
  if (value >= 0 && octal.length < length) {
    header.write(octal.padStart(length - 1, '0'), at, 'latin1');
    return;
  }
  let rest = BigInt.asUintN(length * 8, BigInt(value));
  for (let index = at + length - 1; index >= at; index -= 1) {
    header[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  if (value >= 0) header[at]! |= 0x80;
}

function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((blockBytes - (content.length % blockBytes)) % blockBytes)]);
}

/** The PAX records of `pax`, each with its own length in front. */
export function paxRecords(pax: NonNullable<TestEntry['pax']>): Buffer {
  const pairs = Array.isArray(pax) ? pax : Object.entries(pax);
  const parts = (pairs as readonly (readonly [string, string | Buffer])[]).map(([key, value]) => {
    const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as string), Buffer.from('\n')]);
    let length = body.length + 1;
    while (String(length).length + body.length !== length) length = String(length).length + body.length;
    return Buffer.concat([Buffer.from(String(length)), body]);
  });
  return Buffer.concat(parts);
}

function header(entry: TestEntry, typeFlag: string, size: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  Buffer.from(entry.name as string).copy(block, 0, 0, 100);
  writeNumber(block, entry.mode ?? (typeFlag === '5' ? 0o755 : 0o644), 100, 8);
  writeNumber(block, entry.uid ?? 0, 108, 8);
  writeNumber(block, entry.gid ?? 0, 116, 8);
  writeNumber(block, entry.claimedSize ?? size, 124, 12);
  writeNumber(block, entry.mtime ?? 1_700_000_000, 136, 12);
  block.write(typeFlag, 156, 'latin1');
  Buffer.from(entry.link ?? '').copy(block, 157, 0, 100);
  block.write('ustar\x0000', 257, 'latin1');
  writeNumber(block, entry.major ?? 0, 329, 8);
  writeNumber(block, entry.minor ?? 0, 337, 8);
  entry.patch?.(block);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** One entry without the end of the archive. */
export function tarEntry(entry: TestEntry): Buffer {
  const parts: Buffer[] = [];
  const meta = (typeFlag: string, content: Buffer) =>
    parts.push(header({ name: '././@LongLink' }, typeFlag, content.length), padded(content));
  if (entry.pax) meta('x', paxRecords(entry.pax));
  if (entry.isGnuLong) {
    meta('L', Buffer.concat([Buffer.from(entry.name as string), Buffer.alloc(1)]));
    if (entry.link) meta('K', Buffer.from(`${entry.link}\0`));
  }
  const isDirectory = entry.name.toString().endsWith('/');
  const type = entry.type ?? (isDirectory ? 'directory' : 'file');
  const content = Buffer.from((entry.content ?? '') as string);
  parts.push(header(entry, entry.typeFlag ?? flags[type], content.length), padded(content));
  return Buffer.concat(parts);
}

/** A whole archive. */
export function tar(entries: readonly TestEntry[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(2 * blockBytes)]);
}
