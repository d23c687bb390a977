/** What `cri/admin` may ask of containers' writable layers and of what uses images; see `writable-layer.ts`. */
import type { ImageId } from '#images/contract.ts';
import type { LayerSource } from '#images/operator/contract.ts';

export interface ContainerLayers {
  /** Calls `work` with a container's writable layer; see WritableLayers.use. */
  use<T>(
    id: string,
    isPaused: boolean,
    work: (source: LayerSource, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** Ids of the containers that use an image, as their own or as a volume. */
  usersOf(image: ImageId): readonly string[];
  /** What each container occupies: its writable layer, and its anonymous volumes by path. */
  usage(): Promise<readonly ContainerUsage[]>;
}

export interface ContainerUsage {
  readonly id: string;
  readonly writableBytes: number;
  readonly volumes: readonly { readonly path: string; readonly usedBytes: number }[];
}
