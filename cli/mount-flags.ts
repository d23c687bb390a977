/** What `-v`, `--mount` and `--tmpfs` ask for. */
import { resolve } from 'node:path';
import { type MountInit, MountPropagation } from '#proto/generated/cri.ts';
import { UsageError } from './command.ts';
import type { FlagValues } from './flag-values.ts';

export type Volume =
  | { readonly kind: 'folder'; readonly source: string; readonly target: string; readonly options: MountInit }
  | { readonly kind: 'named'; readonly name: string; readonly target: string; readonly options: MountInit }
  | { readonly kind: 'anonymous'; readonly target: string }
  | { readonly kind: 'tmpfs'; readonly target: string; readonly options: string };

/** All that the flags mount. Throws UsageError. */
export function volumesOf(flags: FlagValues): readonly Volume[] {
  return [
    ...flags.list('volume').map(parseVolume),
    ...flags.list('mount').map(parseMount),
    ...flags.list('tmpfs').map(parseTmpfs),
  ];
}

/** Names of the volumes that flags ask for: they must be there before the container is. Throws UsageError. */
export function namedVolumes(flags: FlagValues): readonly string[] {
  return [...new Set(volumesOf(flags).flatMap((volume) => (volume.kind === 'named' ? [volume.name] : [])))];
}

/** Where the daemon makes a volume of the container. */
export function anonymousPaths(volumes: readonly Volume[]): string[] {
  return volumes.flatMap((volume) => (volume.kind === 'anonymous' ? [volume.target] : []));
}

/** Options of file systems in memory by path. */
export function tmpfsByPath(volumes: readonly Volume[]): Record<string, string> {
  return Object.fromEntries(
    volumes.flatMap((volume) => (volume.kind === 'tmpfs' ? [[volume.target, volume.options]] : [])),
  );
}

/** What the CRI mounts: folders of this machine, among them those of volumes. */
export function toMounts(
  volumes: readonly Volume[],
  workingDir: string,
  volumePath: (name: string) => string,
): MountInit[] {
  return volumes.flatMap((volume) => {
    if (volume.kind !== 'named' && volume.kind !== 'folder') return [];
    const host_path = volume.kind === 'named' ? volumePath(volume.name) : resolve(workingDir, volume.source);
    return [{ container_path: volume.target, host_path, ...volume.options }];
  });
}

/** `HOST:PATH[:OPTIONS]`, `NAME:PATH[:OPTIONS]` or `PATH` of `-v`. Throws UsageError. */
export function parseVolume(text: string): Volume {
  const [source = '', target, options = '', ...more] = text.split(':');
  if (target === undefined && source.startsWith('/')) return { kind: 'anonymous', target: source };
  if (target === undefined || !target.startsWith('/') || source === '' || more.length > 0)
    throw new UsageError(
      `--volume: ${JSON.stringify(text)} is not SOURCE:PATH[:OPTIONS] with an absolute PATH`,
      'For instance -v /srv/data:/data:ro for a folder, -v data:/data for a volume.',
    );
  const known: MountInit = Object.assign({}, ...options.split(',').map(volumeOption));
  if (/^[./~]/.test(source)) return { kind: 'folder', source, target, options: known };
  checkVolumeName(source, '--volume');
  return { kind: 'named', name: source, target, options: known };
}

/** `type=bind|volume|tmpfs,source=...,target=...` of `--mount`. Throws UsageError. */
export function parseMount(text: string): Volume {
  const fields = new Map<string, string>();
  for (const part of text.split(',')) {
    const [key = '', ...value] = part.split('=');
    const name = mountFields[key];
    if (name === undefined) throw wrongMount(text, `${JSON.stringify(key)} is not known`);
    fields.set(name, value.length === 0 ? 'true' : value.join('='));
  }
  const kind = fields.get('type') ?? 'volume';
  const source = fields.get('source') ?? '';
  const target = fields.get('target') ?? '';
  if (!target.startsWith('/')) throw wrongMount(text, 'it has no absolute target');
  const isReadonly = ['true', '1'].includes(fields.get('readonly') ?? 'false');
  const propagation = fields.get('propagation') ?? '';
  if (kind === 'tmpfs') {
    if (source !== '') throw wrongMount(text, 'a tmpfs has no source');
    const size = fields.get('tmpfs-size');
    const mode = fields.get('tmpfs-mode');
    const options = [isReadonly ? 'ro' : '', size && `size=${size}`, mode && `mode=${mode}`];
    return { kind, target, options: options.filter(Boolean).join(',') };
  }
  if (fields.has('tmpfs-size') || fields.has('tmpfs-mode'))
    throw wrongMount(text, 'tmpfs-size and tmpfs-mode are of type=tmpfs');
  const options = Object.assign({}, isReadonly ? { readonly: true } : {}, volumeOption(propagation));
  if (kind === 'bind') {
    if (source === '') throw wrongMount(text, 'a bind mount needs a source');
    return { kind: 'folder', source, target, options };
  }
  if (kind !== 'volume') throw wrongMount(text, `there is no type ${JSON.stringify(kind)}`);
  if (source === '' && !isReadonly) return { kind: 'anonymous', target };
  checkVolumeName(source, '--mount');
  return { kind: 'named', name: source, target, options };
}

const mountFields: Readonly<Record<string, string>> = {
  type: 'type',
  source: 'source',
  src: 'source',
  target: 'target',
  destination: 'target',
  dst: 'target',
  readonly: 'readonly',
  ro: 'readonly',
  'bind-propagation': 'propagation',
  'tmpfs-size': 'tmpfs-size',
  'tmpfs-mode': 'tmpfs-mode',
};

function wrongMount(text: string, why: string): UsageError {
  return new UsageError(
    `--mount: ${JSON.stringify(text)}: ${why}`,
    'For instance --mount type=bind,source=/srv,target=/srv,readonly, or type=volume,source=data,target=/data, or type=tmpfs,target=/tmp,tmpfs-size=64m.',
  );
}

/** `PATH[:OPTIONS]` of `--tmpfs`. Throws UsageError; what options there are the daemon knows. */
export function parseTmpfs(text: string): Volume {
  const at = text.indexOf(':');
  const target = at < 0 ? text : text.slice(0, at);
  if (!target.startsWith('/'))
    throw new UsageError(
      `--tmpfs: ${JSON.stringify(text)} is not PATH[:OPTIONS] with an absolute PATH`,
      'For instance --tmpfs /run:size=64m,mode=755.',
    );
  return { kind: 'tmpfs', target, options: at < 0 ? '' : text.slice(at + 1) };
}

function checkVolumeName(name: string, flag: string): void {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(name))
    throw new UsageError(
      `${flag}: ${JSON.stringify(name)} is neither a path nor a name for a volume`,
      `A folder of this machine begins with / or ./.`,
    );
}

function volumeOption(option: string): MountInit {
  const known: Readonly<Record<string, MountInit>> = {
    '': {},
    rw: {},
    ro: { readonly: true },
    z: { selinux_relabel: true },
    Z: { selinux_relabel: true },
    private: {},
    rprivate: {},
    slave: { propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER },
    rslave: { propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER },
    shared: { propagation: MountPropagation.PROPAGATION_BIDIRECTIONAL },
    rshared: { propagation: MountPropagation.PROPAGATION_BIDIRECTIONAL },
  };
  if (!Object.hasOwn(known, option))
    throw new UsageError(
      `--volume: the option ${JSON.stringify(option)} is not known`,
      `Known are ${Object.keys(known).filter(Boolean).join(', ')}.`,
    );
  return known[option]!;
}
