/**
 * A tar archive as a stream: bytes go in by `write`, entries and their data come out at the sink, all synchronously. Holds
 * at most one header and one extended header in memory, whatever the archive's size.
 */
import {
  badLayer,
  blockBytes,
  decimal,
  type EntryType,
  numberField,
  parseHeader,
  parsePax,
  paxTime,
  type RawHeader,
  type Segment,
  shown,
  type TarEntry,
} from './tar-header.ts';

export interface TarSink {
  /** A new entry. Its data follows, if it has any, then `end`. */
  begin(entry: TarEntry): void;
  /** Data of the current entry at `position` in the file. The chunk is only valid during the call. */
  data(chunk: Buffer, position: number): void;
  end(): void;
}

const typesByFlag: Readonly<Record<string, EntryType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

/** Long names and PAX records larger than this are refused; real ones are a few kilobytes. */
const metaLimitBytes = 1 << 20;
const mostSegments = 1 << 20;
const highestId = 2 ** 32 - 2;

type State =
  | { readonly type: 'header' }
  /** An extended header (x, g, L, K) whose content is collected. */
  | { readonly type: 'meta'; readonly flag: string; readonly content: Buffer; filled: number }
  /** A further block of an old GNU sparse map. */
  | { readonly type: 'sparseBlock'; readonly header: RawHeader; readonly segments: Segment[] }
  /** The map at the head of a PAX 1.0 sparse file's data. */
  | { readonly type: 'sparseText'; readonly entry: TarEntry; remaining: number; text: string; lines: number }
  | { readonly type: 'data' }
  | { readonly type: 'padding'; remaining: number; readonly next: 'header' }
  | { readonly type: 'ended' };

const header: State = { type: 'header' };

