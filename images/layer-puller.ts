/**
 * Layers of images, each fetched and unpacked once however many pulls want it. Layers are unpacked side by side, in any
 * order; they are committed from the base up, because a layer needs its parent to inherit metadata from.
 */
import { rmSync } from 'node:fs';
import { KeyedLock } from '#base/keyed-lock.ts';
import { SingleFlight } from '#base/single-flight.ts';
import { step } from '#base/step.ts';
import type { ContentStore } from './content/content-store.ts';
import type { ChainId, Digest } from './contract.ts';
import type { Leases } from './gc.ts';
import type { Limiter } from './limiter.ts';
import type { Descriptor } from './manifest.ts';
import type { PullSource } from './registry/open.ts';
import type { LayerSnapshotter } from './snapshots/snapshotter.ts';
import type { UnpackLimits } from './unpack/layer-writer.ts';
import type { LayerProcesses } from './worker/layer-processes.ts';

export interface LayerPullerOptions {
  readonly content: ContentStore;
  readonly snapshotter: LayerSnapshotter;
  readonly processes: LayerProcesses;
  readonly limits: UnpackLimits;
  readonly keepLayerBlobs: boolean;
  readonly resumableBytes: number;
  readonly leases: Leases;
  /** Called when a layer was done, or given up, after the pull that wanted it had ended. */
  readonly onStray: () => void;
}

/** The layers of one pull. */
export interface LayerStack {
  readonly pullId: string;
  /** Undefined where all blobs are here, in the content store. */
  readonly source: PullSource | undefined;
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
  readonly chainIds: readonly ChainId[];
  /** What the blobs are called, where they are files and not archives. */
  readonly fileNames?: readonly string[];
  /** How many are fetched at a time. */
  readonly limiter: Limiter;
  readonly onBytes: (index: number, receivedBytes: number) => void;
}

export class LayerPuller {
  readonly #options: LayerPullerOptions;
  readonly #flights = new SingleFlight<void>();
  /** Which pull began each flight. */
  readonly #starters = new Map<ChainId, string>();
  /** The same blob may be a layer of two stacks: the second waits, and finds the first one's kept blob, if it is kept. */
  readonly #blobs = new KeyedLock();

  constructor(options: LayerPullerOptions) {
    this.#options = options;
  }

  /** Resolves when all layers of the stack are committed. If one fails the others are given up. Throws that one's error. */
  async ensureAll(stack: LayerStack, signal: AbortSignal): Promise<void> {
    const cancel = new AbortController();
    const both = AbortSignal.any([signal, cancel.signal]);
    try {
      await Promise.all(
        stack.chainIds.map(async (_chainId, index) => {
          await this.#ensure(stack, index, both);
          arrived(stack, index);
        }),
      );
    } catch (error) {
      cancel.abort(error);
      throw error;
    }
  }

  async #ensure(stack: LayerStack, index: number, signal: AbortSignal): Promise<void> {
    const chainId = stack.chainIds[index]!;
    while (!this.#options.snapshotter.hasLayer(chainId)) {
      const isOthers = this.#flights.isFlying(chainId) && this.#starters.get(chainId) !== stack.pullId;
      try {
        await this.#flights.run(chainId, signal, (flight) => this.#start(stack, index, flight));
        return;
      } catch (error) {
        // What another pull could not get, with its credentials from its repository, we may.
        if (!isOthers || signal.aborted) throw error;
      }
    }
  }

  async #start(stack: LayerStack, index: number, signal: AbortSignal): Promise<void> {
    const chainId = stack.chainIds[index]!;
    this.#starters.set(chainId, stack.pullId);
    try {
      await this.#make(stack, index, signal);
    } finally {
      if (this.#starters.get(chainId) === stack.pullId) this.#starters.delete(chainId);
      if (!this.#options.leases.isHeld(chainId)) this.#options.onStray();
    }
  }

  async #make(stack: LayerStack, index: number, signal: AbortSignal): Promise<void> {
    const { snapshotter, processes, content } = this.#options;
    const chainId = stack.chainIds[index]!;
    const parent = index === 0 ? undefined : stack.chainIds[index - 1]!;
    let place: ReturnType<LayerSnapshotter['startLayer']> | undefined;
    try {
      const started = await step('pull-image/start-layer', () => {
        place = snapshotter.startLayer();
        return place;
      });
      const below = index === 0 ? Promise.resolve() : this.#ensure(stack, index - 1, signal);
      // Seen below; until then it must not count as unhandled.
      below.catch(() => {});
      const layer = await stack.limiter.run(() =>
        step('pull-image/unpack-layer', () => this.#unpack(stack, index, started, signal), {
          'image.layer.digest': stack.layers[index]!.digest,
          'image.layer.bytes': stack.layers[index]!.sizeBytes,
        }),
      );
      arrived(stack, index);
      if (layer.isBlobKept) content.adopt(stack.layers[index]!.digest);
      await below;
      if (layer.hasImplied)
        await step('pull-image/inherit-folders', async () => {
          const { directory, impliedPath } = started;
          if (parent === undefined) rmSync(impliedPath);
          else {
            const lowerDirs = snapshotter.layerDirs(parent);
            await processes.run<'inherit'>({ type: 'inherit', directory, impliedPath, lowerDirs }, signal);
          }
        });
      const { usedBytes, inodes } = layer;
      await step('pull-image/commit-layer', () =>
        snapshotter.commitLayer({ chainId, parent, place: started, usedBytes, inodes }),
      );
    } catch (error) {
      if (place) snapshotter.abandonLayer(place);
      throw error;
    }
  }

  async #unpack(
    stack: LayerStack,
    index: number,
    place: { directory: string; impliedPath: string },
    signal: AbortSignal,
  ) {
    const { content, processes, limits, keepLayerBlobs, resumableBytes } = this.#options;
    const blob = stack.layers[index]!;
    const fileName = stack.fileNames?.[index];
    const layer = {
      blob,
      diffId: stack.diffIds[index]!,
      ...(fileName !== undefined && { fileName }),
      directory: place.directory,
      impliedPath: place.impliedPath,
      limits,
      blobPath: content.pathOf(blob.digest),
      ingestPath: content.ingestPathOf(blob.digest),
      keepBlob: keepLayerBlobs,
      resumableBytes,
    };
    const { pullId, source } = stack;
    const result = await this.#blobs.run(blob.digest, () =>
      processes.run<'layer'>({ type: 'layer', source, pullId, layer }, signal, (bytes) =>
        stack.onBytes(index, bytes),
      ),
    );
    // Reports come now and then: the last bytes had none.
    stack.onBytes(index, blob.sizeBytes);
    return result;
  }
}

/** The process tells of bytes now and then only, and of a layer that was here, or that another pull fetched, not at all. */
function arrived({ layers, onBytes }: LayerStack, index: number): void {
  onBytes(index, layers[index]!.sizeBytes);
}
