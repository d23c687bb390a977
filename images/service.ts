/** The image service: what contract.ts promises, out of the parts in this folder. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { isRuntimeError, messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { WorkMetrics } from '#base/metrics.ts';
import { step } from '#base/step.ts';
import { ContentStore } from './content/content-store.ts';
import type { FilesystemUsage, Image, ImageId, ImageService, PullRequest } from './contract.ts';
import { collectGarbage, Leases } from './gc.ts';
import { ImageRecords } from './image-records.ts';
import { ImageStore } from './image-store.ts';
import { LayerPuller } from './layer-puller.ts';
import { hostPlatform, type Platform, parsePlatformName } from './manifest.ts';
import { LocalImageOperations } from './operator/operations.ts';
import { Staging } from './operator/staging.ts';
import { ImagePuller, type PullOptions, type PullProgress } from './pull.ts';
import type { ImageReference } from './reference.ts';
import type { RegistryAccess } from './registry/open.ts';
import { RegistriesConfFile } from './registry/registries-conf.ts';
import { ShortNames } from './short-names.ts';
import type { PolicyLocation } from './signature/policy.ts';
import type { LayerSnapshotter } from './snapshots/snapshotter.ts';
import type { UnpackLimits } from './unpack/layer-writer.ts';
import type { LayerProcesses } from './worker/layer-processes.ts';

export interface LocalImageServiceOptions {
  /** A directory of our own, the mount point that is reported; blobs go below it. The snapshotter's root is on the same file system. */
  readonly root: string;
  readonly database: DatabaseSync;
  readonly snapshotter: LayerSnapshotter;
  readonly processes: LayerProcesses;
  readonly access: RegistryAccess;
  /** Which signatures images need (containers-policy.json(5)). */
  readonly policy: PolicyLocation;
  readonly limits: UnpackLimits;
  readonly log: Log;
  /** Told of every pull, by the registry's name. */
  readonly pulls?: WorkMetrics;
  /** Layers of one image that are fetched at a time. Default 3. */
  readonly layersAtOnce?: number;
  /**
   * Whether compressed layers are kept beside the unpacked ones. Default false: a container never needs them, and they are
   * about a third of an image's disk. Keep them to serve them to others, or to push an image as it came.
   */
  readonly keepLayerBlobs?: boolean;
  /** Layers from this size on are kept while they are fetched, so that a failed pull is gone on with. Default 16 MiB. */
  readonly resumableBytes?: number;
  /** How long what a failed pull has got is kept for the next try. Default 10 minutes. */
  readonly retryGraceMs?: number;
  /** References that the kubelet must never collect; one may end with `*`. */
  readonly pinned?: readonly string[];
  /** Default: this machine's. */
  readonly platform?: Platform;
  /** Milliseconds since the epoch. Default Date.now. */
  readonly nowMs?: () => number;
  /** Whether a container or image volume uses an image. Removing such an image is allowed: its layers stay while they are used. */
  readonly isImageInUse?: (id: ImageId) => boolean;
}

/** How long an answer about room waits for files that are being deleted. */
const longestWaitMs = 1000;
const oldestIngestMs = 24 * 3_600_000;

export class LocalImageService implements ImageService {
  readonly #options: LocalImageServiceOptions;
  readonly #content: ContentStore;
  readonly #store: ImageStore;
  readonly #leases = new Leases();
  readonly #puller: ImagePuller;
  readonly #names: ShortNames;
  /** What an operator's tool does with images beyond the CRI. */
  readonly operations: LocalImageOperations;
  readonly #nowMs: () => number;
  #flushing: Promise<void> | undefined;
  #needsFlush = false;