export class TarParser {
  readonly #sink: TarSink;
  readonly #block = Buffer.alloc(blockBytes);
  #blockFilled = 0;
  #state: State = header;
  #sawZeroBlock = false;
  #longName: string | undefined;
  #longLink: string | undefined;
  #pax: { records: Map<string, string>; sparse: Segment[] } | undefined;
  // The data of the current entry: bytes left in the archive, padding after them, and where they go.
  #remaining = 0;
  #padding = 0;
  #segments: readonly Segment[] = [];
  #segment = 0;
  #inSegment = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** Takes the next bytes. Throws Unknown for a damaged archive, and whatever the sink throws; the parser is of no use after. */
  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const state = this.#state;
      switch (state.type) {
        case 'data':
          at += this.#takeData(chunk, at);
          break;
        case 'padding': {
          const taken = Math.min(state.remaining, chunk.length - at);
          state.remaining -= taken;
          at += taken;
          if (state.remaining === 0) this.#state = header;
          break;
        }
        case 'meta': {
          const taken = Math.min(state.content.length - state.filled, chunk.length - at);
          chunk.copy(state.content, state.filled, at, at + taken);
          state.filled += taken;
          at += taken;
          if (state.filled === state.content.length) this.#takeMeta(state.flag, state.content);
          break;
        }
        case 'ended':
          // Whatever follows the end is part of the layer's digest, not of its content.
          return;
        default: {
          const taken = Math.min(blockBytes - this.#blockFilled, chunk.length - at);
          chunk.copy(this.#block, this.#blockFilled, at, at + taken);
          this.#blockFilled += taken;
          at += taken;
          if (this.#blockFilled < blockBytes) return;
          this.#blockFilled = 0;
          this.#takeBlock(state);
        }
      }
    }
  }

  /** Says that no more bytes come. Throws Unknown if the archive stops in the middle of something. */
  end(): void {
    const isBetween = this.#state.type === 'header' && this.#blockFilled === 0;
    const isPadding = this.#state.type === 'padding';
    if (this.#state.type !== 'ended' && !isBetween && !isPadding)
      throw badLayer('the archive ends in the middle of an entry');
    if (this.#pax ?? this.#longName ?? this.#longLink)
      throw badLayer('the archive ends after an extended header');
  }

  #takeBlock(state: State): void {
    const block = this.#block;
    if (state.type === 'sparseBlock') {
      const isMore = readSparseEntries(block, 0, 21, state.segments) && block[504] !== 0;
      if (state.segments.length > mostSegments) throw badLayer('a sparse map is too long');
      if (!isMore) this.#beginOldSparse(state.header, state.segments);
      return;
    }
    if (state.type === 'sparseText') {
      this.#takeSparseText(state, block);
      return;
    }
    if (isZero(block)) {
      if (this.#sawZeroBlock) this.#state = { type: 'ended' };
      this.#sawZeroBlock = true;
      return;
    }
    if (this.#sawZeroBlock) throw badLayer('a lone zero block stands inside the archive');
    this.#takeHeader(parseHeader(block));
  }

  #takeHeader(raw: RawHeader): void {
    const { typeFlag, sizeBytes } = raw;
    if (sizeBytes < 0) throw badLayer(`${shown(raw.name)} has a negative size`);
    if ('xgLK'.includes(typeFlag)) {
      if (sizeBytes > metaLimitBytes)
        throw badLayer(
          `an extended header of ${sizeBytes} bytes is larger than the ${metaLimitBytes} allowed`,
        );
      this.#padding = padded(sizeBytes);
      this.#state = { type: 'meta', flag: typeFlag, content: Buffer.alloc(sizeBytes), filled: 0 };
      if (sizeBytes === 0) this.#takeMeta(typeFlag, Buffer.alloc(0));
      return;
    }
    if (!(typeFlag in typesByFlag))
      throw badLayer(`${shown(raw.name)} is of the unknown type ${shown(typeFlag)}`);
    if (typeFlag !== 'S') {
      this.#beginEntry(raw);
      return;
    }
    const segments: Segment[] = [];
    const isMore = readSparseEntries(raw.block, 386, 4, segments) && raw.block[482] !== 0;
    // The block is used again: what is needed of it later is copied.
    const kept = { ...raw, block: Buffer.from(raw.block) };
    if (isMore) this.#state = { type: 'sparseBlock', header: kept, segments };
    else this.#beginOldSparse(kept, segments);
  }

  #takeMeta(flag: string, content: Buffer): void {
    this.#state = header;
    this.#skip(this.#padding);
    // A name ends at its first zero, if it has one.
    const text = () =>
      content.toString('latin1', 0, content.includes(0) ? content.indexOf(0) : content.length);
    if (flag === 'L') this.#longName = text();
    else if (flag === 'K') this.#longLink = text();
    else if (flag === 'x') this.#pax = parsePax(content);
    // 'g': a comment on the whole archive, such as a commit; nothing in it applies to the files of a layer.
  }

  #beginOldSparse(raw: RawHeader, segments: Segment[]): void {
    this.#beginEntry(raw, { segments, sizeBytes: numberField(raw.block, 483, 12, 'size') });
  }

  #beginEntry(raw: RawHeader, sparse?: { segments: Segment[]; sizeBytes: number }): void {
    const records = this.#pax?.records;
    const paxSegments = this.#pax?.sparse ?? [];
    const entry = this.#combine(raw, records, sparse?.sizeBytes);
    this.#pax = this.#longName = this.#longLink = undefined;
    const stored = records?.get('size');
    const archived = stored === undefined ? raw.sizeBytes : decimal(stored, 'size');
    // Only files have data; in the headers of other types the field has been used for other things.
    this.#remaining = entry.type === 'file' ? archived : 0;
    this.#padding = padded(this.#remaining);
    if (records?.get('GNU.sparse.major') === '1') {
      this.#state = { type: 'sparseText', entry, remaining: this.#remaining, text: '', lines: 0 };
      if (this.#remaining < blockBytes) throw badLayer(`${shown(entry.name)} has no sparse map`);
      return;
    }
    const map = records?.get('GNU.sparse.map');
    const segments = sparse?.segments ?? (map === undefined ? paxSegments : parseMap(map));
    this.#startData(
      entry,
      segments.length > 0 || sparse ? segments : [{ offset: 0, length: this.#remaining }],
    );
  }

  #combine(
    raw: RawHeader,
    records: Map<string, string> | undefined,
    sparseBytes: number | undefined,
  ): TarEntry {
    const text = (key: string) => records?.get(key);
    const number = (key: string) => (records?.has(key) ? decimal(records.get(key)!, key) : undefined);
    const name = text('GNU.sparse.name') ?? text('path') ?? this.#longName ?? raw.name;
    const modified = text('mtime');
    const xattrs = new Map<string, Buffer>();
    for (const [key, value] of records ?? [])
      if (key.startsWith('SCHILY.xattr.'))
        xattrs.set(key.slice('SCHILY.xattr.'.length), Buffer.from(value, 'latin1'));
    const isOldDirectory = (raw.typeFlag === '0' || raw.typeFlag === '\0') && name.endsWith('/');
    const entry: TarEntry = {
      name,
      type: isOldDirectory ? 'directory' : typesByFlag[raw.typeFlag]!,
      linkName: text('linkpath') ?? this.#longLink ?? raw.linkName,
      mode: raw.mode,
      uid: number('uid') ?? raw.uid,
      gid: number('gid') ?? raw.gid,
      sizeBytes:
        number('GNU.sparse.realsize') ??
        number('GNU.sparse.size') ??
        sparseBytes ??
        number('size') ??
        raw.sizeBytes,
      modified: modified === undefined ? raw.modified : paxTime(modified),
      devMajor: raw.devMajor,
      devMinor: raw.devMinor,
      xattrs,
    };
    if (entry.name.includes('\0') || entry.linkName.includes('\0'))
      throw badLayer('a name contains a zero byte');
    // To the system calls the last value, or -1, means "no change": the file would stay root's.
    for (const [what, id] of [
      ['owner', entry.uid],
      ['group', entry.gid],
    ] as const)
      if (id < 0 || id > highestId) throw badLayer(`${shown(name)} has the ${what} ${id}, which is no id`);
    return entry;
  }

  #takeSparseText(state: State & { type: 'sparseText' }, block: Buffer): void {
    state.text += block.toString('latin1');
    for (let at = block.indexOf(0x0a); at >= 0; at = block.indexOf(0x0a, at + 1)) state.lines += 1;
    state.remaining -= blockBytes;
    this.#remaining -= blockBytes;
    if (state.text.length > metaLimitBytes)
      throw badLayer(`the sparse map of ${shown(state.entry.name)} is too long`);
    const wanted = 1 + 2 * decimal(state.text.slice(0, 20).split('\n')[0]!, 'sparse map');
    if (state.lines < wanted) {
      if (state.remaining < blockBytes)
        throw badLayer(`the sparse map of ${shown(state.entry.name)} is cut off`);
      return;
    }
    const lines = state.text.split('\n');
    this.#startData(state.entry, parseMap(lines.slice(1, wanted).join(',')));
  }

