/**
 * A layer in one pass: compressed bytes in, their digest, the digest of the plain archive, and the unpacked tree out. What
 * the tree holds counts only once both digests were found right.
 */
import { RuntimeError } from '#base/errors.ts';
import type { Digest } from '../contract.ts';
import { algorithmOf, Digester } from '../digest.ts';
import { Decompressor } from './decompress.ts';
import { LayerWriter, type UnpackedTree, type UnpackLimits } from './layer-writer.ts';
import { TarParser } from './tar-parser.ts';

export interface PipelineResult {
  readonly blobDigest: Digest;
  readonly diffId: Digest;
  /** The tree, or why there is none: a damaged layer may still turn out to be a damaged transfer. */
  readonly tree: UnpackedTree | RuntimeError;
  readonly plainBytes: number;
}

export class LayerPipeline {
  readonly #blobDigester: Digester;
  readonly #plainDigester: Digester;
  readonly #decompressor: Decompressor;
  readonly #parser: TarParser;
  readonly #writer: LayerWriter;
  #plainBytes = 0;
  #failure: RuntimeError | undefined;

  /** Unpacks into `directory`, which is empty and ours. */
  constructor(directory: string, expected: { blob: Digest; diffId: Digest }, limits: UnpackLimits) {
    this.#blobDigester = new Digester(algorithmOf(expected.blob));
    this.#plainDigester = new Digester(algorithmOf(expected.diffId));
    this.#writer = new LayerWriter(directory, limits);
    this.#parser = new TarParser(this.#writer);
    this.#decompressor = new Decompressor((chunk) => this.#takePlain(chunk, limits));
  }

  #takePlain(chunk: Buffer, limits: UnpackLimits): void {
    if (this.#failure) return;
    this.#try(() => {
      this.#plainBytes += chunk.length;
      if (this.#plainBytes > limits.layerBytes) {
        const gibibytes = (limits.layerBytes / 2 ** 30).toFixed(1);
        throw new RuntimeError(
          'ResourceExhausted',
          `layer refused: it unpacks to more than ${gibibytes} GiB`,
        );
      }
      this.#plainDigester.update(chunk);
      this.#parser.write(chunk);
    });
  }

  #try<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #fail(error: unknown): void {
    this.#failure ??=
      error instanceof RuntimeError
        ? error
        : new RuntimeError('Internal', 'unpacking a layer failed', { cause: error });
    this.#decompressor.destroy();
    this.#writer.abandon();
  }

  /**
   * Takes the next compressed bytes; a returned promise asks to wait. After damage was found, bytes are only digested, to
   * tell a bad layer from a bad transfer; but where space or a limit ran out it throws ResourceExhausted at once.
   */
  write(chunk: Buffer): Promise<void> | undefined {
    if (this.#failure?.kind === 'ResourceExhausted') throw this.#failure;
    this.#blobDigester.update(chunk);
    if (this.#failure) return undefined;
    return this.#try(() => this.#decompressor.write(chunk))?.catch((error: unknown) => this.#fail(error));
  }

  /** Ends the layer: everything is on the file system when this resolves. */
  async finish(): Promise<PipelineResult> {
    if (!this.#failure) await this.#decompressor.end().catch((error: unknown) => this.#fail(error));
    let tree: UnpackedTree | undefined;
    if (!this.#failure)
      tree = this.#try(() => {
        this.#parser.end();
        return this.#writer.finish();
      });
    return {
      blobDigest: this.#blobDigester.digest(),
      diffId: this.#plainDigester.digest(),
      tree: tree ?? this.#failure!,
      plainBytes: this.#plainBytes,
    };
  }

  /** Lets go of everything, at any point. */
  abandon(): void {
    this.#decompressor.destroy();
    this.#writer.abandon();
  }
}
