/**
 * The files of a checkpoint, by the names and in the forms that checkpointctl (lib/metadata.go, v1.7), Podman, CRI-O and
 * containerd share. What is read may come from anybody: links are not followed out of the folder, and nothing is taken for
 * granted.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '#base/errors.ts';
import { readFileInRoot } from '#host/rooted.ts';
import type { OciSpec } from '../spec/oci-spec.ts';

export const checkpointFiles = {
  /** CRIU's images. */
  images: 'checkpoint',
  config: 'config.dump',
  spec: 'spec.dump',
  rootfsDiff: 'rootfs-diff.tar',
  deletedFiles: 'deleted.files',
  bindMounts: 'bind.mounts',
  dumpLog: 'dump.log',
  dumpStatistics: 'stats-dump',
  /** Anonymous volumes, a folder each, numbered. */
  volumes: 'volumes',
} as const;

/** Of a pod's checkpoint: beside the folders of its containers. */
export const podFiles = { options: 'pod.options', pod: 'pod.dump', shm: 'devshm-checkpoint.tar' } as const;

/** `config.dump`. */
export interface ConfigDump {
  readonly id: string;
  readonly name: string;
  /** As asked for. */
  readonly rootfsImage: string;
  /** The image's id. */
  readonly rootfsImageRef: string;
  readonly rootfsImageName: string;
  /** crun or runc. */
  readonly runtime: string;
  readonly createdTime: string;
  readonly checkpointedTime: string;
  readonly restoredTime: string;
  readonly restored: boolean;
}

/** An entry of `bind.mounts`. */
export interface BindMountDump {
  readonly source: string;
  readonly destination: string;
  readonly file_type: 'directory' | 'file';
  readonly permissions: number;
}

/** `pod.options`. */
export interface PodOptions {
  readonly version: number;
  /** Ids of containers by their names. */
  readonly containers: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Files are a few kilobytes; a list of deleted files may be long. */
const sizeLimitBytes = 16 << 20;

function damaged(folder: string, problem: string): RuntimeError {
  return new RuntimeError('InvalidArgument', `checkpoint at ${folder}: ${problem}`);
}

/** A JSON file of a checkpoint; undefined if there is none. Throws InvalidArgument for what is no JSON. */
export function readDump(folder: string, name: string): unknown {
  const text = readFileInRoot(folder, `/${name}`, sizeLimitBytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RuntimeError('InvalidArgument', `checkpoint at ${folder}: ${name} is no JSON`, {
      cause: error,
    });
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Throws InvalidArgument if there is none, or if it names no image. */
export function readConfigDump(folder: string): Pick<ConfigDump, 'name' | 'runtime'> & { images: string[] } {
  const dump = readDump(folder, checkpointFiles.config) as Record<string, unknown> | null | undefined;
  if (typeof dump !== 'object' || dump === null)
    throw damaged(folder, `${checkpointFiles.config} is missing, which every checkpoint has`);
  const images = [text(dump.rootfsImageRef), text(dump.rootfsImageName), text(dump.rootfsImage)].filter(
    (name) => name !== '',
  );
  if (images.length === 0) throw damaged(folder, `${checkpointFiles.config} names no image`);
  return { name: text(dump.name), runtime: text(dump.runtime), images };
}

/** The spec that the container ran with. Throws InvalidArgument if what is needed of it is not there. */
export function readSpecDump(folder: string): OciSpec {
  const spec = readDump(folder, checkpointFiles.spec) as OciSpec | null | undefined;
  const isList = (value: unknown): boolean =>
    Array.isArray(value) && value.every((item) => typeof item === 'string');
  const isUsable =
    isList(spec?.process?.args) &&
    isList(spec?.process?.env) &&
    typeof spec?.process?.cwd === 'string' &&
    Number.isInteger(spec.process.user?.uid) &&
    Number.isInteger(spec.process.user?.gid) &&
    (spec.mounts ?? []).every((mount) => typeof mount?.destination === 'string');
  if (!spec || !isUsable) throw damaged(folder, `${checkpointFiles.spec} is missing or describes no process`);
  return spec;
}

/** Paths that the container had removed from its image. Throws InvalidArgument for a path that climbs. */
export function readDeletedFiles(folder: string): string[] {
  const list = readDump(folder, checkpointFiles.deletedFiles) ?? [];
  if (!Array.isArray(list) || !list.every((path) => typeof path === 'string' && path !== ''))
    throw damaged(folder, `${checkpointFiles.deletedFiles} is no list of paths`);
  for (const path of list as string[])
    if (path.split('/').includes('..') || path.includes('\0'))
      throw damaged(folder, `${checkpointFiles.deletedFiles} has the path ${JSON.stringify(path)}`);
  return list as string[];
}

/** Throws InvalidArgument if there is none. */
export function readPodOptions(folder: string): PodOptions {
  const options = readDump(folder, podFiles.options) as PodOptions | null | undefined;
  if (typeof options?.containers !== 'object' || options.containers === null)
    throw damaged(folder, `${podFiles.options} is missing: this is no checkpoint of a pod`);
  if (options.version !== 1)
    throw damaged(folder, `${podFiles.options} has version ${options.version}, only 1 is known`);
  return options;
}

/** Throws InvalidArgument unless CRIU's images are plain files in a folder of their own. */
export function checkImages(folder: string): void {
  const images = join(folder, checkpointFiles.images);
  if (!lstatSync(images, { throwIfNoEntry: false })?.isDirectory())
    throw damaged(folder, `the folder ${checkpointFiles.images} is missing`);
  const entries = readdirSync(images, { withFileTypes: true });
  const odd = entries.find((entry) => !entry.isFile());
  if (odd) throw damaged(folder, `${checkpointFiles.images}/${odd.name} is no plain file`);
  if (!entries.some(({ name }) => name === 'inventory.img'))
    throw damaged(folder, `${checkpointFiles.images}/inventory.img is missing: CRIU wrote no images`);
}
