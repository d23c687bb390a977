/**
 * What comes out of a container as a tar archive, less what a container must not put on this machine: whoever made the files
 * there is not trusted here, and root here unpacks them as its own.
 */
const blockBytes = 512;
/** Names and records of an entry; real ones are a few kilobytes. */
const metaLimitBytes = 1 << 20;
const devices = new Map([
  ['3', 'a character device'],
  ['4', 'a block device'],
]);
const setIdBits = 0o6000;

export interface ArchiveFilterOptions {
  /** Leaves FIFOs and the setuid and setgid bits; devices never. */
  readonly keepsAll: boolean;
  /** Told of each entry that is left out, such as `a FIFO` and its name. */
  readonly onSkipped: (what: string, name: string) => void;
}

/** Passes on a tar archive (ustar, pax and GNU names; no sparse maps) by pieces. Holds no more than an entry's headers. */
export class ArchiveFilter {
  readonly #options: ArchiveFilterOptions;
  #header = Buffer.alloc(0);
  /** Long names and records, with their headers, of the entry that comes next. */
  #before: Buffer[] = [];
  #beforeBytes = 0;
  #longName: string | undefined;
  #longSize: number | undefined;
  #body: { readonly kind: 'passed' | 'meta'; readonly flag: string; remaining: number } | undefined;
  #meta: Buffer[] = [];

  constructor(options: ArchiveFilterOptions) {
    this.#options = options;
  }

  /** The next piece of the archive, as it is to be unpacked. Throws RangeError for what no entry of ours is. */
  filter(piece: Buffer): Buffer {
    const out: Buffer[] = [];
    for (let at = 0; at < piece.length; ) {
      const body = this.#body;
      if (body) {
        const part = piece.subarray(at, at + body.remaining);
        at += part.length;
        body.remaining -= part.length;
        if (body.kind === 'passed') out.push(part);
        if (body.kind === 'meta') this.#meta.push(Buffer.from(part));
        if (body.remaining === 0) this.#endBody(body.flag);
        continue;
      }
      const part = piece.subarray(at, at + blockBytes - this.#header.length);
      at += part.length;
      this.#header = Buffer.concat([this.#header, part]);
      if (this.#header.length === blockBytes) out.push(...this.#takeHeader());
    }
    return Buffer.concat(out);
  }

  #takeHeader(): Buffer[] {
    const header = this.#header;
    this.#header = Buffer.alloc(0);
    if (header.every((byte) => byte === 0)) return [header];
    const flag = String.fromCharCode(header[156]!);
    const ownSize = numberOf(header.subarray(124, 136));
    if ('xLK'.includes(flag)) {
      this.#beforeBytes += blockBytes + ownSize;
      if (this.#beforeBytes > metaLimitBytes) throw new RangeError('the archive has a name that is too long');
      this.#before.push(header);
      this.#beginBody('meta', flag, ownSize);
      return [];
    }
    const name = this.#longName ?? textOf(header.subarray(0, 100));
    const before = this.#before;
    const size = /[1-6]/.test(flag) ? 0 : (this.#longSize ?? ownSize);
    this.#before = [];
    this.#beforeBytes = 0;
    this.#longName = undefined;
    this.#longSize = undefined;
    const { keepsAll, onSkipped } = this.#options;
    // tar writes hard links as such of files only: none leads to what is left out.
    const skipped = devices.get(flag) ?? (flag === '6' && !keepsAll ? 'a FIFO' : undefined);
    if (skipped !== undefined) {
      onSkipped(skipped, name);
      return [];
    }
    if (!keepsAll) withoutSetId(header);
    this.#beginBody('passed', flag, size);
    return [...before, header];
  }

  #beginBody(kind: 'passed' | 'meta', flag: string, sizeBytes: number): void {
    const remaining = Math.ceil(sizeBytes / blockBytes) * blockBytes;
    this.#body = remaining === 0 ? undefined : { kind, flag, remaining };
  }

  #endBody(flag: string): void {
    const wasMeta = this.#body?.kind === 'meta';
    this.#body = undefined;
    if (!wasMeta) return;
    const content = Buffer.concat(this.#meta);
    this.#meta = [];
    this.#before.push(content);
    if (flag === 'L') this.#longName = textOf(content);
    if (flag === 'x') this.#takeRecords(content);
  }

  /** `LENGTH KEY=VALUE\n`, one after the other (pax(1)). */
  #takeRecords(content: Buffer): void {
    for (let at = 0; at < content.length && content[at] !== 0; ) {
      const space = content.indexOf(0x20, at);
      const length = Number(content.toString('latin1', at, space));
      if (space < 0 || !Number.isInteger(length) || length < 1)
        throw new RangeError('the archive has a record that is damaged');
      const record = content.toString('utf8', space + 1, at + length - 1);
      if (record.startsWith('size=')) this.#longSize = Number(record.slice('size='.length));
      if (record.startsWith('path=')) this.#longName = record.slice('path='.length);
      at += length;
    }
  }
}

/** Octal digits, or with the first bit set a binary number, as GNU tar writes what is too large for them. */
function numberOf(field: Buffer): number {
  if ((field[0]! & 0x80) === 0) return Number.parseInt(textOf(field).trim() || '0', 8);
  return Number(field.readBigUInt64BE(field.length - 8));
}

function textOf(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? field.length : end);
}

function withoutSetId(header: Buffer): void {
  const mode = numberOf(header.subarray(100, 108));
  if ((mode & setIdBits) === 0) return;
  header.write(`${(mode & ~setIdBits).toString(8).padStart(7, '0')}\0`, 100, 'latin1');
  header.fill(0x20, 148, 156);
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