  constructor(options: LocalImageServiceOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
    mkdirSync(options.root, { recursive: true, mode: 0o700 });
    this.#content = new ContentStore(join(options.root, 'content'));
    this.#names = new ShortNames(new RegistriesConfFile(options.access.registriesConf));
    this.#store = new ImageStore({
      records: new ImageRecords(options.database),
      pinned: options.pinned ?? [],
      readConfig: (id) => this.#content.find(id)?.toString('utf8') ?? '',
      complete: (text) => this.#names.candidates(text),
    });
    const { snapshotter, processes, limits, access, log } = options;
    const keepLayerBlobs = options.keepLayerBlobs ?? false;
    const layers = new LayerPuller({
      content: this.#content,
      snapshotter,
      processes,
      limits,
      keepLayerBlobs,
      resumableBytes: options.resumableBytes ?? 16 << 20,
      leases: this.#leases,
      onStray: () => this.#collect(),
    });
    const platform = options.platform ?? hostPlatform(process.arch);
    this.operations = new LocalImageOperations(
      {
        store: this.#store,
        content: this.#content,
        leases: this.#leases,
        layers,
        snapshotter,
        processes,
        staging: new Staging(join(options.root, 'staging')),
        access,
        limits,
        platform,
        complete: (text) => this.#names.candidates(text),
        pull: (request, onProgress, signal) => this.pull(request, signal, onProgress),
        collect: () => this.#collect(),
        flush: () => this.#flush(),
        nowMs: this.#nowMs,
        log,
      },
      options.root,
    );
    this.#puller = new ImagePuller({
      store: this.#store,
      content: this.#content,
      leases: this.#leases,
      layers,
      access,
      policy: options.policy,
      platform,
      layersAtOnce: options.layersAtOnce ?? 3,
      keepLayerBlobs,
      retryGraceMs: options.retryGraceMs ?? 600_000,
      nowMs: this.#nowMs,
      warm: () => processes.warm(),
      onPulled: () => this.#flush(),
      onReleased: () => this.#collect(),
      log,
    });
    // Layers of a removed image stay for the containers on them; with the last one they go.
    snapshotter.onRemoved(() => this.#collect());
  }

  /**
   * Makes records, blobs and snapshots agree after a start: leftovers of pulls that were killed go, and images of which
   * something is missing or damaged, so that the kubelet pulls them again. To be called once, before anything else.
   */
  recover(): void {
    const { snapshotter, log } = this.#options;
    snapshotter.recover();
    for (const { id, chainId, blobs } of this.#store.records()) {
      const hasLayers = chainId === undefined || snapshotter.hasLayer(chainId);
      const [config] = blobs.filter((digest) => (digest as string) === id);
      const hasConfig = config !== undefined && this.#content.find(config) !== undefined;
      if (hasLayers && hasConfig) continue;
      log.warn(
        { image: id },
        `image dropped: its ${hasLayers ? 'config' : 'layers'} did not survive; it will be pulled again`,
      );
      this.#store.remove(id);
    }
    this.operations.recover();
    this.#content.dropIngests(this.#nowMs() - oldestIngestMs);
    this.#collect();
    this.#flush();
  }

  /** Replaces the list of pinned references. Throws InvalidArgument, changing nothing, if one is no reference. */
  setPinned(pinned: readonly string[]): void {
    this.#store.setPinned(pinned);
  }

  list(): readonly Image[] {
    return this.#store.list();
  }

  find(reference: string): Image | undefined {
    return this.#store.find(reference);
  }

  async pull(
    request: PullRequest,
    signal: AbortSignal,
    onProgress?: (progress: PullProgress) => void,
  ): Promise<Image> {
    const options = {
      ...(onProgress && { onProgress }),
      ...(request.platform !== undefined && { platform: parsePlatformName(request.platform) }),
    };
    const references = this.#names.toPull(request.reference);
    const failures: RuntimeError[] = [];
    for (const reference of references) {
      try {
        return await this.#pullOne(reference, request, options, signal);
      } catch (error) {
        if (signal.aborted || !isRuntimeError(error)) throw error;
        failures.push(error);
      }
    }
    if (failures.length === 1) throw failures[0]!;
    throw new RuntimeError(
      'Unknown',
      `pulling ${request.reference}: no registry to search has it: ${failures.map(messageOf).join('; ')}`,
      { cause: failures[0] },
    );
  }

  async #pullOne(
    reference: ImageReference,
    request: PullRequest,
    options: PullOptions,
    signal: AbortSignal,
  ): Promise<Image> {
    const end = this.#options.pulls?.begin(reference.domain);
    try {
      const image = await this.#puller.pull(reference, request.credentials, signal, options);
      end?.('ok');
      return image;
    } catch (error) {
      end?.(isRuntimeError(error, 'Canceled') ? 'canceled' : 'failed');
      throw error;
    }
  }

  async remove(reference: string): Promise<void> {
    const image = this.#store.find(reference);
    if (image) {
      const isInUse = this.#options.isImageInUse?.(image.id) ?? false;
      await step('remove-image/forget', () => this.#store.remove(image.id));
      this.#options.log.info({ image: image.id, isInUse }, 'image removed');
    }
    // Also where there is no such image: an earlier removal may have come no further.
    await step('remove-image/collect', () => this.#collect());
    // Whoever removes an image for want of room looks at the disk at once, and evicts pods if it is not there.
    await this.#untilFreed();
  }

  /** Until the files of what was removed are gone; but not for ever, on a slow disk. */
  async #untilFreed(): Promise<void> {
    const { snapshotter } = this.#options;
    await Promise.race([snapshotter.settled(), delay(longestWaitMs, undefined, { ref: false })]);
  }

  async usage(): Promise<FilesystemUsage> {
    // So that the number agrees with the disk's own.
    await this.#untilFreed();
    const content = this.#content.usage();
    const snapshots = await this.#options.snapshotter.totalUsage();
    return {
      mountPoint: this.#options.root,
      usedBytes: content.usedBytes + snapshots.usedBytes,
      inodesUsed: content.inodesUsed + snapshots.inodesUsed,
    };
  }

  /** Bytes of layers received since the start. */
  get receivedBytes(): number {
    return this.#puller.receivedBytes;
  }

  /** Pulls under way, with the bytes received of each layer. */
  progress(): readonly PullProgress[] {
    return this.#puller.progress();
  }

  /** Resolves when background work (flushing, deleting) is done. */
  async settled(): Promise<void> {
    await this.#flushing;
    await this.#options.snapshotter.settled();
  }

  /** Ends the layer processes; pulls under way fail. */
  async close(): Promise<void> {
    this.#puller.close();
    await this.#options.processes.close();
    await this.#flushing;
  }

  #collect(): void {
    const { snapshotter, log } = this.#options;
    const kept = { store: this.#store, content: this.#content, leases: this.#leases, snapshotter };
    try {
      const { blobs, layers } = collectGarbage(kept);
      if (blobs.length + layers.length > 0) log.debug({ blobs, layers }, 'garbage collected');
    } catch (error) {
      // The next collection finds it again; nobody's request fails for it.
      log.warn({ err: error }, `collecting unused layers failed: ${messageOf(error)}`);
    }
  }

  /** Gets new layers onto the disk in the background: until then a power cut costs a new pull, never a torn layer. */
  #flush(): void {
    this.#needsFlush = true;
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = undefined;
    });
  }

  async #flushAll(): Promise<void> {
    const { snapshotter, processes, root, log } = this.#options;
    const flush = async () => {
      await processes.run<'sync'>({ type: 'sync', directory: root });
    };
    while (this.#needsFlush) {
      this.#needsFlush = false;
      await snapshotter.markDurable(flush).catch((error: unknown) => {
        // They stay marked as torn by a power cut, which is the safe side.
        log.debug({ err: error }, `layers may not be on the disk yet: ${messageOf(error)}`);
      });
    }
  }
}
