/**
 * Where a container can be restored from: an archive, an image that holds one (as `checkpointctl build` and buildah make
 * them), or a folder of a pod's checkpoint. A copy is made of it, for what it is read from need not stay: RestorePod's caller
 * may remove his folder before the container is started.
 *
 * CRIU restores the credentials that its images name. Whoever can give a checkpoint can have any capability on the node; so
 * images, which any pod can name, are restored only where the operator allows it. An archive is named by a path of the
 * node, which only those can do who have the socket.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RuntimeError } from '#base/errors.ts';
import { step } from '#base/step.ts';
import type { Image, ImageService, Snapshotter } from '#images/contract.ts';
import type { ContainerConfig, ContainerId } from '../container/config.ts';
import { removeVolumes } from '../container/volumes.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import type { RuntimePaths } from '../paths.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import { cleanPath } from '../spec/mounts.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import {
  checkImages,
  checkpointFiles,
  readConfigDump,
  readDeletedFiles,
  readSpecDump,
} from './archive-files.ts';
import { copyTree } from './capture.ts';
import { removeInRoot, takeWhiteouts } from './rootfs-diff.ts';
import type { CheckpointSupport } from './support.ts';
import { extractTar } from './tar.ts';

export type RestoreSource =
  | { readonly type: 'archive'; readonly path: string }
  | { readonly type: 'image'; readonly layer: string; readonly name: string }
  /** What the request says of the process has to be what was checkpointed. */
  | { readonly type: 'folder'; readonly path: string };

export interface RestoreSourcesOptions {
  readonly images: Pick<ImageService, 'find'>;
  readonly snapshotter: Snapshotter;
  readonly paths: RuntimePaths;
  readonly support: CheckpointSupport;
  readonly mayRestoreImages: boolean;
}

export class RestoreSources {
  readonly #options: RestoreSourcesOptions;

  constructor(options: RestoreSourcesOptions) {
    this.#options = options;
  }

  /**
   * The checkpoint that a request names as its image; undefined for an image of the usual kind, and for one that is not here.
   * Throws FailedPrecondition for an image that holds a checkpoint where these are not restored.
   */
  async find(config: ContainerConfig): Promise<RestoreSource | undefined> {
    const name = config.image.image;
    if (name.startsWith('/')) {
      if (!statSync(name, { throwIfNoEntry: false })?.isFile())
        throw new RuntimeError('NotFound', `checkpoint archive ${name} is no file`);
      return { type: 'archive', path: name };
    }
    const image = this.#options.images.find(name);
    const layer = image && (await this.#checkpointLayer(image));
    if (layer === undefined) return undefined;
    if (!this.#options.mayRestoreImages)
      throw new RuntimeError(
        'FailedPrecondition',
        `image ${name} holds a checkpoint; restoring from images is off, because whoever makes such an image chooses the privileges of the restored process; set checkpoint.restore_images to allow it`,
      );
    return { type: 'image', layer, name };
  }

  /** Such an image has no program to run, and a layer with the files of a checkpoint. */
  async #checkpointLayer({ config, chainId, artifactType }: Image): Promise<string | undefined> {
    if (config.entrypoint.length > 0 || config.command.length > 0) return undefined;
    if (chainId === undefined || artifactType !== undefined) return undefined;
    const key = `probe-checkpoint-${chainId}`;
    const { snapshotter } = this.#options;
    const { lowerDirs } = await step('restore-container/probe-image', async () => {
      const view = await snapshotter.view(key, chainId);
      await snapshotter.remove(key);
      return view;
    });
    return lowerDirs.find(
      (layer) =>
        lstatSync(join(layer, checkpointFiles.config), { throwIfNoEntry: false })?.isFile() &&
        existsSync(join(layer, checkpointFiles.images, 'inventory.img')),
    );
  }

  /**
   * Copies and reads a checkpoint for container `id`. Throws InvalidArgument for what is none, NotFound if the image that it
   * began from is not here, FailedPrecondition if it does not go with the handler or the pod, and what CheckpointSupport throws.
   */
  async open(
    id: ContainerId,
    source: RestoreSource,
    target: { readonly sandbox: SandboxRecord; readonly handler: CliRuntime },
    signal: AbortSignal,
  ): Promise<OpenCheckpoint> {
    await this.#options.support.require(target.handler);
    if (target.sandbox.usernsPath !== '')
      throw new RuntimeError(
        'FailedPrecondition',
        `restoring into sandbox ${target.sandbox.id}: it has a user namespace`,
      );
    const folder = this.#options.paths.restore(id);
    try {
      await step('restore-container/copy-checkpoint', async () => {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        await copyIn(source, folder, signal);
      });
      return this.#read(folder, source, target.handler);
    } catch (error) {
      await removeVolumes(folder);
      throw error;
    }
  }

  #read(folder: string, source: RestoreSource, handler: CliRuntime): OpenCheckpoint {
    checkImages(folder);
    const { images, runtime } = readConfigDump(folder);
    const spec = readSpecDump(folder);
    // CRIU's images hold names that the OCI runtime gave, which the other one does not know.
    if (runtime !== '' && runtime !== handler.type)
      throw new RuntimeError(
        'FailedPrecondition',
        `the checkpoint was made by ${runtime}, and handler ${handler.name} is ${handler.type}; restore it with a handler of ${runtime}`,
      );
    if (spec.process.terminal === true)
      throw new RuntimeError('FailedPrecondition', 'the checkpoint is of a container with a terminal');
    const base = images.map((name) => this.#findImage(name)).find((image) => image !== undefined);
    if (!base)
      throw new RuntimeError(
        'NotFound',
        `image ${images[0]}, which the checkpoint began from, is not here; pull it first (${images.at(-1)})`,
      );
    return new OpenCheckpoint({
      folder,
      base,
      spec,
      mustMatch: source.type === 'folder',
      findImage: (name) => this.#findImage(name),
    });
  }

  #findImage(name: string): Image | undefined {
    try {
      return this.#options.images.find(name);
    } catch {
      return undefined; // another runtime's way to name it; there are further names
    }
  }
}

