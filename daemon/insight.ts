/** What metrics and the status page look at. Everything is read from memory when it is asked for. */
import type { LifecycleSource } from '#cri/services.ts';
import type { Image } from '#images/contract.ts';
import type { PullProgress } from '#images/pull.ts';
import type { NetworkStatus } from '#network/pod-network.ts';
import type { ContainerRecord } from '#runtime/container/record.ts';
import type { SandboxRecord } from '#runtime/sandbox/record.ts';

export interface SnapshotFigures {
  readonly layers: number;
  readonly layerBytes: number;
  /** Writable snapshots and views. */
  readonly active: number;
}

export interface NodeInsight {
  /** Where images and state are. */
  readonly rootDir: string;
  readonly stateDir: string;
  readonly lifecycle: LifecycleSource;
  listSandboxes(): readonly SandboxRecord[];
  listContainers(): readonly ContainerRecord[];
  findContainer(id: string): ContainerRecord | undefined;
  listImages(): readonly Image[];
  listPulls(): readonly PullProgress[];
  /** Of layers, since the start. */
  pulledBytes(): number;
  snapshots(): SnapshotFigures;
  /** Execs, attaches and port forwards that clients have open. */
  streamingSessions(): number;
  networkStatus(): Promise<NetworkStatus>;
  isReady(): boolean;
}
