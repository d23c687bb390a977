/**
 * What plugins want of a container that is being created, gathered one plugin after the other: who set what, and the
 * container as the next plugin is to see it.
 */
import {
  type ContainerAdjustmentInit,
  type ContainerInit,
  type CreateContainerResponse,
  Field,
  type HookInit,
  type HooksInit,
  type LinuxContainerAdjustmentInit,
  type LinuxContainerInit,
  type LinuxRdtInit,
  type LinuxResourcesInit,
} from '#proto/nri/generated/nri.ts';
import { applyMarked, applyMarkedKeys, type Marked, splitMarkedKeys, splitMarks } from './marks.ts';
import type { Claim, Owners } from './owners.ts';
import { claimsOf, mergeLimits } from './resources.ts';

/** Fields of the Linux part that one plugin at most sets as a whole. */
const wholeFields = {
  cgroups_path: Field.CgroupsPath,
  oom_score_adj: Field.OomScoreAdj,
  io_priority: Field.IoPriority,
  seccomp_policy: Field.SeccompPolicy,
  scheduler: Field.LinuxSched,
  memory_policy: Field.MemoryPolicy,
} as const satisfies Partial<Record<keyof LinuxContainerAdjustmentInit, Field>>;

type WholeFields = Pick<LinuxContainerAdjustmentInit, keyof typeof wholeFields>;

const rdtFields = {
  clos_id: Field.RdtClosID,
  schemata: Field.RdtSchemata,
  enable_monitoring: Field.RdtEnableMonitoring,
} as const satisfies Partial<Record<keyof LinuxRdtInit, Field>>;

/** All changes of one field with many keys, by key. */
class KeyedChanges<T> {
  readonly #field: Field;
  readonly #changes = new Map<string, { isRemoved: boolean; value: T | undefined }>();

  constructor(field: Field) {
    this.#field = field;
  }

