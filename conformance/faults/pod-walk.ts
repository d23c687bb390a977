/**
 * The life of one pod as the kubelet would lead it, whatever happens on the way: every step looks what there is, does what
 * is missing, and is tried again after a failure. The kubelet's own habits are kept: a sandbox that is there but not ready
 * is stopped and another attempt made; so for a container that is created but could not be started.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { managedByLabel } from '#base/managed-pod.ts';
import type { MethodName, ReplyOf, RequestOf } from '../cri-client.ts';
import { DaemonDied, type FaultBed, imageName } from './bed.ts';

export interface PodWalkOptions {
  readonly name: string;
  /** Whether containers share a PID namespace, so that the sandbox has an init. */
  readonly sharesPid?: boolean;
  /** 0 publishes none. */
  readonly hostPort?: number;
  /** Runtime handler. Default: the daemon's. */
  readonly handler?: string;
  /** Whether it is an operator's pod, which no kubelet knows (#base/managed-pod.ts). */
  readonly isManaged?: boolean;
  /** Whether containers have a terminal. */
  readonly hasTerminal?: boolean;
  /** Folders of the node, by where the containers have them. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** Tries of each step before it is given up. Default 6. */
  readonly tries?: number;
  /** How long each call may take. Default: the bed's. */
  readonly deadlineMs?: number;
  /** Where failures are told of. Default: a list of the walk's own. */
  readonly failures?: string[];
}

/** ContainerState and PodSandboxState of the CRI. */
const created = 0;
const running = 1;
const sandboxReady = 0;
/** NamespaceMode of the CRI. */
const podNamespace = 0;
const containerNamespace = 1;

const kubeletUidLabel = 'io.kubernetes.pod.uid';
const operatorUidLabel = 'faults/uid';

const retryMs = 20;
const awaitedMs = 15_000;

/**
 * Repeats `step` until it succeeds; a dead daemon is started first, as its supervisor would. What fails on the way goes to
 * `failures`; after `tries` the last failure is thrown.
 */
export async function insist<T>(
  bed: FaultBed,
  failures: string[],
  what: string,
  step: () => Promise<T>,
  tries = 6,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await bed.start();
      return await step();
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      failures.push(`${what}: ${words}`);
      if (attempt >= tries)
        throw new Error(`${what} failed ${tries} times, at last: ${words}`, { cause: error });
      if (!(error instanceof DaemonDied)) await delay(retryMs);
    }
  }
}

export class PodWalk {
  readonly #bed: FaultBed;
  readonly #options: PodWalkOptions;
  readonly #uid = randomUUID();
  /** Failures met on the way, which is what the walk is for. */
  readonly failures: string[];
  #sandbox: ReturnType<PodWalk['configOf']> | undefined;
  #sandboxId = '';
  #containerId = '';

  constructor(bed: FaultBed, options: PodWalkOptions) {
    this.#bed = bed;
    this.#options = options;
    this.failures = options.failures ?? [];
    mkdirSync(this.logDirectory, { recursive: true });
  }

