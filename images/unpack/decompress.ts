/**
 * Decompression of a layer as a stream: gzip, zstd or none, by the first bytes, because media types have been known to
 * lie (OCI image-spec, layer.md). Decompression runs on the thread pool beside the caller's thread.
 */
import type { Transform } from 'node:stream';
import { createGunzip, createZstdDecompress, zstdDecompressSync } from 'node:zlib';
import { messageOf } from '#base/errors.ts';
import { badLayer } from './tar-header.ts';
import { ZstdFrameSplitter } from './zstd-frames.ts';

/** Takes decompressed bytes, in order. Must not throw. */
export type PlainSink = (chunk: Buffer) => void;

interface Decoder {
  /** A promise means: wait for it before the next write. */
  write(chunk: Buffer): Promise<void> | undefined;
  /** Resolves when all is decompressed. Throws Unknown if the stream is damaged or cut off. */
  end(): Promise<void>;
  destroy(): void;
}

const outputChunkBytes = 256 << 10;
/** Frames up to these sizes are decompressed at one go. */
const smallFrameBytes = 1 << 20;
const smallContentBytes = 8 << 20;

const magics: readonly { readonly name: string; readonly bytes: readonly number[] }[] = [
  { name: 'gzip', bytes: [0x1f, 0x8b] },
  { name: 'zstd', bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: 'bzip2', bytes: [0x42, 0x5a, 0x68] },
  { name: 'xz', bytes: [0xfd, 0x37, 0x7a, 0x58] },
];

function sniff(head: Buffer): string {
  // A zstd stream may begin with a skippable frame.
  if (head.length === 4 && head.readUInt32LE(0) >>> 4 === 0x184d2a5) return 'zstd';
  return magics.find(({ bytes }) => bytes.every((byte, index) => head[index] === byte))?.name ?? 'none';
}

/** Wraps a decompressing stream of node:zlib. */
class StreamDecoder implements Decoder {
  readonly #stream: Transform;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #isEnded = false;

  constructor(stream: Transform, name: string, sink: PlainSink) {
    this.#stream = stream;
    const wake = () => {
      this.#wake?.();
      this.#wake = undefined;
    };
    // The stream asks its thread for more only after this handler has returned: what comes out is used a tick later, so that
    // the next piece is decompressed meanwhile, on another core.
    let ready: Buffer[] = [];
    const use = () => {
      const chunks = ready;
      ready = [];
      for (const chunk of chunks) sink(chunk);
    };
    stream.on('data', (chunk: Buffer) => {
      if (ready.length === 0) process.nextTick(use);
      ready.push(chunk);
    });
    stream.on('drain', wake);
    stream.on('end', () => {
      use();
      this.#isEnded = true;
      wake();
    });
    // Destroyed in the middle, it says neither that it drained nor that it ended.
    stream.on('close', () => {
      if (!this.#isEnded) this.#failure ??= badLayer(`its ${name} stream was given up`);
      wake();
    });
    stream.on('error', (error) => {
      this.#failure ??= badLayer(`its ${name} stream is damaged: ${messageOf(error)}`);
      wake();
    });
  }

  async #until(isDone: () => boolean): Promise<void> {
    while (!this.#failure && !isDone())
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    if (this.#failure) throw this.#failure;
  }

  write(chunk: Buffer): Promise<void> | undefined {
    if (this.#failure) throw this.#failure;
    if (this.#stream.write(chunk)) return undefined;
    return this.#until(() => !this.#stream.writableNeedDrain);
  }

  async end(): Promise<void> {
    this.#stream.end();
    await this.#until(() => this.#isEnded);
  }

  destroy(): void {
    this.#stream.destroy();
  }
}

/** Decompresses frame after frame: small ones whole, large ones as a stream. */
class ZstdDecoder implements Decoder {
  readonly #splitter: ZstdFrameSplitter;
  readonly #sink: PlainSink;
  #collected: Buffer[] = [];
  #collectedBytes = 0;
  #stream: StreamDecoder | undefined;
  #queue: (() => Promise<void> | undefined)[] = [];

  constructor(sink: PlainSink) {
    this.#sink = sink;
    this.#splitter = new ZstdFrameSplitter({
      begin: (contentBytes) => {
        this.#collected = [];
        this.#collectedBytes = 0;
        if (contentBytes === undefined || contentBytes > smallContentBytes) this.#openStream();
      },
      bytes: (chunk) => this.#takeBytes(chunk),
      end: () => this.#endFrame(),
    });
  }

  #openStream(): void {
    const stream = new StreamDecoder(
      createZstdDecompress({ chunkSize: outputChunkBytes }),
      'zstd',
      this.#sink,
    );
    this.#stream = stream;
    for (const chunk of this.#collected) this.#queue.push(() => stream.write(chunk));
    this.#collected = [];
  }

  #takeBytes(chunk: Buffer): void {
    const stream = this.#stream;
    if (stream) {
      this.#queue.push(() => stream.write(chunk));
      return;
    }
    this.#collected.push(chunk);
    this.#collectedBytes += chunk.length;
    if (this.#collectedBytes > smallFrameBytes) this.#openStream();
  }

  #endFrame(): void {
    const stream = this.#stream;
    if (stream) {
      this.#stream = undefined;
      this.#queue.push(() => stream.end());
      return;
    }
    const frame = Buffer.concat(this.#collected);
    this.#queue.push(() => {
      try {
        this.#sink(zstdDecompressSync(frame, { maxOutputLength: smallContentBytes }));
      } catch (error) {
        throw badLayer(`its zstd stream is damaged: ${messageOf(error)}`);
      }
      return undefined;
    });
  }

  write(chunk: Buffer): Promise<void> | undefined {
    this.#splitter.write(chunk);
    return this.#drain();
  }

  /** Works off the queue; asynchronous only from the first step that is. */
  #drain(): Promise<void> | undefined {
    for (let step = this.#queue.shift(); step; step = this.#queue.shift()) {
      const pending = step();
      if (pending) return pending.then(() => this.#drain());
    }
    return undefined;
  }

  async end(): Promise<void> {
    this.#splitter.end();
    await this.#drain();
  }

  destroy(): void {
    this.#stream?.destroy();
  }
}

/** Finds out how a stream is compressed and passes it on decompressed. */
export class Decompressor implements Decoder {
  readonly #sink: PlainSink;
  #head: Buffer | undefined = Buffer.alloc(0);
  #decoder: Decoder | undefined;

  constructor(sink: PlainSink) {
    this.#sink = sink;
  }

  write(chunk: Buffer): Promise<void> | undefined {
    if (this.#head === undefined) {
      if (this.#decoder) return this.#decoder.write(chunk);
      this.#sink(chunk);
      return undefined;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    return this.#head.length < 4 ? undefined : this.#start();
  }

  #start(): Promise<void> | undefined {
    const head = this.#head!;
    this.#head = undefined;
    const kind = sniff(head.subarray(0, 4));
    if (kind === 'gzip')
      this.#decoder = new StreamDecoder(createGunzip({ chunkSize: outputChunkBytes }), 'gzip', this.#sink);
    else if (kind === 'zstd') this.#decoder = new ZstdDecoder(this.#sink);
    else if (kind !== 'none') throw badLayer(`it is compressed with ${kind}, which image layers may not be`);
    return this.write(head);
  }

  async end(): Promise<void> {
    if (this.#head !== undefined) await this.#start();
    await this.#decoder?.end();
  }

  destroy(): void {
    this.#decoder?.destroy();
  }
}
