/** OCI hooks of the host: operators' files in hooks folders that add programs to the life of containers (oci-hooks(5)). */
import type { Log } from '#base/log.ts';
import type { ContainerConfig } from '../container/config.ts';
import { type DefinitionFile, DefinitionFolders } from '../definition-folders.ts';
import type { SandboxConfig } from '../sandbox/config.ts';
import { withHooks } from '../spec/hooks.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import { type HookDefinition, parseHookDefinition } from './definition.ts';

export interface OciHookFoldersOptions {
  /** In order of rising precedence: a file hides those of its name in earlier folders. */
  readonly folders: readonly string[];
  readonly log: Log;
}

export class OciHookFolders {
  readonly #files: DefinitionFolders<HookDefinition>;

  constructor({ folders, log }: OciHookFoldersOptions) {
    const extensions = ['.json'];
    this.#files = new DefinitionFolders({
      folders,
      extensions,
      noun: 'OCI hook definition',
      parse: parseHookDefinition,
      log,
    });
  }

  /** What is wrong with files and folders that are passed over, each with its path. */
  get problems(): readonly string[] {
    return this.#files.problems;
  }

  /** Reports broken files when they appear, too, and not only when a container is made. Idempotent. */
  watch(): void {
    this.#files.watch();
  }

  /** Idempotent. */
  unwatch(): void {
    this.#files.unwatch();
  }

  /**
   * The spec with the hooks that are meant for this container, behind those it has, in the order of their file names.
   * Annotations of the pod count as well as the container's own: those are the ones that people can set. A file that is
   * not valid is logged and passed over. Never throws.
   */
  async apply(
    spec: OciSpec,
    config: Pick<ContainerConfig, 'mounts'>,
    sandboxConfig: Pick<SandboxConfig, 'annotations'>,
  ): Promise<OciSpec> {
    const { files } = await this.#files.read();
    if (files.length === 0) return spec;
    const subject = {
      annotations: { ...sandboxConfig.annotations, ...spec.annotations },
      command: spec.process.args[0] ?? '',
      hasBindMounts: config.mounts.some((mount) => mount.hostPath !== ''),
    };
    const wanted = inForce(files).filter(({ value }) => value.matches(subject));
    return withHooks(
      spec,
      wanted.flatMap(({ value }) => value.hooks),
    );
  }
}

/** The last file of each name, by lower-case name. */
function inForce(files: readonly DefinitionFile<HookDefinition>[]): DefinitionFile<HookDefinition>[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const keyed = [...byName.values()].map((file) => ({ key: file.name.toLowerCase(), file }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ file }) => file);
}
