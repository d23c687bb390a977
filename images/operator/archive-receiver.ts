/**
 * An archive of images as it streams in: its files go into a staging folder under names of our own, so that nothing the archive
 * says can lead anywhere. Plain, gzip or zstd.
 */
import { type FileHandle, open, statfs } from 'node:fs/promises';
import { asDiskFull } from '#base/disk-full.ts';
import { RuntimeError, throwIfAborted } from '#base/errors.ts';
import { Decompressor } from '../unpack/decompress.ts';
import type { UnpackLimits } from '../unpack/layer-writer.ts';
import { shown, type TarEntry } from '../unpack/tar-header.ts';
import { TarParser, type TarSink } from '../unpack/tar-parser.ts';
import type { StagingPlace } from './staging.ts';

const mostEntries = 20_000;
const freeCheckBytes = 64 << 20;
const mostLinks = 8;
const inputBytes = 64 << 10;

export interface ReceivedFile {
  readonly path: string;
  readonly sizeBytes: number;
}

export function refusedArchive(why: string, cause?: unknown): RuntimeError {
  return new RuntimeError('InvalidArgument', `archive refused: ${why}`, { cause });
}

/** The files of an archive by their names in it. */
export class ReceivedArchive {
  readonly #files = new Map<string, ReceivedFile>();
  readonly #links = new Map<string, string>();

  add(name: string, file: ReceivedFile): void {
    this.#files.set(name, file);
    this.#links.delete(name);
  }

  link(name: string, target: string): void {
    this.#links.set(name, target);
    this.#files.delete(name);
  }

  get count(): number {
    return this.#files.size + this.#links.size;
  }

  /** The file of this name, through links within the archive. */
  find(name: string): ReceivedFile | undefined {
    let current: string | undefined = name;
    for (let hops = 0; current !== undefined && hops <= mostLinks; hops += 1) {
      const file = this.#files.get(current);
      if (file) return file;
      current = this.#links.get(current);
    }
    return undefined;
  }
}

/** A name of the archive without what says nothing. Throws InvalidArgument for one that leads out. */
function cleanName(name: string, base = ''): string {
  const parts: string[] = [];
  for (const part of `${base}/${name}`.split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      if (parts.pop() === undefined) throw refusedArchive(`${shown(name)} leads out of it`);
      continue;
    }
    parts.push(part);
  }
  return parts.join('/');
}

interface Piece {
  readonly file: number;
  readonly chunk: Buffer;
  readonly position: number;
}

/** Collects what one piece of input brings, to be written when the parser has returned. */
class ArchiveSink implements TarSink {
  readonly archive = new ReceivedArchive();
  readonly started: { readonly path: string }[] = [];
  readonly pieces: Piece[] = [];
  readonly #place: StagingPlace;
  readonly #limits: UnpackLimits;
  #current = -1;
  /** Of the file that is open now, undefined between files. */
  #isFile = false;

  constructor(place: StagingPlace, limits: UnpackLimits) {
    this.#place = place;
    this.#limits = limits;
  }

  begin(entry: TarEntry): void {
    this.#isFile = false;
    if (entry.type === 'directory') return;
    if (this.archive.count >= mostEntries) throw refusedArchive(`it has more than ${mostEntries} files`);
    const name = cleanName(entry.name);
    if (entry.type === 'symlink') {
      const slash = name.lastIndexOf('/');
      this.archive.link(name, cleanName(entry.linkName, slash < 0 ? '' : name.slice(0, slash)));
      return;
    }
    if (entry.type === 'hardlink') {
      this.archive.link(name, cleanName(entry.linkName));
      return;
    }
    if (entry.type !== 'file') throw refusedArchive(`${shown(entry.name)} is a ${entry.type} device or fifo`);
    if (entry.sizeBytes > this.#limits.layerBytes)
      throw refusedArchive(`${shown(entry.name)} is larger than images.max_layer_bytes allows`);
    const path = this.#place.next();
    this.#current = this.started.push({ path }) - 1;
    this.#isFile = true;
    this.archive.add(name, { path, sizeBytes: entry.sizeBytes });
  }

  data(chunk: Buffer, position: number): void {
    // The chunk is valid during this call only, but what it is a part of is ours until it is written.
    if (this.#isFile) this.pieces.push({ file: this.#current, chunk, position });
  }

  end(): void {}
}

/** Writes files one after the other. */
class FileWriter {
  #index = -1;
  #handle: FileHandle | undefined;

  async write(sink: ArchiveSink): Promise<void> {
    for (const { file, chunk, position } of sink.pieces.splice(0)) {
      await this.#openUpTo(sink, file);
      for (let at = 0; at < chunk.length; ) {
        const { bytesWritten } = await this.#handle!.write(chunk, at, chunk.length - at, position + at);
        at += bytesWritten;
      }
    }
    await this.#openUpTo(sink, sink.started.length - 1);
  }

  /** Files without data are made too. */
  async #openUpTo(sink: ArchiveSink, index: number): Promise<void> {
    while (this.#index < index) {
      await this.close();
      this.#index += 1;
      this.#handle = await open(sink.started[this.#index]!.path, 'wx', 0o600);
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }
}

/** Receives an archive to its end. Throws InvalidArgument (refused), ResourceExhausted, Canceled. */
export async function receiveArchive(
  pieces: AsyncIterable<Buffer>,
  place: StagingPlace,
  limits: UnpackLimits,
  root: string,
  signal: AbortSignal,
): Promise<ReceivedArchive> {
  const sink = new ArchiveSink(place, limits);
  const parser = new TarParser(sink);
  const writer = new FileWriter();
  let failure: unknown;
  const decompressor = new Decompressor((chunk) => {
    try {
      if (failure === undefined) parser.write(chunk);
    } catch (error) {
      failure = error;
    }
  });
  let untilCheck = 0;
  try {
    for await (const piece of pieces) {
      throwIfAborted(signal, 'loading images');
      // Little by little: a piece may be a thousand times as large when it is decompressed.
      for (let at = 0; at < piece.length; at += inputBytes) {
        await decompressor.write(piece.subarray(at, at + inputBytes));
        if (failure !== undefined) throw failure;
        untilCheck -= sink.pieces.reduce((sum, { chunk }) => sum + chunk.length, 0);
        if (untilCheck < 0) {
          await checkFree(root, limits);
          untilCheck = freeCheckBytes;
        }
        await writer.write(sink);
      }
    }
    await decompressor.end();
    if (failure !== undefined) throw failure;
    parser.end();
    await writer.write(sink);
    return sink.archive;
  } catch (error) {
    decompressor.destroy();
    throwIfAborted(signal, 'loading images');
    // The parser's words are of a layer.
    if (error instanceof RuntimeError && error.kind === 'Unknown')
      throw refusedArchive(error.message.replace(/^layer refused: /, ''), error);
    throw asDiskFull(error, 'loading images');
  } finally {
    await writer.close();
  }
}

async function checkFree(root: string, limits: UnpackLimits): Promise<void> {
  const { bavail, bsize } = await statfs(root);
  if (bavail * bsize >= limits.freeBytes + freeCheckBytes) return;
  throw new RuntimeError(
    'ResourceExhausted',
    `loading the archive would leave less than ${Math.round(limits.freeBytes / 2 ** 20)} MiB free at ${root}: free some space`,
  );
}
