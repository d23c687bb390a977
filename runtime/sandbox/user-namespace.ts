/**
 * User namespaces of pods (CRI UserNamespace, Kubernetes KEP-127): ids inside are shifted outside. Files on disk keep
 * their owners; the layers are seen through one idmapped mount per pod.
 */
import { chownSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf, RuntimeError } from '#base/errors.ts';
import { idmapMount } from '#host/idmap.ts';
import { listMounts, type MountSpec, unmountAll } from '#host/mount.ts';
import type { Snapshot } from '#images/contract.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import type { RuntimePaths } from '../paths.ts';
import type { SandboxConfig } from './config.ts';
import type { SandboxRecord } from './record.ts';

/** Throws FailedPrecondition if the handler cannot run a pod with a user namespace. */
export function checkUserNamespaceSupport(config: SandboxConfig, handler: CliRuntime): void {
  if (config.security.namespaces.userns === undefined || handler.features.hasUserNamespaces) return;
  throw new RuntimeError(
    'FailedPrecondition',
    `pod ${config.metadata.namespace}/${config.metadata.name} wants a user namespace, which handler ${handler.name} (${handler.features.version}) cannot give: it needs crun 1.9 or runc 1.2`,
  );
}

/** The host's id of id 0 inside, 0 without a user namespace. */
export function rootOwner(config: SandboxConfig): { uid: number; gid: number } {
  const userns = config.security.namespaces.userns;
  const hostIdOfRoot = (ranges: readonly { hostId: number; containerId: number; length: number }[] = []) => {
    const range = ranges.find((candidate) => candidate.containerId === 0);
    return range?.hostId ?? 0;
  };
  return { uid: hostIdOfRoot(userns?.uids), gid: hostIdOfRoot(userns?.gids) };
}

/** The folder of layers as the pods with a user namespace see it. */
export class MappedLayers {
  readonly #paths: RuntimePaths;
  /** Where the snapshotter keeps its layers: every directory named in a snapshot's mount is below it. */
  readonly #layersRoot: string;

  constructor(options: { readonly paths: RuntimePaths; readonly layersRoot: string }) {
    this.#paths = options.paths;
    this.#layersRoot = options.layersRoot;
  }

  /** Short, for up to 127 of them share one page of mount options. */
  #mountPoint(sandboxId: string): string {
    return join(this.#paths.roots.state, 'm', sandboxId.slice(0, 16));
  }

  /**
   * The mount of `snapshot` as the pod's user namespace sees it; unchanged for a pod without one. Makes the idmapped mount on
   * first use. Only layers are seen through it: overlayfs makes its own files as the host's root, whom the mapping does not
   * know, so the writable directory belongs to the pod's root on disk.
   */
  translate(sandbox: SandboxRecord, snapshot: Snapshot): MountSpec {
    const { mount, upperDir } = snapshot;
    if (sandbox.usernsPath === '') return mount;
    const point = this.#mountPoint(sandbox.id);
    if (!listMounts().some((entry) => entry.mountPoint === point)) {
      mkdirSync(point, { recursive: true, mode: 0o711 });
      idmapMount(this.#layersRoot, point, sandbox.usernsPath);
    }
    if (upperDir !== undefined) {
      const { uid, gid } = rootOwner(sandbox.config);
      chownSync(upperDir, uid, gid);
    }
    const replace = (text: string) => text.replaceAll(`${this.#layersRoot}/`, `${point}/`);
    const options = mount.data
      .split(',')
      .map((option) => (option.startsWith('lowerdir=') ? replace(option) : option));
    return { ...mount, source: replace(mount.source), data: options.join(',') };
  }

  /** Idempotent. */
  release(sandboxId: string): void {
    const point = this.#mountPoint(sandboxId);
    unmountAll(point);
    try {
      rmdirSync(point);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}