  #startData(entry: TarEntry, segments: readonly Segment[]): void {
    let covered = 0;
    let previousEnd = 0;
    for (const { offset, length } of segments) {
      if (offset < previousEnd || length < 0 || offset + length > entry.sizeBytes)
        throw badLayer(`the sparse map of ${shown(entry.name)} does not fit its size`);
      previousEnd = offset + length;
      covered += length;
    }
    if (covered !== this.#remaining && entry.type === 'file')
      throw badLayer(`the data of ${shown(entry.name)} does not fit its map`);
    this.#segments = segments;
    this.#segment = 0;
    this.#inSegment = 0;
    this.#sink.begin(entry);
    if (this.#remaining === 0) this.#finishEntry();
    else this.#state = { type: 'data' };
  }

  #takeData(chunk: Buffer, at: number): number {
    let segment = this.#segments[this.#segment]!;
    while (this.#inSegment === segment.length) {
      this.#segment += 1;
      this.#inSegment = 0;
      segment = this.#segments[this.#segment]!;
    }
    const taken = Math.min(segment.length - this.#inSegment, chunk.length - at);
    this.#sink.data(chunk.subarray(at, at + taken), segment.offset + this.#inSegment);
    this.#inSegment += taken;
    this.#remaining -= taken;
    if (this.#remaining === 0) this.#finishEntry();
    return taken;
  }

  #finishEntry(): void {
    this.#sink.end();
    this.#state = header;
    this.#skip(this.#padding);
  }

  #skip(bytes: number): void {
    if (bytes > 0) this.#state = { type: 'padding', remaining: bytes, next: 'header' };
  }
}

function padded(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes;
}

const zeroBlock = Buffer.alloc(blockBytes);
function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.equals(zeroBlock);
}

/** Reads entries of an old GNU sparse map; false once an empty one ends it. */
function readSparseEntries(block: Buffer, start: number, count: number, segments: Segment[]): boolean {
  for (let index = 0; index < count; index += 1) {
    const at = start + index * 24;
    if (block[at] === 0) return false;
    segments.push({
      offset: numberField(block, at, 12, 'sparse offset'),
      length: numberField(block, at + 12, 12, 'sparse size'),
    });
  }
  return true;
}

function parseMap(text: string): Segment[] {
  const numbers = text === '' ? [] : text.split(',').map((part) => decimal(part, 'sparse map'));
  if (numbers.length % 2 !== 0 || numbers.length > 2 * mostSegments)
    throw badLayer('a sparse map is malformed');
  const segments: Segment[] = [];
  for (let at = 0; at < numbers.length; at += 2)
    segments.push({ offset: numbers[at]!, length: numbers[at + 1]! });
  return segments;
}