async function copyIn(source: RestoreSource, folder: string, signal: AbortSignal): Promise<void> {
  if (source.type === 'archive') {
    await extractTar(source.path, folder, signal);
    return;
  }
  const from = source.type === 'image' ? source.layer : source.path;
  const wanted = [
    checkpointFiles.images,
    checkpointFiles.config,
    checkpointFiles.spec,
    checkpointFiles.rootfsDiff,
    checkpointFiles.deletedFiles,
    checkpointFiles.volumes,
  ];
  for (const name of wanted)
    if (lstatSync(join(from, name), { throwIfNoEntry: false }))
      await copyTree(join(from, name), join(folder, name), signal);
}

/** A checkpoint in the folder of the container that goes on from it. */
export class OpenCheckpoint {
  readonly #folder: string;
  /** The image that the container began from. */
  readonly base: Image;
  readonly #spec: OciSpec;
  /** Whether the request has to say of the process what it is. */
  readonly mustMatch: boolean;

  readonly #findImage: (name: string) => Image | undefined;

  constructor(options: {
    readonly folder: string;
    readonly base: Image;
    readonly spec: OciSpec;
    readonly mustMatch: boolean;
    readonly findImage: (name: string) => Image | undefined;
  }) {
    this.#folder = options.folder;
    this.base = options.base;
    this.#spec = options.spec;
    this.mustMatch = options.mustMatch;
    this.#findImage = options.findImage;
  }

  /** The user that the process has. */
  get user(): { uid: number; gid: number; additionalGids: readonly number[] } {
    const { uid, gid, additionalGids } = this.#spec.process.user;
    return { uid, gid, additionalGids: additionalGids ?? [] };
  }

  /** The request with what the checkpoint says of the process, unless that has to be the same anyway. */
  complete(config: ContainerConfig): ContainerConfig {
    if (this.mustMatch) return config;
    const { args, cwd, env } = this.#spec.process;
    const envs = env.map((entry) => {
      const at = entry.indexOf('=');
      return { key: entry.slice(0, at < 0 ? undefined : at), value: at < 0 ? '' : entry.slice(at + 1) };
    });
    return { ...config, command: args, args: [], workingDir: cwd, envs };
  }

  /** Puts what the container had written into an empty writable directory. Returns the paths to remove once it is mounted. */
  async fill(upperDir: string, signal: AbortSignal): Promise<string[]> {
    const archive = join(this.#folder, checkpointFiles.rootfsDiff);
    const deleted = readDeletedFiles(this.#folder);
    if (!lstatSync(archive, { throwIfNoEntry: false })?.isFile()) return deleted;
    await extractTar(archive, upperDir, signal);
    return [...deleted, ...(await takeWhiteouts(upperDir))];
  }

  /** Puts the content of anonymous volumes where those of the new container are, which were made like them. */
  async fillVolumes(directory: string, signal: AbortSignal): Promise<void> {
    const saved = join(this.#folder, checkpointFiles.volumes);
    if (!lstatSync(saved, { throwIfNoEntry: false })?.isDirectory() || !existsSync(directory)) return;
    await removeVolumes(directory);
    await copyTree(saved, directory, signal);
    // They are mounted by their paths: a link would lead anywhere.
    const odd = readdirSync(directory, { withFileTypes: true }).find((entry) => !entry.isDirectory());
    if (odd) throw new RuntimeError('InvalidArgument', `the checkpoint's volume ${odd.name} is no folder`);
  }

  /** See `removeInRoot`. */
  removeDeleted(rootfs: string, paths: readonly string[]): void {
    removeInRoot(rootfs, paths);
  }

  /**
   * Compares what is to be restored with what was checkpointed. Throws InvalidArgument: another program, environment,
   * folder or user than asked for (only where they have to agree), or a mount that the process has and the request lacks.
   */
  check(spec: OciSpec, imageName: string): void {
    const have = new Set((spec.mounts ?? []).map((mount) => cleanPath(mount.destination)));
    const lacking = (this.#spec.mounts ?? []).find(({ destination }) => !have.has(cleanPath(destination)));
    if (lacking) throw mismatch(`it has a mount at ${lacking.destination}, which the request lacks`);
    if (!this.mustMatch) return;
    if (this.#findImage(imageName)?.id !== this.base.id)
      throw mismatch(`it began from image ${this.base.id}`);
    const { process: wanted } = spec;
    const { process: saved } = this.#spec;
    const differs = (a: unknown, b: unknown): boolean => JSON.stringify(a) !== JSON.stringify(b);
    if (differs(saved.args, wanted.args)) throw mismatch('its command is another one');
    if (saved.cwd !== wanted.cwd) throw mismatch(`its working folder is ${saved.cwd}`);
    if (differs(comparable(saved.env), comparable(wanted.env))) throw mismatch('its environment differs');
    const { uid, gid } = saved.user;
    if (uid !== wanted.user.uid || gid !== wanted.user.gid) throw mismatch(`its user is ${uid}:${gid}`);
  }
}

/** The host name is the pod's, and may be another one now. */
function comparable(env: readonly string[]): string[] {
  return env.filter((entry) => !entry.startsWith('HOSTNAME=')).toSorted();
}

function mismatch(problem: string): RuntimeError {
  return new RuntimeError('InvalidArgument', `the checkpoint does not go with the request: ${problem}`);
}
