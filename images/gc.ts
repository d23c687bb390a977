/**
 * What is kept: the blobs of images, the layers of images and of snapshots in use, and whatever a pull under way holds.
 * Everything else goes. There is no other way by which a blob or layer is removed, so nothing can be forgotten.
 */
import type { ContentStore } from './content/content-store.ts';
import type { ChainId, Digest } from './contract.ts';
import type { ImageStore } from './image-store.ts';
import type { Layer, LayerSnapshotter } from './snapshots/snapshotter.ts';

/** Blobs and layers that a pull has in hand before an image record names them. */
export class Leases {
  readonly #held = new Map<Digest, number>();

  /** A new lease, empty. */
  open(): Lease {
    const mine = new Set<Digest>();
    return {
      get isEmpty() {
        return mine.size === 0;
      },
      hold: (digest) => {
        if (mine.has(digest)) return;
        mine.add(digest);
        this.#held.set(digest, (this.#held.get(digest) ?? 0) + 1);
      },
      release: () => {
        for (const digest of mine) {
          const left = (this.#held.get(digest) ?? 1) - 1;
          if (left === 0) this.#held.delete(digest);
          else this.#held.set(digest, left);
        }
        mine.clear();
      },
    };
  }

  isHeld(digest: Digest): boolean {
    return this.#held.has(digest);
  }
}

export interface Lease {
  /** Whether it keeps nothing. */
  readonly isEmpty: boolean;
  /** Keeps a blob or layer, whether it exists yet or not. */
  hold(digest: Digest): void;
  /** Lets go of everything. Idempotent. */
  release(): void;
}

export interface Kept {
  readonly store: ImageStore;
  readonly content: ContentStore;
  readonly snapshotter: LayerSnapshotter;
  readonly leases: Leases;
}

/** The layers that nothing needs, each before the one it stands on. Pure. */
export function unneededLayers(layers: readonly Layer[], isRoot: (chainId: ChainId) => boolean): ChainId[] {
  const byId = new Map(layers.map((layer) => [layer.chainId, layer]));
  const needed = new Set<ChainId>();
  for (const { chainId } of layers) {
    if (!isRoot(chainId)) continue;
    for (
      let next: ChainId | undefined = chainId;
      next !== undefined && !needed.has(next);
      next = byId.get(next)?.parent
    )
      needed.add(next);
  }
  const order: ChainId[] = [];
  const heights = new Map<ChainId, number>();
  const heightOf = (chainId: ChainId): number => {
    // Counted from the bottom without recursion: stacks can be hundreds of layers high.
    const path: ChainId[] = [];
    for (
      let next: ChainId | undefined = chainId;
      next !== undefined && !heights.has(next);
      next = byId.get(next)?.parent
    )
      path.push(next);
    for (const id of path.reverse()) {
      const parent = byId.get(id)?.parent;
      heights.set(id, 1 + (parent === undefined ? 0 : (heights.get(parent) ?? 0)));
    }
    return heights.get(chainId)!;
  };
  for (const { chainId } of layers) if (!needed.has(chainId)) order.push(chainId);
  return order.sort((a, b) => heightOf(b) - heightOf(a));
}

/** Removes what nothing needs. Records and names go at once, files in the background. Returns what went. */
export function collectGarbage(kept: Kept): { blobs: Digest[]; layers: ChainId[] } {
  const { store, content, snapshotter, leases } = kept;
  const records = store.records();
  const chainIds = new Set<ChainId>(snapshotter.layersInUse());
  const blobs = new Set<Digest>();
  for (const record of records) {
    if (record.chainId !== undefined) chainIds.add(record.chainId);
    for (const digest of record.blobs) blobs.add(digest);
  }
  const layers = unneededLayers(
    snapshotter.listLayers(),
    (chainId) => chainIds.has(chainId) || leases.isHeld(chainId),
  );
  for (const chainId of layers) snapshotter.removeLayer(chainId);
  const unneeded = content.list().filter((digest) => !blobs.has(digest) && !leases.isHeld(digest));
  for (const digest of unneeded) content.remove(digest);
  return { blobs: unneeded, layers };
}
