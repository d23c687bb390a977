/** Records and specs in memory, with managers' habits: what a node has that no container really runs on. */
import type { ContainerRecord } from '#runtime/container/record.ts';
import type { LifecycleHooks, Limits } from '#runtime/lifecycle-hooks.ts';
import type { NriHost } from '#runtime/nri/contract.ts';
import type { SandboxRecord } from '#runtime/sandbox/record.ts';
import { buildContainerSpec } from '#runtime/spec/container-spec.ts';
import type { OciSpec } from '#runtime/spec/oci-spec.ts';
import { noResources } from '#runtime/spec/resources.ts';
import { sampleHostFacts, sampleInput } from '#runtime/spec/testing/sample-input.ts';
import { containerRecord, sandboxRecord } from '#runtime/stats/testing/records.ts';

export class FakeNode implements NriHost {
  readonly facts = sampleHostFacts();
  readonly sandboxes = new Map<string, SandboxRecord>();
  readonly containers = new Map<string, ContainerRecord>();
  readonly specs = new Map<string, OciSpec>();
  readonly updates: { name: string; limits: Limits }[] = [];
  readonly evicted: string[] = [];
  readonly cdiNames: string[] = [];
  /** Names of containers whose limits cannot be changed. */
  readonly stubborn = new Set<string>();

  listSandboxes = () => [...this.sandboxes.values()];
  listContainers = () => [...this.containers.values()];
  findSandbox = (id: string) => this.sandboxes.get(id);
  findContainer = (id: string) => this.containers.get(id);
  readSpec = async (id: string) => this.specs.get(id);

  adjustResources = async (id: string, limits: Limits): Promise<void> => {
    const name = this.containers.get(id)?.config.metadata.name ?? '';
    if (this.stubborn.has(name)) throw new Error(`the limits of ${name} stay`);
    this.updates.push({ name, limits });
  };

  evictContainer = async (id: string): Promise<void> => {
    this.evicted.push(this.containers.get(id)?.config.metadata.name ?? id);
  };

  addCdiDevices = async (spec: OciSpec, names: readonly string[]): Promise<OciSpec> => {
    this.cdiNames.push(...names);
    return spec;
  };

  async runPod(hooks: LifecycleHooks, name: string): Promise<SandboxRecord> {
    const record = sandboxRecord(name, { state: 'initializing', ips: ['10.1.0.9'] }, '/kubepods/pod1');
    return hooks.during(async () => {
      await hooks.runSandbox(record);
      const ready: SandboxRecord = { ...record, state: 'ready' };
      this.sandboxes.set(record.id, ready);
      return ready;
    });
  }

  /** As the managers do: asked, made, recorded, told. `pause` holds it up between being asked and being recorded. */
  async create(
    hooks: LifecycleHooks,
    pod: SandboxRecord,
    name: string,
    pause?: Promise<void>,
  ): Promise<OciSpec> {
    const record = containerRecord(name, pod.config.metadata.name, { state: 'creating' });
    const built = buildContainerSpec(
      sampleInput({
        input: { containerId: record.id, sandboxId: pod.id },
        config: { labels: { app: name } },
      }),
    );
    return hooks.during(async () => {
      const { spec, changedResources } = await hooks.createContainer(pod, record, built);
      await pause;
      const created = { ...record, state: 'created' as const, resources: changedResources };
      this.containers.set(record.id, created);
      this.specs.set(record.id, spec);
      await hooks.containerCreated(created);
      return spec;
    });
  }

  of(name: string): ContainerRecord {
    const found = this.listContainers().find(({ config }) => config.metadata.name === name);
    if (!found) throw new Error(`no container ${name}`);
    return found;
  }

  async start(hooks: LifecycleHooks, name: string): Promise<void> {
    await hooks.during(async () => {
      const record = this.of(name);
      await hooks.startContainer(record);
      const running = { ...record, state: 'running' as const };
      this.containers.set(record.id, running);
      await hooks.containerStarted(running);
    });
  }

  async update(hooks: LifecycleHooks, name: string, cpuShares: number): Promise<Limits> {
    return hooks.during(async () => {
      const limits = await hooks.updateContainer(this.of(name), {
        resources: { ...noResources, cpuShares },
        oci: { cpu: { shares: cpuShares } },
      });
      await hooks.containerUpdated(this.of(name));
      return limits;
    });
  }

  async exit(hooks: LifecycleHooks, name: string): Promise<void> {
    const exited = { ...this.of(name), state: 'exited' as const, exitCode: 3 };
    this.containers.set(exited.id, exited);
    await hooks.during(() => hooks.containerStopped(exited));
  }

  async remove(hooks: LifecycleHooks, name: string): Promise<void> {
    await hooks.during(async () => {
      await hooks.removeContainer(this.of(name));
      this.containers.delete(this.of(name).id);
    });
  }
}
