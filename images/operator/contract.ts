/**
 * What an operator's tool may ask of images beyond the CRI: `cri/admin` calls these, `operations.ts` answers. References as in
 * `../contract.ts`; what is meant by an ID may be the beginning of one.
 *
 * The compressed blobs of a pulled image are not kept, because a registry has them. Those of a loaded or committed one are, as
 * long as the image is here, because nobody else has them. Where a blob is wanted that is not here, it is fetched again from
 * where its image came from; where that fails too the layer is packed anew, which gives it, and the image, another digest.
 */
import type { Digest, Image, ImageId, PullCredentials } from '../contract.ts';
import type { PullProgress } from '../pull.ts';

export interface LayerProgress {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly doneBytes: number;
  readonly state: 'waiting' | 'transferring' | 'making' | 'done' | 'present' | 'mounted';
}

export interface OperatorPull {
  readonly reference: string;
  /** '' for this machine's. */
  readonly platform: string;
  readonly credentials: PullCredentials | undefined;
}

export interface PushRequest {
  readonly image: string;
  /** '' for the image's own name. */
  readonly target: string;
  readonly credentials: PullCredentials | undefined;
}

export interface PushResult {
  readonly reference: string;
  readonly imageId: ImageId;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly layersRemade: number;
}

export interface Removal {
  readonly untagged: readonly string[];
  readonly deleted: readonly ImageId[];
}

export interface LayerDetails {
  readonly diffId: Digest;
  readonly chainId: Digest;
  /** Undefined if it is unknown. */
  readonly blobDigest: Digest | undefined;
  readonly blobBytes: number;
  readonly diskBytes: number;
  readonly isBlobKept: boolean;
}

export interface ImageDetails {
  readonly image: Image;
  /** Undefined if none is known. */
  readonly manifest: { readonly digest: Digest; readonly text: string } | undefined;
  readonly layers: readonly LayerDetails[];
}

export interface LoadedImage {
  readonly id: ImageId;
  readonly names: readonly string[];
}

export type ArchiveFormat = 'oci' | 'docker';

/** The writable layer of a container that stands still or has ended. */
export interface LayerSource {
  readonly snapshotKey: string;
  readonly imageId: ImageId;
  /** Paths in the container, absolute, that mounts were made on: not its own. */
  readonly mountTargets: readonly string[];
}

export interface CommitOptions {
  /** '' for none. */
  readonly reference: string;
  readonly author: string;
  readonly message: string;
  /** Lines as of a Dockerfile. */
  readonly changes: readonly string[];
}

export interface FileChange {
  readonly kind: 'A' | 'C' | 'D';
  /** Absolute in the container, as bytes. */
  readonly path: Buffer;
}

export interface ImageUsage {
  readonly image: Image;
  readonly sharedBytes: number;
  readonly uniqueBytes: number;
  /** Milliseconds since the epoch, from the image config; 0 if it does not say. */
  readonly createdAtMs: number;
}

export interface StoreUsage {
  readonly images: readonly ImageUsage[];
  /** All layers, each once. */
  readonly layerBytes: number;
  readonly blobBytes: number;
  /** What no image needs. */
  readonly unneededBytes: number;
}

export interface PruneRequest {
  readonly isDryRun: boolean;
  /** Images with names too. */
  readonly isAll: boolean;
  /** Milliseconds since the epoch; undefined for any. */
  readonly createdBeforeMs: number | undefined;
}

export interface PruneResult {
  readonly images: readonly LoadedImage[];
  readonly freedBytes: number;
}

export interface ImageOperations {
  /** As ImageService.pull, for a platform of choice; `onProgress` is told whenever more has come. */
  pull(
    request: OperatorPull,
    onProgress: (progress: PullProgress) => void,
    signal: AbortSignal,
  ): Promise<Image>;
  /** Idempotent: what the registry has is not sent again. Throws NotFound, InvalidArgument, Unknown (registry), Canceled. */
  push(
    request: PushRequest,
    onProgress: (layers: readonly LayerProgress[]) => void,
    signal: AbortSignal,
  ): Promise<PushResult>;
  /** Throws Unauthenticated, Unknown (no answer), InvalidArgument. */
  verifyLogin(registry: string, credentials: PullCredentials, signal: AbortSignal): Promise<void>;
  /** Points another name at an image. Idempotent. Throws NotFound, InvalidArgument. */
  tag(image: string, target: string): Promise<{ readonly reference: string; readonly id: ImageId }>;
  /**
   * Takes the name `reference` away, or by ID the whole image. The image goes with its last name. Throws NotFound, and
   * FailedPrecondition without `isForced` where an ID has several names or `users` are given for an image that would go.
   */
  remove(reference: string, isForced: boolean, usersOf: (id: ImageId) => readonly string[]): Promise<Removal>;
  /** The complete name that `reference` finds an image by; undefined if there is none, or it is found by its ID. Throws InvalidArgument. */
  findName(reference: string): string | undefined;
  /** Throws NotFound. */
  describe(reference: string): ImageDetails;
  /**
   * Images of an archive as it streams in, all or none of them. `tag` names the only one. Throws InvalidArgument for an archive
   * that is refused, ResourceExhausted, Canceled.
   */
  load(archive: AsyncIterable<Buffer>, tag: string, signal: AbortSignal): Promise<readonly LoadedImage[]>;
  /** Sends an archive in pieces; `onStart` is told before how many layers were packed anew. Throws NotFound, Canceled. */
  save(
    references: readonly string[],
    format: ArchiveFormat,
    onStart: (layersRemade: number) => Promise<void>,
    send: (piece: Buffer) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** An image of another and a writable layer. Throws NotFound, InvalidArgument (changes, name), ResourceExhausted, Canceled. */
  commit(source: LayerSource, options: CommitOptions, signal: AbortSignal): Promise<ImageId>;
  /** What a writable layer changes, some at a time. Throws NotFound, Canceled. */
  listChanges(
    source: LayerSource,
    send: (changes: readonly FileChange[]) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  usage(): Promise<StoreUsage>;
  /** Removes images that nothing uses, or says which it would. */
  prune(request: PruneRequest, usersOf: (id: ImageId) => readonly string[]): Promise<PruneResult>;
}
