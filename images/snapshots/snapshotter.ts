/**
 * Snapshots, from the side that fills them. To those who run containers a snapshotter is `Snapshotter` (contract.ts).
 *
 * A layer is a committed snapshot, named by the chain ID of the stack that it tops; its parent is the layer below. Active
 * snapshots and views, named by their keys, stand on layers and are nobody's parent. A layer is unpacked in a place of its
 * own, invisible, then committed: from then on it never changes, until it is removed, which its children must be first.
 *
 * The record of a snapshot and its directory agree at any time but the instant of making or removing one: the record goes
 * first when one is removed, the directory when one is made. `recover` removes whatever a death in that instant left.
 */
import type { ChainId, Snapshotter } from '../contract.ts';

/** Where a layer is unpacked. */
export interface UnpackPlace {
  readonly id: string;
  /** Becomes the layer; to be made by whoever unpacks. */
  readonly directory: string;
  /** A list of the directories that the layer implies, if it has such. */
  readonly impliedPath: string;
}

export interface NewLayer {
  readonly chainId: ChainId;
  /** Must be committed already. */
  readonly parent: ChainId | undefined;
  readonly place: UnpackPlace;
  readonly usedBytes: number;
  readonly inodes: number;
}

export interface Layer {
  readonly chainId: ChainId;
  readonly parent: ChainId | undefined;
  readonly usedBytes: number;
  readonly inodes: number;
}

export interface SnapshotUsage {
  readonly usedBytes: number;
  readonly inodesUsed: number;
}

export interface LayerSnapshotter extends Snapshotter {
  /** What its directories hold: changes in the form of overlayfs, or whole trees. */
  readonly treeForm: 'overlay' | 'whole';
  hasLayer(chainId: ChainId): boolean;
  listLayers(): Layer[];
  /** Directories of the layer and those below it, topmost first. Throws NotFound. */
  layerDirs(chainId: ChainId): string[];
  /** A place for a layer to be unpacked in, on the file system where it will stay. */
  startLayer(): UnpackPlace;
  /** Makes the unpacked layer visible. Idempotent: if the chain ID exists, the place is given up. Throws NotFound for an unknown parent. */
  commitLayer(layer: NewLayer): Promise<void>;
  /** Gives a place up, with what was unpacked there. Idempotent. */
  abandonLayer(place: UnpackPlace): void;
  /** Removes a layer. Idempotent. Throws FailedPrecondition while a snapshot stands on it. */
  removeLayer(chainId: ChainId): void;
  /** Chain IDs that active snapshots and views stand on. */
  layersInUse(): ChainId[];
  /** Has `listener` called after an active snapshot or view was removed: its layers may have become unneeded. */
  onRemoved(listener: () => void): void;
  /** Notes that all layers committed before `flush` was called have reached the disk once it resolves. */
  markDurable(flush: () => Promise<void>): Promise<void>;
  /** Bytes and inodes of all snapshots. Layers were counted once; writable directories whose count is old are looked at again, for the next call. */
  totalUsage(): Promise<SnapshotUsage>;
  /** Removes leftovers of an earlier life, and layers that a power cut may have torn. Returns the chain IDs of those dropped. */
  recover(): ChainId[];
  /** Resolves when the files of everything that was removed are gone. */
  settled(): Promise<void>;
}
