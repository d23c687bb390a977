/** The plugins, in order. Loaded when the first of them comes. */
import type { Socket } from 'node:net';
import { messageOf, RuntimeError } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import type {
  ContainerInit,
  ContainerUpdate,
  ContainerUpdateInit,
  LinuxResourcesInit,
  PodSandboxInit,
  UpdateContainersRequest,
  UpdateContainersResponseInit,
  ValidateContainerAdjustmentRequestInit,
} from '#proto/nri/generated/nri.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { AdjustedContainer, Limits } from '../lifecycle-hooks.ts';
import type { LinuxResources } from '../sandbox/config.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import { mergeResources } from '../spec/resources.ts';
import { Adjustments } from './adjustments.ts';
import { withAdjustments } from './apply.ts';
import type { NriOptions } from './contract.ts';
import { describeContainer, describeSandbox } from './describe.ts';
import type { EventName } from './events.ts';
import type { Gate } from './gate.ts';
import { Owners } from './owners.ts';
import { Plugin, type PluginIdentity } from './plugin.ts';
import { fromRequested, mergeLimits, toRequested, withLimits } from './resources.ts';
import { Updates } from './updates.ts';

/** What every event of a container carries. */
interface Subject {
  readonly pod: PodSandboxInit | undefined;
  readonly container: ContainerInit;
}

/** Events of a pod that carry nothing but the pod. */
export type PodEvent = 'RunPodSandbox' | 'StopPodSandbox' | 'RemovePodSandbox' | 'PostUpdatePodSandbox';
/** Events of a container that carry nothing but it and its pod, and that no answer belongs to. */
export type ContainerEvent =
  | 'PostCreateContainer'
  | 'StartContainer'
  | 'PostStartContainer'
  | 'PostUpdateContainer'
  | 'RemoveContainer';

export class PluginSet {
  readonly #options: NriOptions;
  readonly #gate: Gate;
  /** By index, then by arrival. */
  #plugins: Plugin[] = [];
  /** Connected, but not yet among the plugins. */
  readonly #arriving = new Set<Plugin>();
  /** One event at a time: plugins may count on that, and on the order. */
  readonly #turn = new KeyedLock();

  constructor(options: NriOptions, gate: Gate) {
    this.#options = options;
    this.#gate = gate;
  }

  list(): readonly Plugin[] {
    return this.#plugins;
  }

  /**
   * Takes in a plugin by its socket: it registers, is told what exists, and from then on hears of everything. Throws
   * FailedPrecondition if it does not do its part; then it is disconnected.
   */
  async accept(socket: Socket, identity?: PluginIdentity): Promise<void> {
    const plugin = await this.begin(socket, identity);
    await this.join([plugin]);
    if (plugin.isClosed)
      throw new RuntimeError('FailedPrecondition', `NRI plugin ${plugin.name} did not stay`);
  }

  /** The first half of `accept`: registration and configuration. */
  async begin(socket: Socket, identity?: PluginIdentity): Promise<Plugin> {
    const { runtimeVersion, registrationTimeoutMs, requestTimeoutMs, log } = this.#options;
    const plugin = new Plugin({
      socket,
      identity,
      runtimeVersion,
      registrationTimeoutMs,
      requestTimeoutMs,
      log,
      onUpdateContainers: (from, request) => this.#updateUnasked(from, request),
      onClose: (gone) => this.#forget(gone),
    });
    this.#arriving.add(plugin);
    await plugin.begin();
    return plugin;
  }

