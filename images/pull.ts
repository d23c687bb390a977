/** Pulls: callers that ask for the same are joined, each may leave, and an image is recorded when all of it is there. */
import { abortError, isRuntimeError, messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { SingleFlight } from '#base/single-flight.ts';
import { step } from '#base/step.ts';
import type { ContentStore } from './content/content-store.ts';
import type { Image, PullCredentials } from './contract.ts';
import { chainIdsOf } from './digest.ts';
import type { Lease, Leases } from './gc.ts';
import type { ImageStore } from './image-store.ts';
import type { LayerPuller } from './layer-puller.ts';
import { Limiter } from './limiter.ts';
import { formatPlatform, type Platform } from './manifest.ts';
import { formatReference, type ImageReference, nameOf } from './reference.ts';
import { openClient, openSource, type RegistryAccess } from './registry/open.ts';
import { resolveImage } from './resolve-image.ts';
import { type PolicyLocation, requirementsFor } from './signature/policy.ts';
import { checkNotRejected, verifySignatures } from './signature/verify.ts';

/** How far a pull has come. */
export interface PullProgress {
  readonly reference: string;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly layers: readonly {
    readonly digest: string;
    readonly sizeBytes: number;
    readonly receivedBytes: number;
  }[];
}

export interface PullOptions {
  /** Default: the puller's. */
  readonly platform?: Platform;
  /** Told whenever more has come. */
  readonly onProgress?: (progress: PullProgress) => void;
}

export interface PullerOptions {
  readonly store: ImageStore;
  readonly content: ContentStore;
  readonly leases: Leases;
  readonly layers: LayerPuller;
  readonly access: RegistryAccess;
  readonly policy: PolicyLocation;
  readonly platform: Platform;
  readonly layersAtOnce: number;
  readonly keepLayerBlobs: boolean;
  /** How long what a failed pull has got is kept for the next try, ms. */
  readonly retryGraceMs: number;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  /** Called when layers will probably have to be unpacked. */
  readonly warm: () => void;
  /** Called after an image was recorded. */
  readonly onPulled: () => void;
  /** Called when something may have become garbage. */
  readonly onReleased: () => void;
  readonly log: Log;
}

/** Failed pulls whose layers are kept for their next try. */
const mostGraces = 200;

interface ActivePull {
  readonly reference: string;
  readonly startedAtMs: number;
  layers: { readonly digest: string; readonly sizeBytes: number; receivedBytes: number }[];
}

export class ImagePuller {
  readonly #options: PullerOptions;
  readonly #flights = new SingleFlight<Image>();
  readonly #active = new Map<string, ActivePull>();
  readonly #graces = new Map<NodeJS.Timeout, Lease>();
  /** Who wants to know of the progress of which flight. */
  readonly #listeners = new Map<(progress: PullProgress) => void, string>();
  #lastId = 0;
  #receivedBytes = 0;

  constructor(options: PullerOptions) {
    this.#options = options;
  }

  /** Bytes of layers received since the start, those of pulls that failed too. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Pulls under way. */
  progress(): readonly PullProgress[] {
    return [...this.#active.values()].map((pull) => ({
      ...pull,
      layers: pull.layers.map((layer) => ({ ...layer })),
    }));
  }

  /** See ImageService.pull in contract.ts. */
  async pull(
    reference: ImageReference,
    credentials: PullCredentials | undefined,
    signal: AbortSignal,
    options: PullOptions = {},
  ): Promise<Image> {
    const name = formatReference(reference);
    const platform = options.platform ?? this.#options.platform;
    const key = JSON.stringify([name, credentials ?? null, formatPlatform(platform)]);
    const { onProgress } = options;
    if (onProgress) this.#listeners.set(onProgress, key);
    try {
      return await this.#flights.run(key, signal, (flight) =>
        this.#pull(reference, credentials, { key, platform }, flight),
      );
    } catch (error) {
      if (signal.aborted) throw abortError(signal, `pulling ${name}`);
      throw asPullError(error, name);
    } finally {
      if (onProgress) this.#listeners.delete(onProgress);
    }
  }

  #tell(key: string, pull: ActivePull): void {
    for (const [listener, of] of this.#listeners) if (of === key) listener(pull);
  }

  /** Lets go of what is kept for a next try. */
  close(): void {
    for (const [timer, lease] of this.#graces) {
      clearTimeout(timer);
      lease.release();
    }
    this.#graces.clear();
  }

  async #pull(
    reference: ImageReference,
    credentials: PullCredentials | undefined,
    { key, platform }: { readonly key: string; readonly platform: Platform },
    signal: AbortSignal,
  ): Promise<Image> {
    const { content, leases, access, policy, log, nowMs } = this.#options;
    this.#lastId += 1;
    const pullId = String(this.#lastId);
    const name = formatReference(reference);
    const active: ActivePull = { reference: name, startedAtMs: nowMs(), layers: [] };
    this.#active.set(pullId, active);
    const lease = leases.open();
    let client: ReturnType<typeof openClient> | undefined;
    try {
      const requirements = requirementsFor(policy, reference);
      checkNotRejected(requirements, reference);
      const source = await openSource(reference, credentials, access, signal);
      client = openClient(source);
      // While the registry is asked, the process that will unpack starts; an image that is here will hardly need it.
      if (!this.#options.store.find(name)) this.#options.warm();
      const asking = { client, content, lease, platform, signal };
      const resolved = await step('pull-image/resolve', () => resolveImage(reference, asking));
      const digests = [resolved.topDigest, resolved.manifestDigest];
      await verifySignatures(requirements, { reference, digests }, client, signal);
      const { diffIds, config, fileNames, artifactType } = resolved;
      const chainIds = chainIdsOf(diffIds);
      for (const chainId of chainIds) lease.hold(chainId);
      for (const { digest } of resolved.layers) lease.hold(digest);
      active.layers = resolved.layers.map(({ digest, sizeBytes }) => ({
        digest,
        sizeBytes,
        receivedBytes: 0,
      }));
      this.#tell(key, active);
      await this.#options.layers.ensureAll(
        {
          pullId,
          source: { ...source, grants: client.grants() },
          layers: resolved.layers,
          diffIds,
          chainIds,
          ...(fileNames && { fileNames }),
          limiter: new Limiter(this.#options.layersAtOnce),
          onBytes: (index, receivedBytes) => {
            const layer = active.layers[index]!;
            // A fetch that begins anew counts from nothing again.
            this.#receivedBytes += Math.max(0, receivedBytes - layer.receivedBytes);
            layer.receivedBytes = receivedBytes;
            this.#tell(key, active);
          },
        },
        signal,
      );
      const kept =
        this.#options.keepLayerBlobs && !fileNames ? resolved.layers.map(({ digest }) => digest) : [];
      const names = [`${nameOf(reference)}@${resolved.topDigest}`];
      if (reference.tag !== undefined) names.push(name);
      const { id, sizeBytes, blobs } = resolved;
      const record = {
        id,
        chainId: chainIds.at(-1),
        sizeBytes,
        config,
        artifactType,
        blobs: [...blobs, ...kept],
      };
      const image = await step('pull-image/record', () => this.#options.store.put(record, names));
      lease.release();
      log.info(
        { reference: name, image: id, sizeBytes, ms: Math.round(nowMs() - active.startedAtMs) },
        'image pulled',
      );
      this.#options.onPulled();
      return image;
    } catch (error) {
      if (signal.aborted) log.info({ reference: name }, 'pull given up: nobody waits for it any more');
      // Every call that waits for it logs its failure.
      else log.debug({ reference: name, err: error }, `pulling ${name} failed: ${messageOf(error)}`);
      this.#keepForRetry(lease);
      throw error;
    } finally {
      client?.close();
      this.#active.delete(pullId);
    }
  }

  /**
   * The kubelet tries again, after minutes at most: layers that are done by now need not be fetched twice. Only the lease is
   * kept, not what else the pull knew, secrets least of all; and not those of any number of pulls.
   */
  #keepForRetry(lease: Lease): void {
    if (lease.isEmpty) return;
    const timer = setTimeout(() => this.#endGrace(timer), this.#options.retryGraceMs);
    timer.unref();
    this.#graces.set(timer, lease);
    const [oldest] = this.#graces.keys();
    if (this.#graces.size > mostGraces) this.#endGrace(oldest!);
  }

  #endGrace(timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.#graces.get(timer)?.release();
    this.#graces.delete(timer);
    this.#options.onReleased();
  }
}

/** What the CRI wants said: failures without a class, with the words that the kubelet puts into the pod's events. */
function asPullError(error: unknown, name: string): RuntimeError {
  if (
    isRuntimeError(error) &&
    ['Unknown', 'Canceled', 'DeadlineExceeded', 'InvalidArgument'].includes(error.kind)
  )
    return error;
  if (isRuntimeError(error)) return new RuntimeError('Unknown', error.message, { cause: error });
  return new RuntimeError('Unknown', `pulling ${name}: ${messageOf(error)}`, { cause: error });
}
