/** Requested mounts against the host: sources followed and made, propagation possible. CRI Mount; mount_namespaces(7). */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { messageOf, RuntimeError } from '#base/errors.ts';
import { ensureHostPath } from '#host/host-path.ts';
import { coveringMount, listMounts, type MountInfo } from '#host/mount.ts';
import { isGivenToPrivileged } from '../spec/devices.ts';
import type { ResolvedMount } from '../spec/inputs.ts';
import type { OciDevice } from '../spec/oci-spec.ts';
import type { RequestedDevice, RequestedMount } from './config.ts';

function checkPropagation(mount: RequestedMount, source: string, mounts: readonly MountInfo[]): void {
  const cover = coveringMount(source, mounts);
  const has = (prefix: string) => cover?.optional.some((field) => field.startsWith(prefix)) ?? false;
  if (mount.propagation === 'bidirectional' && !has('shared:'))
    throw new RuntimeError(
      'FailedPrecondition',
      `mount ${mount.hostPath} with bidirectional propagation: ${cover?.mountPoint ?? '/'} is not a shared mount; run: mount --make-rshared ${cover?.mountPoint ?? '/'}`,
    );
  if (mount.propagation === 'hostToContainer' && !has('shared:') && !has('master:'))
    throw new RuntimeError(
      'FailedPrecondition',
      `mount ${mount.hostPath} with host-to-container propagation: ${cover?.mountPoint ?? '/'} is neither a shared nor a slave mount; run: mount --make-rshared ${cover?.mountPoint ?? '/'}`,
    );
}

/**
 * One mount of a host path, ready for the spec. A missing one is made as a folder: hostPath volumes without a type are not made by
 * the kubelet, and its users count on the runtime. `sh` is the path of a shell. Throws InvalidArgument, FailedPrecondition, Canceled.
 */
export async function resolveHostMount(
  mount: RequestedMount,
  mounts: () => readonly MountInfo[],
  sh: string,
  signal: AbortSignal,
): Promise<ResolvedMount> {
  const hostPath = await ensureHostPath(mount.hostPath, sh, signal);
  if (mount.propagation !== 'private') checkPropagation(mount, hostPath, mounts());
  return {
    containerPath: mount.containerPath,
    hostPath,
    isReadonly: mount.isReadonly,
    isRecursiveReadonly: mount.isRecursiveReadonly,
    propagation: mount.propagation,
    uidMappings: mount.uidMappings,
    gidMappings: mount.gidMappings,
    extraOptions: mount.mountOptions ?? [],
  };
}

/** A mount table that is read at most once, and only when asked for. */
export function lazyMounts(): () => readonly MountInfo[] {
  let mounts: MountInfo[] | undefined;
  return () => {
    mounts ??= listMounts();
    return mounts;
  };
}

export interface HostDevice {
  readonly device: OciDevice;
  readonly access: string;
}

/** Of a stat's rdev, by glibc's encoding of dev_t (gnu_dev_major, gnu_dev_minor). */
export function deviceNumber(rdev: number): { major: number; minor: number } {
  return {
    major: Math.floor(rdev / 256) % 4096,
    minor: (rdev % 256) + Math.floor(rdev / 1_048_576) * 256,
  };
}

function deviceAt(hostPath: string, containerPath: string, access: string): HostDevice | undefined {
  const stat = statSync(hostPath);
  if (!stat.isCharacterDevice() && !stat.isBlockDevice()) return undefined;
  return {
    device: {
      path: containerPath,
      type: stat.isBlockDevice() ? 'b' : 'c',
      ...deviceNumber(stat.rdev),
      fileMode: stat.mode & 0o7777,
      uid: stat.uid,
      gid: stat.gid,
    },
    access,
  };
}

function* devicesBelow(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* devicesBelow(path);
    else if (entry.isCharacterDevice() || entry.isBlockDevice()) yield path;
  }
}

/** Requested devices; a folder stands for every device below it. Throws InvalidArgument for what is no device. */
export function resolveDevices(requested: readonly RequestedDevice[]): HostDevice[] {
  return requested.flatMap((request) => {
    const target = request.containerPath || request.hostPath;
    let isDirectory: boolean;
    try {
      isDirectory = statSync(request.hostPath).isDirectory();
    } catch (error) {
      throw new RuntimeError('InvalidArgument', `device ${request.hostPath}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    if (!isDirectory) {
      const device = deviceAt(request.hostPath, target, request.permissions);
      if (!device) throw new RuntimeError('InvalidArgument', `${request.hostPath} is not a device`);
      return [device];
    }
    return [...devicesBelow(request.hostPath)].flatMap(
      (path) => deviceAt(path, join(target, relative(request.hostPath, path)), request.permissions) ?? [],
    );
  });
}

/** Every device of the host, for privileged containers. */
export function listHostDevices(): HostDevice[] {
  return readdirSync('/dev').flatMap((name) => {
    const path = join('/dev', name);
    if (!isGivenToPrivileged(path)) return [];
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (!stat) return [];
    const paths = stat.isDirectory() ? [...devicesBelow(path)] : [path];
    return paths.flatMap((found) => {
      const own = lstatSync(found, { throwIfNoEntry: false });
      if (!own || (!own.isCharacterDevice() && !own.isBlockDevice())) return [];
      return deviceAt(found, found, 'rwm') ?? [];
    });
  });
}