  /** Throws FailedPrecondition if another plugin has set one of the keys and this one has not removed it. */
  add(marked: Marked<T>, claimant: Claimant): void {
    for (const key of marked.removed) {
      claimant.release({ field: this.#field, key });
      this.#changes.set(key, { isRemoved: true, value: undefined });
    }
    claimant.claim([...marked.set.keys()].map((key) => ({ field: this.#field, key })));
    for (const [key, value] of marked.set)
      this.#changes.set(key, { isRemoved: this.#changes.get(key)?.isRemoved ?? false, value });
  }

  /** Removals made with `removal` from the marked key, then what is set. */
  toList(removal: (markedKey: string) => T): T[] {
    const removed = [...this.#changes]
      .filter(([, change]) => change.isRemoved)
      .map(([key]) => removal(`-${key}`));
    const set = [...this.#changes.values()].map(({ value }) => value).filter((value) => value !== undefined);
    return [...removed, ...set];
  }

  toMap(removal: T): Record<string, T> {
    const map: Record<string, T> = {};
    for (const [key, { isRemoved, value }] of this.#changes) {
      if (isRemoved) map[`-${key}`] = removal;
      if (value !== undefined) map[key] = value;
    }
    return map;
  }
}

/** One plugin's claims on one container. */
class Claimant {
  readonly #owners: Owners;
  readonly #containerId: string;
  readonly #plugin: string;

  constructor(owners: Owners, containerId: string, plugin: string) {
    this.#owners = owners;
    this.#containerId = containerId;
    this.#plugin = plugin;
  }

  claim(claims: readonly Claim[]): void {
    this.#owners.claim(this.#containerId, this.#plugin, claims);
  }

  release(claim: Claim): void {
    this.#owners.release(this.#containerId, this.#plugin, claim);
  }

  share(field: Field): void {
    this.#owners.share(this.#containerId, this.#plugin, field);
  }
}

const hookFields = [
  'prestart',
  'create_runtime',
  'create_container',
  'start_container',
  'poststart',
  'poststop',
] as const satisfies readonly (keyof HooksInit)[];

function joinHooks(before: HooksInit | undefined, added: HooksInit): HooksInit {
  const joined: Record<string, HookInit[]> = {};
  for (const field of hookFields) joined[field] = [...(before?.[field] ?? []), ...(added[field] ?? [])];
  return joined;
}

/** NAME of NAME=value. */
export function variableName(entry: string): string {
  const at = entry.indexOf('=');
  return at < 0 ? entry : entry.slice(0, at);
}

const byKey = (item: { key?: string | undefined }): string => item.key ?? '';
const byPath = (item: { path?: string | undefined }): string => item.path ?? '';
const byType = (item: { type?: string | undefined }): string => item.type ?? '';
const byDestination = (item: { destination?: string | undefined }): string => item.destination ?? '';

type Adjustment = NonNullable<CreateContainerResponse['adjust']>;
type LinuxAdjustment = NonNullable<Adjustment['linux']>;

export class Adjustments {
  readonly #id: string;
  readonly #owners: Owners;
  readonly #annotations = new KeyedChanges<string>(Field.Annotations);
  readonly #mounts = new KeyedChanges<Adjustment['mounts'][number]>(Field.Mounts);
  readonly #env = new KeyedChanges<Adjustment['env'][number]>(Field.Env);
  readonly #rlimits = new KeyedChanges<Adjustment['rlimits'][number]>(Field.Rlimits);
  readonly #cdiDevices = new KeyedChanges<Adjustment['CDI_devices'][number]>(Field.CdiDevices);
  readonly #devices = new KeyedChanges<LinuxAdjustment['devices'][number]>(Field.Devices);
  readonly #namespaces = new KeyedChanges<LinuxAdjustment['namespaces'][number]>(Field.Namespace);
  readonly #sysctl = new KeyedChanges<string>(Field.Sysctl);
  readonly #netDevices = new KeyedChanges<LinuxAdjustment['net_devices'][string]>(Field.LinuxNetDevices);
  #hooks: HooksInit | undefined;
  #args: readonly string[] = [];
  #resources: LinuxResourcesInit | undefined;
  #whole: WholeFields = {};
  #rdt: LinuxRdtInit | undefined;
  #container: ContainerInit;
  #isEmpty = true;

  /** `container` is as it is before any plugin had its say; `owners` is shared with updates of the same request. */
  constructor(container: ContainerInit, owners: Owners) {
    this.#id = container.id ?? '';
    this.#container = container;
    this.#owners = owners;
  }

  /** Whether no plugin wanted anything. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** The container with all that was wanted so far. */
  get container(): ContainerInit {
    return this.#container;
  }

  /** Takes in what one plugin wants. Throws FailedPrecondition if another one wants the same thing otherwise. */
  add(plugin: string, adjust: Adjustment): void {
    this.#isEmpty = false;
    const claimant = new Claimant(this.#owners, this.#id, plugin);
    this.#addProcess(adjust, claimant);
    this.#addHooks(adjust.hooks, claimant);
    const cdiDevices = {
      removed: new Set<string>(),
      set: new Map(adjust.CDI_devices.map((item) => [item.name, item])),
    };
    this.#cdiDevices.add(cdiDevices, claimant);
    const annotations = splitMarkedKeys(adjust.annotations);
    this.#annotations.add(annotations, claimant);
    const mounts = splitMarks(adjust.mounts, byDestination);
    this.#mounts.add(mounts, claimant);
    this.#container = {
      ...this.#container,
      annotations: applyMarkedKeys(this.#container.annotations ?? {}, annotations),
      mounts: applyMarked(this.#container.mounts ?? [], byDestination, mounts),
    };
    if (adjust.linux) this.#addLinux(adjust.linux, claimant);
  }

  #addProcess(adjust: Adjustment, claimant: Claimant): void {
    const env = splitMarks(adjust.env, byKey);
    this.#env.add(env, claimant);
    const rlimits = {
      removed: new Set<string>(),
      set: new Map(adjust.rlimits.map((item) => [item.type, item])),
    };
    this.#rlimits.add(rlimits, claimant);
    const before = this.#container;
    const lines = new Map([...env.set].map(([key, { value }]) => [key, `${key}=${value}`]));
    this.#container = {
      ...before,
      env: applyMarked(before.env ?? [], variableName, { removed: env.removed, set: lines }),
      rlimits: applyMarked(before.rlimits ?? [], byType, rlimits),
    };
    let { args } = adjust;
    if (args.length === 0) return;
    if (args[0] === '') {
      claimant.release({ field: Field.Args });
      args = args.slice(1);
    }
    claimant.claim([{ field: Field.Args }]);
    this.#args = args;
    this.#container = { ...this.#container, args };
  }

  #addHooks(hooks: HooksInit | undefined, claimant: Claimant): void {
    if (!hooks || hookFields.every((field) => (hooks[field] ?? []).length === 0)) return;
    claimant.share(Field.OciHooks);
    this.#hooks = joinHooks(this.#hooks, hooks);
    this.#container = { ...this.#container, hooks: joinHooks(this.#container.hooks, hooks) };
  }

  #addLinux(adjust: LinuxAdjustment, claimant: Claimant): void {
    const before: LinuxContainerInit = this.#container.linux ?? {};
    const devices = splitMarks(adjust.devices, byPath);
    this.#devices.add(devices, claimant);
    const namespaces = splitMarks(adjust.namespaces, byType);
    this.#namespaces.add(namespaces, claimant);
    const sysctl = splitMarkedKeys(adjust.sysctl);
    this.#sysctl.add(sysctl, claimant);
    const netDevices = splitMarkedKeys(adjust.net_devices);
    this.#netDevices.add(netDevices, claimant);
    if (adjust.resources) {
      claimant.claim(claimsOf(adjust.resources));
      this.#resources = mergeLimits(this.#resources ?? {}, adjust.resources);
    }
    const { memory_policy: _, ...whole } = this.#addWhole(adjust, claimant);
    this.#addRdt(adjust.rdt, claimant);
    this.#container = {
      ...this.#container,
      linux: {
        ...before,
        ...whole,
        devices: applyMarked(before.devices ?? [], byPath, devices),
        namespaces: applyMarked(before.namespaces ?? [], byType, namespaces),
        sysctl: applyMarkedKeys(before.sysctl ?? {}, sysctl),
        net_devices: applyMarkedKeys(before.net_devices ?? {}, netDevices),
        resources: adjust.resources
          ? mergeLimits(before.resources ?? {}, adjust.resources)
          : before.resources,
        rdt: adjust.rdt ? this.#rdt : before.rdt,
      },
    };
  }

  /** Returns what is set of the fields that are set as a whole. */
  #addWhole(adjust: LinuxAdjustment, claimant: Claimant): WholeFields {
    const names = (Object.keys(wholeFields) as (keyof typeof wholeFields)[]).filter((name) => adjust[name]);
    claimant.claim(names.map((name) => ({ field: wholeFields[name] })));
    const set = Object.fromEntries(names.map((name) => [name, adjust[name]]));
    this.#whole = { ...this.#whole, ...set };
    return set;
  }

  #addRdt(rdt: LinuxRdtInit | undefined, claimant: Claimant): void {
    if (!rdt) return;
    if (rdt.remove) {
      for (const field of Object.values(rdtFields)) claimant.release({ field });
      this.#rdt = { remove: true };
    }
    const names = (Object.keys(rdtFields) as (keyof typeof rdtFields)[]).filter((name) => rdt[name]);
    claimant.claim(names.map((name) => ({ field: rdtFields[name] })));
    this.#rdt = { ...this.#rdt, ...Object.fromEntries(names.map((name) => [name, rdt[name]])) };
  }

  /** All of it as one message, with removal marks in front of what replaces the removed. */
  toMessage(): ContainerAdjustmentInit {
    return {
      annotations: this.#annotations.toMap(''),
      mounts: this.#mounts.toList((destination) => ({ destination, type: '', source: '', options: [] })),
      env: this.#env.toList((key) => ({ key, value: '' })),
      hooks: this.#hooks,
      rlimits: this.#rlimits.toList((type) => ({ type, hard: 0n, soft: 0n })),
      CDI_devices: this.#cdiDevices.toList((name) => ({ name })),
      args: this.#args,
      linux: {
        ...this.#whole,
        devices: this.#devices.toList((path) => ({
          path,
          type: '',
          major: 0n,
          minor: 0n,
          file_mode: undefined,
          uid: undefined,
          gid: undefined,
        })),
        resources: this.#resources,
        namespaces: this.#namespaces.toList((type) => ({ type, path: '' })),
        sysctl: this.#sysctl.toMap(''),
        net_devices: this.#netDevices.toMap({ name: '' }),
        rdt: this.#rdt,
      },
    };
  }
}
