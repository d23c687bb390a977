/** Where everything of a sandbox and a container stands, derived from its id alone, so that clean-up needs no record. */
import { dirname, join, normalize } from 'node:path';

export interface RuntimeRoots {
  /** Survives a reboot (/var/lib/berth). */
  readonly root: string;
  /** Forgotten by a reboot (/run/berth). */
  readonly state: string;
  /** Where network namespaces are pinned, so that `ip netns` sees them (/run/netns). */
  readonly netns: string;
}

export class RuntimePaths {
  readonly roots: RuntimeRoots;
  readonly exits: string;
  readonly sockets: string;
  /** There while the kernel's grace periods are shortened; see host/grace-periods.ts. */
  readonly gracePeriodNote: string;
  readonly namespaces: string;
  /** Log folders of managed pods, each removed with its pod. */
  readonly logs: string;
  /** Volumes with names, a folder each. */
  readonly namedVolumes: string;

  constructor(roots: RuntimeRoots) {
    this.roots = roots;
    this.exits = join(roots.state, 'exits');
    this.sockets = join(roots.state, 'attach');
    this.gracePeriodNote = join(roots.state, 'rcu-expedited');
    this.namespaces = join(roots.state, 'namespaces');
    this.logs = join(roots.root, 'logs');
    this.namedVolumes = join(roots.root, 'named-volumes');
  }

  /** Files of a sandbox: resolv.conf, hostname, hosts, shm. */
  sandbox(id: string): string {
    return join(this.roots.state, 'sandboxes', id);
  }

  netns(sandboxId: string): string {
    return join(this.roots.netns, `berth-${sandboxId.slice(0, 24)}`);
  }

  ipcns(sandboxId: string): string {
    return join(this.namespaces, `${sandboxId}.ipc`);
  }

  utsns(sandboxId: string): string {
    return join(this.namespaces, `${sandboxId}.uts`);
  }

  userns(sandboxId: string): string {
    return join(this.namespaces, `${sandboxId}.user`);
  }

  bundle(containerId: string): string {
    return join(this.roots.state, 'bundles', containerId);
  }

  rootfs(containerId: string): string {
    return join(this.bundle(containerId), 'rootfs');
  }

  /** Anonymous volumes of a container. */
  volumes(containerId: string): string {
    return join(this.roots.root, 'volumes', containerId);
  }

  /** A container's checkpoint that waits to be gone on from; CRIU's images may be large, so not below /run. */
  restore(containerId: string): string {
    return join(this.roots.root, 'restores', containerId);
  }

  /** Where a checkpoint of a container is gathered before it is one file. */
  capture(containerId: string): string {
    return join(this.roots.root, 'captures', containerId);
  }

  /** Whether a log folder is one that goes with its pod: directly below `logs`. */
  isOwnLogFolder(logDirectory: string): boolean {
    return logDirectory !== '' && dirname(normalize(logDirectory)) === normalize(this.logs);
  }

  exitFile(containerId: string): string {
    return join(this.exits, containerId);
  }
}
