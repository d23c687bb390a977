/** What is written on this machine for the volumes of pods, and taken away with them. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import { O_PATH, openWithoutLinks } from '#host/rooted.ts';
import { CommandError } from '../command.ts';
import type { ContainerPlan, PodFacts, PodPlan } from './plan.ts';
import { hostsText, mountSource, type PlayFolders, volumeFolder } from './request.ts';

/** Fails before anything is made where a folder of the host has to be there and is not. Throws CommandError. */
export function checkHostPaths(pod: PodPlan): void {
  for (const [name, volume] of Object.entries(pod.volumes)) {
    if (volume.kind !== 'host') continue;
    const found = statSync(volume.path, { throwIfNoEntry: false });
    const wrong = (what: string) =>
      new CommandError(`${pod.name}: volume ${name}: ${volume.path} ${what}`, {
        hint: 'It has to be there; type DirectoryOrCreate makes a folder.',
      });
    const tests: Readonly<Record<string, [string, () => boolean]>> = {
      Directory: ['is no folder', () => found!.isDirectory()],
      File: ['is no file', () => found!.isFile()],
      Socket: ['is no socket', () => found!.isSocket()],
      CharDevice: ['is no character device', () => found!.isCharacterDevice()],
      BlockDevice: ['is no block device', () => found!.isBlockDevice()],
      DirectoryOrCreate: ['is no folder', () => found!.isDirectory()],
      FileOrCreate: ['is no file', () => found!.isFile()],
    };
    const test = tests[volume.type];
    if (found === undefined && test !== undefined && !volume.type.endsWith('OrCreate'))
      throw wrong('is not there');
    if (found !== undefined && test?.[1]() === false) throw wrong(test[0]);
  }
}

/** Makes the folders and files of a pod's volumes, but for those of its containers' sub paths. */
export function writeVolumes(pod: PodPlan, facts: PodFacts, folders: PlayFolders): void {
  for (const [name, volume] of Object.entries(pod.volumes)) {
    const folder = volumeFolder(pod, name, volume, folders);
    if (volume.kind === 'host') makeHostPath(volume.path, volume.type);
    else if (volume.kind === 'scratch') {
      privateFolder(folder);
      // Containers of any user write there, as they may in a kubelet's.
      chmodSync(folder, 0o777);
      if (pod.volumeGroup !== undefined) giveToGroup(folder, pod.volumeGroup, 0o2777);
    } else if (volume.kind === 'files') {
      privateFolder(folder);
      for (const { path, content, mode } of volume.files) {
        const file = join(folder, path);
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, content(facts), { mode: 0o600 });
        chmodSync(file, mode);
        // A group of the volumes reads them, whatever the mode says for others.
        if (pod.volumeGroup !== undefined) giveToGroup(file, pod.volumeGroup, mode | ((mode & 0o700) >> 3));
      }
    }
  }
}

/** Only root comes into the folders of pods; containers get what is mounted. */
function privateFolder(folder: string): void {
  mkdirSync(dirname(dirname(folder)), { recursive: true, mode: 0o700 });
  mkdirSync(folder, { recursive: true });
}

function giveToGroup(path: string, group: number, mode: number): void {
  chownSync(path, statSync(path).uid, group);
  chmodSync(path, mode);
}

/** 'Any' is Compose's: a folder unless something is there. */
function makeHostPath(path: string, type: string): void {
  if (existsSync(path)) return;
  if (type === 'DirectoryOrCreate' || type === 'Any') mkdirSync(path, { recursive: true });
  if (type === 'FileOrCreate') {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '', { mode: 0o644 });
  }
}

/** Folders that mounts of a container name inside volumes and that nobody has made yet. Throws CommandError for a link. */
export function makeSubPaths(
  pod: PodPlan,
  container: ContainerPlan,
  facts: PodFacts,
  folders: PlayFolders,
): void {
  for (const mount of container.mounts) {
    if (pod.volumes[mount.volume]!.kind === 'image') continue;
    const { folder, subPath } = mountSource(pod, container, mount, facts, folders);
    const parts = subPath.split('/').filter((word) => word !== '' && word !== '.');
    if (parts.length === 0) continue;
    try {
      makeWithoutLinks(folder, parts);
    } catch (error) {
      if (errnoOf(error) !== 'ELOOP') throw error;
      throw new CommandError(`${container.fullName}: the subPath ${subPath} of ${mount.volume} is a link`);
    }
  }
}

/**
 * Containers write into volumes, while this runs too: a link of theirs must not lead what is made here, or a mount, elsewhere
 * on this machine. Each folder is made in its open parent. The last part may be a file.
 */
function makeWithoutLinks(root: string, parts: readonly string[]): void {
  let fd = openSync(root, O_PATH | constants.O_DIRECTORY);
  try {
    for (const part of parts) {
      const parent = `/proc/self/fd/${fd}`;
      let next: number;
      try {
        next = openWithoutLinks(parent, Buffer.from(part), O_PATH);
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw error;
        mkdirSync(`${parent}/${part}`);
        next = openWithoutLinks(parent, Buffer.from(part), O_PATH);
      }
      closeSync(fd);
      fd = next;
    }
  } finally {
    closeSync(fd);
  }
}

/** Written in place, because containers have the file itself mounted. */
export function writeHosts(
  pod: PodPlan,
  ips: readonly string[],
  siblings: Parameters<typeof hostsText>[2],
  folders: PlayFolders,
): string | undefined {
  if (pod.hosts === undefined) return undefined;
  const file = join(folders.pods, pod.uid, 'hosts');
  mkdirSync(dirname(dirname(file)), { recursive: true });
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, hostsText(pod, ips, siblings), { mode: 0o644 });
  return file;
}

/** All that was written for the pod. Idempotent. */
export function removePodFolders(uid: string, folders: PlayFolders): void {
  for (const parent of [folders.pods, folders.podsInMemory])
    rmSync(join(parent, uid), { recursive: true, force: true });
}

/** Uids of pods that something was written for. */
export function writtenUids(folders: PlayFolders): string[] {
  const list = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []);
  return [...new Set([...list(folders.pods), ...list(folders.podsInMemory)])];
}