  /** The second half: synchronizes plugins one after the other, in order, while nothing changes. */
  async join(plugins: readonly Plugin[]): Promise<void> {
    const { log } = this.#options;
    const wanted: { update: ContainerUpdate; plugin: string }[] = [];
    const synchronize = async (): Promise<void> => {
      const { pods, containers } = await this.#describeAll();
      for (const plugin of plugins.toSorted((a, b) => a.index.localeCompare(b.index))) {
        try {
          const updates = await plugin.synchronize(pods, containers);
          if (plugin.isClosed) continue;
          this.#arriving.delete(plugin);
          this.#plugins = [...this.#plugins, plugin].toSorted((a, b) => a.index.localeCompare(b.index));
          log.info(
            { plugin: plugin.name, pods: pods.length, containers: containers.length },
            'NRI plugin takes part',
          );
          wanted.push(...updates.map((update) => ({ update, plugin: plugin.name })));
        } catch (error) {
          log.error({ plugin: plugin.name, err: error }, messageOf(error));
        }
      }
    };
    await this.#gate.alone(synchronize, () => plugins.some((plugin) => !plugin.isClosed));
    // Others need not wait for this.
    for (const { update, plugin } of wanted) await this.#update(update, plugin);
  }

  async #describeAll(): Promise<{ pods: PodSandboxInit[]; containers: ContainerInit[] }> {
    const { host } = this.#options;
    const pods = host.listSandboxes().filter(({ state }) => state !== 'initializing');
    // What has ended holds nothing that a plugin could manage.
    const alive = host.listContainers().filter(({ state }) => state === 'created' || state === 'running');
    const containers: ContainerInit[] = [];
    for (const record of alive) containers.push(describeContainer(record, await host.readSpec(record.id)));
    return { pods: pods.map(describeSandbox), containers };
  }

  #forget(plugin: Plugin): void {
    this.#arriving.delete(plugin);
    this.#plugins = this.#plugins.filter((other) => other !== plugin);
  }

  /** Tells all plugins that the runtime goes down, and lets them go. */
  async close(): Promise<void> {
    for (const plugin of this.#arriving) plugin.close('the runtime goes down');
    await Promise.all(this.#plugins.map((plugin) => plugin.shutDown()));
  }

  #hasHearers(event: EventName): boolean {
    return this.#plugins.some((plugin) => plugin.wants(event));
  }

  async #subject(record: ContainerRecord, spec?: OciSpec): Promise<Subject> {
    const { host } = this.#options;
    const sandbox = host.findSandbox(record.sandboxId);
    return {
      pod: sandbox && describeSandbox(sandbox),
      container: describeContainer(record, spec ?? (await host.readSpec(record.id))),
    };
  }

  /** An event that a plugin can refuse: the first refusal ends it and is thrown. */
  async #ask<N extends PodEvent | ContainerEvent | 'UpdatePodSandbox'>(
    event: N,
    describe: () => object | Promise<object>,
  ): Promise<void> {
    if (!this.#hasHearers(event)) return;
    await this.#turn.run('', async () => {
      const message = await describe();
      for (const plugin of this.#plugins) await plugin.request(event, message);
    });
  }

  /** An event that tells of what is done: a refusal is logged. Never rejects. */
  async #tell(event: PodEvent | ContainerEvent, describe: () => object | Promise<object>): Promise<void> {
    if (!this.#hasHearers(event)) return;
    await this.#turn.run('', async () => {
      try {
        const message = await describe();
        for (const plugin of this.#plugins)
          await plugin.request(event, message).catch((error) => this.#logRefusal(event, error));
      } catch (error) {
        this.#logRefusal(event, error);
      }
    });
  }

  #logRefusal(event: EventName, error: unknown): void {
    this.#options.log.warn({ event, err: error }, `an NRI event went wrong: ${messageOf(error)}`);
  }

  /** Rejects if a plugin refuses. */
  askPod(event: PodEvent, sandbox: SandboxRecord): Promise<void> {
    return this.#ask(event, () => ({ pod: describeSandbox(sandbox) }));
  }

  tellPod(event: PodEvent, sandbox: SandboxRecord): Promise<void> {
    return this.#tell(event, () => ({ pod: describeSandbox(sandbox) }));
  }

  /** Rejects if a plugin refuses. */
  askContainer(event: ContainerEvent, container: ContainerRecord): Promise<void> {
    return this.#ask(event, () => this.#subject(container));
  }

  tellContainer(event: ContainerEvent, container: ContainerRecord): Promise<void> {
    return this.#tell(event, () => this.#subject(container));
  }

  /** Rejects if a plugin refuses. */
  updateSandbox(
    sandbox: SandboxRecord,
    overhead: LinuxResources | undefined,
    resources: LinuxResources | undefined,
  ): Promise<void> {
    return this.#ask('UpdatePodSandbox', () => ({
      pod: describeSandbox(sandbox),
      overhead_linux_resources: overhead && fromRequested(overhead),
      linux_resources: resources && fromRequested(resources),
    }));
  }

  /** Gathers what plugins want of a container to be made, has it judged, carries it out. Rejects if any of that fails. */
  async createContainer(
    sandbox: SandboxRecord,
    record: ContainerRecord,
    spec: OciSpec,
  ): Promise<AdjustedContainer> {
    const unchanged = { spec, changedResources: undefined };
    if (!this.#hasHearers('CreateContainer') && !this.#hasHearers('ValidateContainerAdjustment'))
      return unchanged;
    const owners = new Owners();
    const pod = describeSandbox(sandbox);
    const pristine = describeContainer(record, spec);
    const adjustments = new Adjustments(pristine, owners);
    const updates = new Updates(owners, record.id);
    const evictions: string[] = [];
    await this.#turn.run('', async () => {
      for (const plugin of this.#plugins) {
        const reply = await plugin.request('CreateContainer', { pod, container: adjustments.container });
        if (!reply) continue;
        if (reply.adjust) adjustments.add(plugin.name, reply.adjust);
        updates.add(plugin.name, reply.update);
        evictions.push(...reply.evict.map((eviction) => eviction.container_id));
      }
      await this.#validate({
        pod,
        container: pristine,
        adjust: adjustments.toMessage(),
        update: updates.toMessages(),
        owners: owners.toMessage(),
        plugins: this.#plugins.map(({ base, index }) => ({ name: base, index })),
      });
    });
    await this.#carryOut(updates.toMessages(), evictions);
    if (adjustments.isEmpty) return unchanged;
    const adjust = adjustments.toMessage();
    const { facts, addCdiDevices } = this.#options.host;
    const names = (adjust.CDI_devices ?? []).map(({ name }) => name ?? '');
    const withDevices = names.length > 0 ? await addCdiDevices(spec, names) : spec;
    const limits = adjust.linux?.resources;
    return {
      spec: withAdjustments(withDevices, adjust, facts),
      changedResources: limits && toRequested(limits),
    };
  }

  /** Asks all that judge, at one time. One that does not answer has not agreed. */
  async #validate(request: ValidateContainerAdjustmentRequestInit): Promise<void> {
    const judges = this.#plugins.filter((plugin) => plugin.wants('ValidateContainerAdjustment'));
    await Promise.all(
      judges.map(async (plugin) => {
        let reply: { reject: boolean; reason: string };
        try {
          reply = await plugin.ask('ValidateContainerAdjustment', request);
        } catch (error) {
          reply = { reject: true, reason: messageOf(error) };
        }
        if (reply.reject)
          throw new RuntimeError(
            'FailedPrecondition',
            `NRI plugin ${plugin.name} rejects what plugins want of container ${request.container?.id}: ${reply.reason || 'no reason given'}`,
          );
      }),
    );
  }

  /** The limits that plugins make of those wanted. Rejects if a plugin refuses, or an update of another container fails. */
  async updateContainer(record: ContainerRecord, wanted: Limits): Promise<Limits> {
    if (!this.#hasHearers('UpdateContainer')) return wanted;
    const owners = new Owners();
    const updates = new Updates(owners);
    const evictions: string[] = [];
    const requested = fromRequested(wanted.resources);
    await this.#turn.run('', async () => {
      const subject = await this.#subject(record);
      for (const plugin of this.#plugins) {
        const changed = updates.find(record.id);
        const linux_resources = changed ? mergeLimits(requested, changed) : requested;
        const reply = await plugin.request('UpdateContainer', { ...subject, linux_resources });
        if (!reply) continue;
        updates.add(plugin.name, reply.update);
        evictions.push(...reply.evict.map((eviction) => eviction.container_id));
      }
    });
    await this.#carryOut(updates.toMessages(record.id), evictions);
    const changed = updates.find(record.id);
    if (!changed) return wanted;
    return {
      resources: mergeResources(wanted.resources, toRequested(changed)),
      oci: withLimits(wanted.oci, changed, this.#options.host.facts),
    };
  }

  /** Tells of the end of a container; its going may have plugins update others. Never rejects. */
  async containerStopped(record: ContainerRecord): Promise<void> {
    if (!this.#hasHearers('StopContainer')) return;
    const updates = new Updates(new Owners());
    try {
      await this.#turn.run('', async () => {
        const subject = await this.#subject(record);
        for (const plugin of this.#plugins) {
          try {
            const reply = await plugin.request('StopContainer', subject);
            if (reply) updates.add(plugin.name, reply.update);
          } catch (error) {
            this.#logRefusal('StopContainer', error);
          }
        }
      });
      await this.#carryOut(updates.toMessages(), []);
    } catch (error) {
      this.#logRefusal('StopContainer', error);
    }
  }

  async #carryOut(updates: readonly ContainerUpdateInit[], evictions: readonly string[]): Promise<void> {
    for (const update of updates) {
      try {
        await this.#updateOne(update);
      } catch (error) {
        if (!update.ignore_failure) throw error;
        this.#logFailedUpdate(update, error);
      }
    }
    for (const id of evictions) this.#evict(id);
  }

  /** One container; one that is not there any more needs no update. */
  async #updateOne(update: ContainerUpdateInit): Promise<void> {
    const { host } = this.#options;
    const record = host.findContainer(update.container_id ?? '');
    const resources: LinuxResourcesInit | undefined = update.linux?.resources;
    if (!record || !resources || record.state === 'exited') return;
    await host.adjustResources(record.id, {
      resources: toRequested(resources),
      oci: withLimits({}, { ...resources, devices: [] }, host.facts),
    });
  }

  /** Whether it worked; a failure is logged. */
  async #update(update: ContainerUpdate, plugin: string): Promise<boolean> {
    try {
      await this.#updateOne(update);
      return true;
    } catch (error) {
      this.#logFailedUpdate(update, error, plugin);
      return false;
    }
  }

  #logFailedUpdate(update: ContainerUpdateInit, error: unknown, plugin?: string): void {
    this.#options.log.warn(
      { containerId: update.container_id, plugin, err: error },
      `an update that an NRI plugin wants failed: ${messageOf(error)}`,
    );
  }

  /** Nobody waits for the end of it: a plugin may be in the midst of the request that this container belongs to. */
  #evict(id: string): void {
    const { host, log } = this.#options;
    const record = host.findContainer(id);
    if (!record) return;
    log.info({ containerId: id }, 'an NRI plugin has a container stopped');
    host.evictContainer(record.id).catch((error) => {
      log.warn(
        { containerId: id, err: error },
        `stopping a container for an NRI plugin: ${messageOf(error)}`,
      );
    });
  }

  /** A plugin's own call. Takes no turn: it may come from within the handling of an event. */
  async #updateUnasked(
    plugin: Plugin,
    { update, evict }: UpdateContainersRequest,
  ): Promise<UpdateContainersResponseInit> {
    const failed: ContainerUpdate[] = [];
    for (const entry of update)
      if (!(await this.#update(entry, plugin.name)) && !entry.ignore_failure) failed.push(entry);
    for (const { container_id: id } of evict) this.#evict(id);
    return { failed };
  }
}
