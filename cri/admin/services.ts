/** What the admin service's RPCs are made of. Everything arrives by constructor from `daemon/wiring.ts`. */

import type { ImageOperations } from '#images/operator/contract.ts';
import type { DetachedExecs } from '#runtime/container/detached-exec.ts';
import type { ContainerManager } from '#runtime/contract.ts';
import type { ContainerOperations } from '#runtime/operator/contract.ts';
import type { HostPorts } from '#runtime/operator/host-ports.ts';
import type { ContainerLayers } from '#runtime/operator/layer-contract.ts';
import type { VolumeOperations } from '#runtime/volumes/contract.ts';
import type { RuntimeFacts, StreamingUrls } from '../services.ts';

/** What Info tells beyond the facts that the CRI's Status has. */
export interface NodeFacts {
  readonly rootDir: string;
  /** Log folders of managed pods are made in it. */
  readonly logRoot: string;
  readonly cgroupVersion: 1 | 2;
  readonly snapshotter: string;
  readonly startedAtNs: bigint;
}

export interface AdminServices {
  readonly facts: RuntimeFacts;
  readonly node: NodeFacts;
  readonly containers: Pick<ContainerManager, 'get'>;
  readonly streaming: StreamingUrls;
  readonly operations: ContainerOperations;
  readonly images: ImageOperations;
  readonly layers: ContainerLayers;
  readonly detached: Pick<DetachedExecs, 'start'>;
  readonly volumes: VolumeOperations;
  readonly ports: Pick<HostPorts, 'choose'>;
}
