/**
 * CDI devices: what vendors' files in the specification folders say must change in a container's OCI spec so that it can
 * use a device (Container Device Interface, SPEC.md). A name `vendor/class=device` is looked up in every folder; a later
 * folder wins over an earlier one, and two definitions in one folder make the name unusable.
 */
import { statSync } from 'node:fs';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { deviceNumber } from '../container/host-mounts.ts';
import { type DefinitionFile, DefinitionFolders } from '../definition-folders.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import { type HostDeviceNumbers, withCdiEdits } from './apply.ts';
import { parseSpecification } from './parse.ts';
import type { CdiEdits, CdiSpecification } from './specification.ts';
import { readTextForm } from './text-form.ts';

type SpecificationFile = DefinitionFile<CdiSpecification>;

export interface CdiRegistryOptions {
  /** In order of rising precedence. */
  readonly folders: readonly string[];
  readonly log: Log;
}

interface Found {
  readonly file: SpecificationFile;
  readonly edits: CdiEdits;
}

type Resolved = Found | { readonly reason: string; readonly isUnknown: boolean };

export class CdiRegistry {
  readonly #folders: readonly string[];
  readonly #files: DefinitionFolders<CdiSpecification>;

  constructor({ folders, log }: CdiRegistryOptions) {
    this.#folders = folders;
    this.#files = new DefinitionFolders({
      folders,
      extensions: ['.json', '.yaml'],
      noun: 'CDI specification',
      parse: async (text, extension) => parseSpecification(await readTextForm(text, extension)),
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
   * The spec with the edits of the named devices, in their order, and before the first device of a file those of the file.
   * Throws NotFound when a name is defined nowhere, and FailedPrecondition when all are but some are ambiguous, need what
   * is not supported, or are of a node that the host does not have; the text lists every such name.
   */
  async apply(spec: OciSpec, names: readonly string[], hasIdmappedMounts: boolean): Promise<OciSpec> {
    if (names.length === 0) return spec;
    const { files, problems } = await this.#files.read();
    const resolved = names.map((name) => [name, this.#resolve(files, name)] as const);
    const edits: CdiEdits[] = [];
    const failures: { name: string; reason: string; isUnknown: boolean }[] = [];
    const usedFiles = new Set<SpecificationFile>();
    for (const [name, device] of resolved) {
      if ('reason' in device) {
        failures.push({ name, ...device });
        continue;
      }
      if (!usedFiles.has(device.file)) edits.push(device.file.value.edits);
      usedFiles.add(device.file);
      edits.push(device.edits);
    }
    if (failures.length > 0) throw unresolvable(failures, problems);
    return withCdiEdits(spec, edits, { lookUpDevice, hasIdmappedMounts });
  }

  #resolve(files: readonly SpecificationFile[], name: string): Resolved {
    const equals = name.indexOf('=');
    const kind = name.slice(0, equals);
    const found = files.flatMap((file) => {
      const edits = file.value.kind === kind ? file.value.devices.get(name.slice(equals + 1)) : undefined;
      return edits ? [{ file, edits }] : [];
    });
    const last = found.at(-1);
    if (!last)
      return { reason: `not defined in ${this.#folders.join(' or ') || 'any folder'}`, isUnknown: true };
    const rivals = found.filter(({ file }) => file.folderIndex === last.file.folderIndex);
    if (rivals.length > 1)
      return { reason: `defined by ${rivals.map(({ file }) => file.path).join(' and ')}`, isUnknown: false };
    const unsupported = [...last.file.value.edits.unsupported, ...last.edits.unsupported];
    if (unsupported.length > 0)
      return {
        reason: `defined by ${last.file.path} with ${unsupported.join(', ')}, not supported here`,
        isUnknown: false,
      };
    return last;
  }
}

function unresolvable(
  failures: readonly { readonly name: string; readonly reason: string; readonly isUnknown: boolean }[],
  problems: readonly string[],
): RuntimeError {
  const names = failures.map(({ name }) => name).join(', ');
  const reasons = failures.map(({ name, reason }) => `${name} is ${reason}`).join('; ');
  const passedOver = problems.length > 0 ? `; passed over: ${problems.join('; ')}` : '';
  return new RuntimeError(
    failures.some(({ isUnknown }) => isUnknown) ? 'NotFound' : 'FailedPrecondition',
    `unresolvable CDI devices ${names}: ${reasons}${passedOver}`,
  );
}

function lookUpDevice(hostPath: string): HostDeviceNumbers {
  try {
    const stat = statSync(hostPath);
    if (stat.isCharacterDevice()) return { type: 'c', ...deviceNumber(stat.rdev) };
    if (stat.isBlockDevice()) return { type: 'b', ...deviceNumber(stat.rdev) };
    if (stat.isFIFO()) return { type: 'p', major: 0, minor: 0 };
  } catch (error) {
    throw new RuntimeError('FailedPrecondition', `device node of a CDI device: ${messageOf(error)}`, {
      cause: error,
    });
  }
  throw new RuntimeError('FailedPrecondition', `device node of a CDI device: ${hostPath} is no device`);
}
