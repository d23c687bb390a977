/**
 * Images: what the rest of Berth may ask of them.
 *
 * An image is one config blob, whose digest is the image ID, with the layers that it names. (An OCI artifact that is no
 * container image is one manifest, whose digest is the ID, and each of its blobs a layer that holds one file.) References (tags, digests)
 * point at images. A layer is unpacked once, as a committed snapshot named by its chain ID (OCI image-spec, config.md),
 * and shared by every image whose layers begin alike. A container gets an active snapshot over the chain ID of its image:
 * a directory of its own above the shared, read-only ones. Nothing becomes visible before its digests were verified.
 */
import type { MountSpec } from '#host/mount.ts';

/** `sha256:` and 64 hexadecimal digits (or sha512). */
export type Digest = string & { readonly brand: 'Digest' };
/** The digest of the config blob; of an artifact, that of the manifest. */
export type ImageId = Digest & { readonly of: 'image' };
/** Names a stack of unpacked layers. */
export type ChainId = Digest & { readonly of: 'chain' };

/** The part of an OCI image config that running a container needs (image-spec config.md, `config`). */
export interface ImageConfig {
  readonly user: string;
  /** `NAME=value` entries, in order. */
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly workingDir: string;
  /** Absolute paths inside the container. */
  readonly volumes: readonly string[];
  /** A signal name or number as the image spells it; '' when unset. */
  readonly stopSignal: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Image {
  readonly id: ImageId;
  /** `name:tag` references that point here. */
  readonly repoTags: readonly string[];
  /** `name@digest`, the digest being that of the manifest or index that was pulled. */
  readonly repoDigests: readonly string[];
  /** Bytes of the image's blobs; never 0. */
  readonly sizeBytes: number;
  readonly isPinned: boolean;
  readonly config: ImageConfig;
  /** The whole OCI image config as pulled (of an artifact, the manifest), for verbose replies. */
  readonly rawConfig: string;
  /** The stack of all layers; undefined for an image without layers. */
  readonly chainId: ChainId | undefined;
  /** The media type of an OCI artifact: files to be mounted as an image volume, nothing to run. Left out for a container image. */
  readonly artifactType?: string;
}

/** Credentials of one pull (CRI AuthConfig). */
export interface PullCredentials {
  readonly username: string;
  readonly password: string;
  /** base64 of `user:password`. */
  readonly auth: string;
  readonly serverAddress: string;
  readonly identityToken: string;
  readonly registryToken: string;
}

export interface PullRequest {
  readonly reference: string;
  readonly credentials: PullCredentials | undefined;
  /** `os/architecture` or `os/architecture/variant`, where it is not this machine's. */
  readonly platform?: string;
}

export interface FilesystemUsage {
  readonly mountPoint: string;
  readonly usedBytes: number;
  readonly inodesUsed: number;
}

export interface ImageService {
  /** Every image, dangling ones too. From memory. */
  list(): readonly Image[];
  /** By ID, unique ID prefix, tag or digest reference; undefined if there is none. Throws InvalidArgument for what is no reference. */
  find(reference: string): Image | undefined;
  /**
   * Pulls and unpacks; idempotent, and joined by callers asking for the same. Errors: InvalidArgument (reference),
   * Unknown with the registry's words (so that the kubelet shows them; see CRI api errors), beginning with RegistryUnavailable
   * or SignatureValidationFailed where that is why; Canceled, DeadlineExceeded.
   */
  pull(request: PullRequest, signal: AbortSignal): Promise<Image>;
  /** Removes the image that `reference` finds, with all its references. Idempotent. Its layers stay while a container uses them. */
  remove(reference: string): Promise<void>;
  /** All bytes that Berth owns in its store: blobs, layers, writable layers. */
  usage(): Promise<FilesystemUsage>;
}

/** What a container's root file system is made of: mount it at a directory of the caller's choice. */
export interface Snapshot {
  readonly key: string;
  readonly mount: MountSpec;
  /** The writable directory, for usage and volumes; undefined for a view. */
  readonly upperDir: string | undefined;
  /** Read-only layer directories, topmost first. */
  readonly lowerDirs: readonly string[];
}

export interface Snapshotter {
  /**
   * An active snapshot above `parent`. Idempotent: the same key gives the same snapshot. Throws NotFound for an unknown chain ID.
   * The caller mounts and unmounts it.
   */
  prepare(key: string, parent: ChainId | undefined): Promise<Snapshot>;
  /** A read-only snapshot of `parent`, for image volumes. */
  view(key: string, parent: ChainId): Promise<Snapshot>;
  find(key: string): Snapshot | undefined;
  /** Keys of all active snapshots and views. */
  listKeys(): string[];
  /** Removes an active snapshot or view and its files; idempotent. It must not be mounted. */
  remove(key: string): Promise<void>;
  /** Bytes (blocks) and inodes of the writable directory; each inode once. */
  usage(key: string): Promise<{ usedBytes: number; inodesUsed: number }>;
}
