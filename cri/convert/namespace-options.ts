/** CRI NamespaceOption to NamespaceOptions and back (api.proto, NamespaceMode and UserNamespace). */
import {
  type IDMapping,
  type IDMappingInit,
  NamespaceMode as Mode,
  type NamespaceOption,
  type NamespaceOptionInit,
  type UserNamespace,
} from '#proto/generated/cri.ts';
import type { IdMapping, NamespaceMode, NamespaceOptions } from '#runtime/sandbox/config.ts';
import { checkCount, checkNumber, invalidField, requireId, toWord } from './field.ts';

const modes: Readonly<Record<number, NamespaceMode>> = {
  [Mode.POD]: 'pod',
  [Mode.CONTAINER]: 'container',
  [Mode.NODE]: 'node',
  [Mode.TARGET]: 'target',
};
const numbers = {
  pod: Mode.POD,
  container: Mode.CONTAINER,
  node: Mode.NODE,
  target: Mode.TARGET,
} as const satisfies Record<NamespaceMode, number>;

const lastId = 2 ** 32 - 1;

/**
 * An absent message counts as one of zeros: everything shared by the pod. An ipc mode CONTAINER means the pod's, as
 * with other runtimes. Throws InvalidArgument for modes that the namespace cannot have.
 */
export function toNamespaceOptions(
  message: NamespaceOption | undefined,
  path: string,
  subject: 'sandbox' | 'container',
): NamespaceOptions {
  const network = toWord(message?.network ?? Mode.POD, modes, `${path}.network`);
  const pid = toWord(message?.pid ?? Mode.POD, modes, `${path}.pid`);
  const ipc = toWord(message?.ipc ?? Mode.POD, modes, `${path}.ipc`);
  if (network !== 'pod' && network !== 'node') throw invalidField(`${path}.network`, 'must be POD or NODE');
  if (ipc === 'target') throw invalidField(`${path}.ipc`, 'must be POD or NODE');
  if (pid === 'target') {
    if (subject === 'sandbox') throw invalidField(`${path}.pid`, 'must not be TARGET for a sandbox');
    requireId(message?.target_id ?? '', `${path}.target_id`);
  }
  return {
    network,
    pid,
    ipc: ipc === 'container' ? 'pod' : ipc,
    targetId: pid === 'target' ? (message?.target_id ?? '') : '',
    userns: toUserNamespace(message?.userns_options, `${path}.userns_options`),
  };
}

function toUserNamespace(message: UserNamespace | undefined, path: string): NamespaceOptions['userns'] {
  if (message === undefined) return undefined;
  const mode = toWord(message.mode, modes, `${path}.mode`);
  if (mode === 'node') {
    if (message.uids.length + message.gids.length > 0)
      throw invalidField(path, 'must have no mappings with mode NODE');
    return undefined;
  }
  if (mode !== 'pod') throw invalidField(`${path}.mode`, 'must be POD or NODE');
  return { uids: oneMapping(message.uids, `${path}.uids`), gids: oneMapping(message.gids, `${path}.gids`) };
}

function oneMapping(mappings: readonly IDMapping[], path: string): readonly IdMapping[] {
  if (mappings.length !== 1)
    throw invalidField(path, `must have exactly one mapping, not ${mappings.length}`);
  const converted = toIdMappings(mappings, path);
  if (converted[0]!.containerId !== 0) throw invalidField(`${path}[0].container_id`, 'must be 0');
  return converted;
}

/** Throws InvalidArgument for an empty range or one that ends past the last id. */
export function toIdMappings(mappings: readonly IDMapping[], path: string): readonly IdMapping[] {
  return checkCount(mappings, path, 340).map((mapping, index) => {
    const at = `${path}[${index}]`;
    checkNumber(mapping.length, `${at}.length`, 1, lastId);
    checkNumber(mapping.host_id, `${at}.host_id`, 0, lastId + 1 - mapping.length);
    checkNumber(mapping.container_id, `${at}.container_id`, 0, lastId + 1 - mapping.length);
    return { hostId: mapping.host_id, containerId: mapping.container_id, length: mapping.length };
  });
}

export function fromIdMappings(mappings: readonly IdMapping[]): readonly IDMappingInit[] {
  return mappings.map(({ hostId, containerId, length }) => ({
    host_id: hostId,
    container_id: containerId,
    length,
  }));
}

export function fromNamespaceOptions(options: NamespaceOptions): NamespaceOptionInit {
  return {
    network: numbers[options.network],
    pid: numbers[options.pid],
    ipc: numbers[options.ipc],
    target_id: options.targetId,
    userns_options: options.userns && {
      mode: Mode.POD,
      uids: fromIdMappings(options.userns.uids),
      gids: fromIdMappings(options.userns.gids),
    },
  };
}