  get logDirectory(): string {
    return join(this.#bed.dir, 'pods', this.#options.name);
  }

  get name(): string {
    return this.#options.name;
  }

  get containerId(): string {
    return this.#containerId;
  }

  get sandboxId(): string {
    return this.#sandboxId;
  }

  /** By this the pod is found, whatever its name is. */
  get #mark(): Readonly<Record<string, string>> {
    return { [this.#options.isManaged === true ? operatorUidLabel : kubeletUidLabel]: this.#uid };
  }

  configOf(attempt: number) {
    const { name, sharesPid, hostPort } = this.#options;
    return {
      metadata: { name, uid: this.#uid, namespace: 'faults', attempt },
      hostname: name,
      log_directory: this.logDirectory,
      dns_config: { servers: ['10.96.0.10'] },
      labels: { ...this.#mark, ...(this.#options.isManaged === true && { [managedByLabel]: 'faults' }) },
      ...(hostPort ? { port_mappings: [{ container_port: 80, host_port: hostPort }] } : {}),
      linux: {
        cgroup_parent: this.#bed.cgroupParent,
        security_context: {
          namespace_options: { network: podNamespace, pid: sharesPid ? podNamespace : containerNamespace },
        },
      },
    };
  }

  #call<N extends MethodName>(name: N, request: RequestOf<N>): Promise<ReplyOf<N>> {
    return this.#bed.call(name, request, this.#options.deadlineMs);
  }

  #insist<T>(what: string, step: () => Promise<T>): Promise<T> {
    return insist(this.#bed, this.failures, what, step, this.#options.tries);
  }

  /** A ready sandbox. */
  async run(): Promise<void> {
    await this.#insist('RunPodSandbox', async () => {
      const items = await this.#listSandboxes();
      const newest = items.toSorted((a, b) => (a.metadata?.attempt ?? 0) - (b.metadata?.attempt ?? 0)).at(-1);
      let attempt = 0;
      if (newest) {
        attempt = newest.metadata?.attempt ?? 0;
        if (newest.state === sandboxReady) {
          this.#sandbox = this.configOf(attempt);
          this.#sandboxId = newest.id;
          return;
        }
        await this.#call('StopPodSandbox', { pod_sandbox_id: newest.id });
        attempt += 1;
      }
      const config = this.configOf(attempt);
      const reply = await this.#call('RunPodSandbox', {
        config,
        runtime_handler: this.#options.handler ?? '',
      });
      this.#sandbox = config;
      this.#sandboxId = reply.pod_sandbox_id;
    });
  }

  /** A running container with this command. */
  async start(command: readonly string[], name = 'main', image = imageName): Promise<void> {
    await this.#insist('StartContainer', async () => {
      const containers = await this.#list(name);
      const newest = containers.at(-1);
      if (newest?.state === running) {
        this.#containerId = newest.id;
        return;
      }
      if (newest?.state === created && this.#options.isManaged === true) {
        await this.#call('StartContainer', { container_id: newest.id });
        this.#containerId = newest.id;
        return;
      }
      // The kubelet makes another where one is created but not started.
      const attempt = newest ? (newest.metadata?.attempt ?? 0) + 1 : 0;
      const { container_id } = await this.#call('CreateContainer', {
        pod_sandbox_id: this.#sandboxId,
        sandbox_config: this.#sandbox!,
        config: this.#containerConfig({ name, attempt }, command, image),
      });
      await this.#call('StartContainer', { container_id });
      this.#containerId = container_id;
    });
    const [newest] = (await this.#insist('ListContainers', () => this.#list(name))).toReversed();
    const state = newest?.state ?? created;
    if (state !== running) throw new Error(`container ${name} is in state ${state} after its start`);
  }

  #containerConfig(
    metadata: { readonly name: string; readonly attempt: number },
    command: readonly string[],
    image: string,
  ) {
    const { namespace_options } = this.configOf(0).linux.security_context;
    return {
      metadata,
      image: { image },
      command: [...command],
      log_path: `${metadata.name}-${metadata.attempt}.log`,
      working_dir: '/work/here',
      tty: this.#options.hasTerminal === true,
      mounts: Object.entries(this.#options.mounts ?? {}).map(([container_path, host_path]) => ({
        container_path,
        host_path,
      })),
      linux: { security_context: { namespace_options } },
    };
  }

  /**
   * The pod as it was saved in a folder, with its one container, which goes on when this resolves. What a failed try left is
   * used if the container waits for its start, and removed if not.
   */
  async restore(checkpoint_path: string, command: readonly string[]): Promise<void> {
    const config = this.configOf(0);
    await this.#insist('RestorePod', async () => {
      this.#sandbox = config;
      const [pod] = await this.#listSandboxes();
      this.#sandboxId = pod?.id ?? '';
      const main = pod && (await this.#list('main')).at(-1);
      if (main?.state === running) {
        this.#containerId = main.id;
        return;
      }
      if (pod && main?.state !== created) await this.#call('RemovePodSandbox', { pod_sandbox_id: pod.id });
      if (main?.state === created) this.#containerId = main.id;
      else {
        const { pod_sandbox_id, restored_containers } = await this.#call('RestorePod', {
          checkpoint_path,
          config,
          runtime_handler: this.#options.handler ?? '',
          container_configs: [this.#containerConfig({ name: 'main', attempt: 0 }, command, imageName)],
        });
        this.#sandboxId = pod_sandbox_id;
        this.#containerId = restored_containers[0]?.container_id ?? '';
      }
      await this.#call('StartContainer', { container_id: this.#containerId });
    });
  }

  async #listSandboxes() {
    const { items } = await this.#call('ListPodSandbox', {
      filter: { label_selector: this.#mark },
    });
    return items;
  }

  async #list(name: string) {
    const { containers } = await this.#call('ListContainers', {
      filter: { pod_sandbox_id: this.#sandboxId },
    });
    return containers
      .filter(({ metadata }) => metadata?.name === name)
      .toSorted((a, b) => (a.metadata?.attempt ?? 0) - (b.metadata?.attempt ?? 0));
  }

  /**
   * Runs a command that says hello and expects to hear it. `when` 'ready' waits for the file `/ready`, which the container's
   * own command makes as soon as it can take a signal.
   */
  async exec(when: 'now' | 'ready' = 'now'): Promise<void> {
    const wait = when === 'ready' ? 'until test -e /ready; do usleep 10000; done; ' : '';
    await this.hear(`${wait}echo hello`, 'hello\n');
  }

  /** Runs a script in the container and expects it to say that. */
  async hear(script: string, expected: string): Promise<void> {
    await this.#insist('ExecSync', async () => {
      const { said, exitCode } = await this.#execSync(script);
      if (exitCode !== 0 || said !== expected)
        throw new Error(`${script} said ${JSON.stringify(said)} with exit code ${exitCode}`);
    });
  }

  /** What a shell in the container answers, which must end well. */
  async say(script: string): Promise<string> {
    return this.#insist('ExecSync', async () => {
      const { said, exitCode } = await this.#execSync(script);
      if (exitCode !== 0)
        throw new Error(`${script} said ${JSON.stringify(said)} with exit code ${exitCode}`);
      return said;
    });
  }

  /** The number in the container's file `/count`, which is empty for a moment whenever it is written. */
  async counted(): Promise<number> {
    return Number(await this.say('n=; while test -z "$n"; do n=$(cat /count); done; echo $n'));
  }

  /** Waits until the number in the container's file `/count` is larger than this. */
  async countsBeyond(number: number): Promise<void> {
    await this.say(
      `for i in $(seq 500); do test "$(cat /count 2>/dev/null || echo 0)" -gt ${number} && exit; usleep 10000; done; exit 1`,
    );
  }

  async #execSync(script: string): Promise<{ said: string; exitCode: number }> {
    const { stdout, exit_code } = await this.#call('ExecSync', {
      container_id: this.#containerId,
      cmd: ['sh', '-c', script],
      timeout: 10n,
    });
    return { said: Buffer.from(stdout).toString(), exitCode: exit_code };
  }

  /** New limits for the container and the pod, and a new log file. */
  async change(): Promise<void> {
    await this.#insist('UpdateContainerResources', () =>
      this.#call('UpdateContainerResources', {
        container_id: this.#containerId,
        linux: { cpu_shares: 512n },
      }),
    );
    await this.#insist('UpdatePodSandboxResources', () =>
      this.#call('UpdatePodSandboxResources', {
        pod_sandbox_id: this.#sandboxId,
        resources: { cpu_shares: 1024n },
      }),
    );
    await this.#insist('ReopenContainerLog', () =>
      this.#call('ReopenContainerLog', { container_id: this.#containerId }),
    );
  }

  async stopContainer(timeoutSeconds: bigint): Promise<void> {
    await this.#insist('StopContainer', () =>
      this.#call('StopContainer', { container_id: this.#containerId, timeout: timeoutSeconds }),
    );
  }

  /** The exit code and reason that the runtime reports for the container. */
  async status(): Promise<{ exitCode: number; reason: string; state: number }> {
    const { status } = await this.#insist('ContainerStatus', () =>
      this.#call('ContainerStatus', { container_id: this.#containerId }),
    );
    return { exitCode: status?.exit_code ?? -1, reason: status?.reason ?? '', state: status?.state ?? -1 };
  }

  /** Waits until the container is reported so. */
  async awaitStatus(wanted: Awaited<ReturnType<PodWalk['status']>>): Promise<void> {
    await this.#until(
      async () => JSON.stringify(await this.status()),
      JSON.stringify(wanted, ['exitCode', 'reason', 'state']),
    );
  }

  /** Waits until the pod's one sandbox is reported in this state. */
  async awaitSandboxState(wanted: number): Promise<void> {
    await this.#until(async () => {
      const items = await this.#insist('ListPodSandbox', () => this.#listSandboxes());
      return items.map(({ state }) => state).join();
    }, String(wanted));
  }

  async #until(look: () => Promise<string>, wanted: string): Promise<void> {
    const end = performance.now() + awaitedMs;
    for (;;) {
      const seen = await look();
      if (seen === wanted) return;
      if (performance.now() > end) throw new Error(`${this.name} is ${seen}, not ${wanted}`);
      await delay(retryMs);
    }
  }

  async removeContainer(): Promise<void> {
    await this.#insist('RemoveContainer', () =>
      this.#call('RemoveContainer', { container_id: this.#containerId }),
    );
  }

  async stop(): Promise<void> {
    await this.#ofEachSandbox('StopPodSandbox');
  }

  async remove(): Promise<void> {
    await this.#ofEachSandbox('RemovePodSandbox');
  }

  /** Every attempt of the pod: a failed one may have left a sandbox that is not ready. */
  async #ofEachSandbox(rpc: 'StopPodSandbox' | 'RemovePodSandbox'): Promise<void> {
    await this.#insist(rpc, async () => {
      const items = await this.#listSandboxes();
      for (const { id } of items) await this.#call(rpc, { pod_sandbox_id: id });
    });
  }
}
