/** What the operations on images are made of. */
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { step } from '#base/step.ts';
import type { ContentStore } from '../content/content-store.ts';
import type { Image, PullRequest } from '../contract.ts';
import type { Lease, Leases } from '../gc.ts';
import type { ImageStore } from '../image-store.ts';
import type { LayerPuller } from '../layer-puller.ts';
import type { Platform } from '../manifest.ts';
import type { PullProgress } from '../pull.ts';
import type { ImageReference } from '../reference.ts';
import type { RegistryAccess } from '../registry/open.ts';
import type { LayerSnapshotter } from '../snapshots/snapshotter.ts';
import type { UnpackLimits } from '../unpack/layer-writer.ts';
import type { LayerProcesses } from '../worker/layer-processes.ts';
import type { Staging, StagingPlace } from './staging.ts';

/**
 * Removes what was staged and lets go of what was held; then what nothing needs is collected. Never throws, so that the error
 * of what was done before is the one that is told: what cannot be removed now goes when the daemon starts next.
 */
export async function releaseStaged(
  { collect, log }: Pick<OperationParts, 'collect' | 'log'>,
  lease: Lease,
  place: StagingPlace,
): Promise<void> {
  lease.release();
  await step('staged-image/remove', async () => {
    try {
      await place.remove();
    } finally {
      collect();
    }
  }).catch((error: unknown) => log.warn({ err: error }, `staged files may stay: ${messageOf(error)}`));
}

export interface OperationParts {
  readonly store: ImageStore;
  readonly content: ContentStore;
  readonly leases: Leases;
  readonly layers: LayerPuller;
  readonly snapshotter: LayerSnapshotter;
  readonly processes: LayerProcesses;
  readonly staging: Staging;
  readonly access: RegistryAccess;
  readonly limits: UnpackLimits;
  readonly platform: Platform;
  /** The complete references that a name may stand for; throws InvalidArgument for what is none. */
  readonly complete: (text: string) => readonly ImageReference[];
  readonly pull: (
    request: PullRequest,
    onProgress: (progress: PullProgress) => void,
    signal: AbortSignal,
  ) => Promise<Image>;
  /** Removes what nothing needs. */
  readonly collect: () => void;
  /** Gets new layers and blobs onto the disk, in the background. */
  readonly flush: () => void;
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number;
  readonly log: Log;
}
