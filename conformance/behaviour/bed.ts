/**
 * What the behaviour tests stand on: a berthd in a folder of its own, with its own network, cgroup, registry and images,
 * spoken to through its socket as a kubelet would. `close` fails when anything is left of what the tests made.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type ContainerConfigInit,
  ContainerState,
  type ContainerStatus,
  type ExecSyncResponse,
  NamespaceMode,
  type PodSandboxConfigInit,
} from '#proto/generated/cri.ts';
import { projectRoot } from '../cache.ts';
import { CriClient, type MethodName, type ReplyOf, type RequestOf } from '../cri-client.ts';
import { type Registry, startRegistry, writeMirrorHosts } from '../fixtures/registry.ts';
import { pushCatalogue } from '../fixtures/store.ts';
import { cniPluginDir, makeTestNetwork, type TestNetwork } from '../network.ts';
import { behaviourImages, imageNames } from './images.ts';
import { findLeft, removeLeft } from './leftovers.ts';

const startTimeoutMs = 30_000;

export interface BedOptions {
  /** Further tables of the configuration file, for a bed in this folder. */
  readonly config?: (dir: string) => Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Who makes cgroups; cgroupfs unless given, which is possible on every host. */
  readonly cgroupDriver?: 'cgroupfs' | 'systemd';
  /** Which of the test images to pull; busybox unless given. */
  readonly images?: readonly string[];
}

export interface Pod {
  readonly id: string;
  readonly config: PodSandboxConfigInit;
  readonly logDir: string;
}

export class BehaviourBed {
  readonly dir: string;
  /** Names the bridge, the cgroup and the pods' namespace; unique on the machine. */
  readonly name: string;
  readonly cgroupParent: string;
  readonly logFile: string;
  readonly #configFile: string;
  readonly #network: TestNetwork;
  readonly #registry: Registry;
  #child: ChildProcess | undefined;
  #client: CriClient | undefined;
  #counter = 0;

  private constructor(dir: string, registry: Registry, options: BedOptions) {
    this.dir = dir;
    this.#registry = registry;
    this.name = `bh${process.pid}`;
    const driver = options.cgroupDriver ?? 'cgroupfs';
    this.cgroupParent = driver === 'systemd' ? `/${this.name}.slice` : `/${this.name}`;
    this.logFile = join(dir, 'log');
    this.#configFile = join(dir, 'config.toml');
    this.#network = makeTestNetwork(dir, {
      bridge: this.name,
      subnet: `10.${224 + (process.pid % 8)}.${process.pid % 251}.0/24`,
    });
    writeFileSync(this.#configFile, this.#configText(options.config?.(dir) ?? {}, driver));
  }

  /** Makes everything, starts the daemon and pulls the images. */
  static async start(options: BedOptions = {}): Promise<BehaviourBed> {
    // Short: sockets have names of at most 107 bytes.
    const dir = mkdtempSync(join(tmpdir(), 'bh-'));
    const registry = await startRegistry({ dataDir: join(dir, 'registry') });
    const wanted = options.images ?? [imageNames.busybox];
    await pushCatalogue(registry.host, await behaviourImages(wanted));
    writeMirrorHosts(join(dir, 'hosts'), ['docker.io'], registry.host);
    const bed = new BehaviourBed(dir, registry, options);
    try {
      await bed.startDaemon();
      for (const image of wanted) await bed.call('PullImage', { image: { image } });
    } catch (error) {
      await bed.#takeDown();
      throw error;
    }
    return bed;
  }

  #configText(more: ReturnType<NonNullable<BedOptions['config']>>, cgroup_driver: string): string {
    const own: Record<string, Record<string, unknown>> = {
      daemon: { root_dir: join(this.dir, 'lib'), state_dir: join(this.dir, 'run'), shutdown_grace_ms: 1000 },
      server: { socket: join(this.dir, 'berth.sock') },
      log: { format: 'json', level: 'debug' },
      metrics: { address: '' },
      runtime: { exec_drain_ms: 500, cgroup_driver },
      network: {
        cni_config_dir: this.#network.confDir,
        cni_plugin_dirs: [cniPluginDir],
        cni_cache_dir: join(this.dir, 'cni', 'cache'),
        netns_dir: join(this.dir, 'netns'),
      },
      images: { registry_config_dirs: [join(this.dir, 'hosts')] },
      nri: { socket_path: join(this.dir, 'nri.sock') },
    };
    for (const [table, keys] of Object.entries(more)) own[table] = { ...own[table], ...keys };
    // Every value here is written alike in JSON and TOML.
    return Object.entries(own)
      .flatMap(([table, keys]) => [
        `[${table}]`,
        ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
      ])
      .join('\n');
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get #isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts the daemon and waits until it answers calls that need recovery to be over. */
  async startDaemon(): Promise<void> {
    const log = openSync(this.logFile, 'a');
    this.#child = spawn(
      join(projectRoot, 'node_modules/.bin/node'),
      [
        '--max-semi-space-size=1',
        '--v8-pool-size=1',
        join(projectRoot, 'daemon/main.ts'),
        '--config',
        this.#configFile,
      ],
      {
        stdio: ['ignore', log, log],
        env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'berth-behaviour-compile-cache') },
      },
    );
    closeSync(log);
    await this.connect(() => this.#isRunning);
  }

  /** Waits until a daemon on the bed's socket answers, one that the bed did not start too. Throws when `isAlive` says no. */
  async connect(isAlive: () => boolean): Promise<void> {
    const deadline = performance.now() + startTimeoutMs;
    const socket = join(this.dir, 'berth.sock');
    while (performance.now() < deadline) {
      if (!isAlive()) throw new Error(`berthd ended at its start:\n${this.logTail()}`);
      const client = existsSync(socket) ? new CriClient(socket) : undefined;
      try {
        await client?.call('ListContainers', {});
        if (client) {
          this.#client = client;
          return;
        }
      } catch {
        client?.close(); // the socket is an earlier daemon's, or not served yet
      }
      await delay(10);
    }
    throw new Error(`berthd did not answer within ${startTimeoutMs} ms:\n${this.logTail()}`);
  }

  /** Ends the daemon with a signal and waits for its end. Pods stay. */
  async endDaemon(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (!this.#child || !this.#isRunning) return;
    const gone = once(this.#child, 'exit');
    this.#client?.close();
    this.#child.kill(signal);
    await gone;
  }

  /** One call. Rejects with CriError. */
  call<N extends MethodName>(
    name: N,
    request: RequestOf<N>,
    timeoutMs = 30_000,
    signal?: AbortSignal,
  ): Promise<ReplyOf<N>> {
    return this.#client!.call(name, request, timeoutMs, signal);
  }

  /** A config for a pod with a name that was never used; `more` replaces its top-level fields, and those of `linux`. */
  podConfig(more: PodSandboxConfigInit = {}): PodSandboxConfigInit {
    this.#counter += 1;
    const name = `pod-${this.#counter}`;
    const logDirectory = join(this.dir, 'logs', name);
    mkdirSync(logDirectory, { recursive: true });
    return {
      metadata: { name, uid: `uid-${name}`, namespace: this.name },
      log_directory: logDirectory,
      ...more,
      linux: {
        cgroup_parent: this.cgroupParent,
        security_context: { namespace_options: { pid: NamespaceMode.CONTAINER } },
        ...more.linux,
      },
    };
  }

  async runPod(more: PodSandboxConfigInit = {}, runtime_handler = ''): Promise<Pod> {
    const config = this.podConfig(more);
    const { pod_sandbox_id: id } = await this.call('RunPodSandbox', { config, runtime_handler });
    return { id, config, logDir: config.log_directory ?? '' };
  }

  /** A container's config; `more` replaces its top-level fields. It sleeps, and ends at SIGTERM, unless told otherwise. */
  containerConfig(name: string, more: ContainerConfigInit = {}): ContainerConfigInit {
    return {
      metadata: { name },
      image: { image: imageNames.busybox },
      command: ['sh', '-c', 'trap "exit 0" TERM; sleep 1000 & wait'],
      log_path: `${name}.log`,
      ...more,
    };
  }

  async create(pod: Pod, name: string, more: ContainerConfigInit = {}): Promise<string> {
    const config = this.containerConfig(name, {
      ...more,
      linux: {
        ...more.linux,
        security_context: {
          // As a kubelet does: the pod's options again.
          namespace_options: pod.config.linux?.security_context?.namespace_options,
          ...more.linux?.security_context,
        },
      },
    });
    const request = { pod_sandbox_id: pod.id, config, sandbox_config: pod.config };
    return (await this.call('CreateContainer', request)).container_id;
  }

  async run(pod: Pod, name: string, more: ContainerConfigInit = {}): Promise<string> {
    const id = await this.create(pod, name, more);
    await this.call('StartContainer', { container_id: id });
    return id;
  }

  async status(id: string): Promise<ContainerStatus> {
    return (await this.call('ContainerStatus', { container_id: id })).status!;
  }

  /** What `verbose` adds: pid, runtimeSpec and the rest. */
  async info(id: string): Promise<{
    readonly pid: number;
    readonly runtimeSpec: { readonly linux: { readonly cgroupsPath: string } };
  }> {
    const { info } = await this.call('ContainerStatus', { container_id: id, verbose: true });
    return JSON.parse(info.info ?? '{}');
  }

  /** Waits for the container's end and gives its status. */
  async ended(id: string, timeoutMs = 10_000): Promise<ContainerStatus> {
    return until(
      async () => {
        const status = await this.status(id);
        return status.state === ContainerState.CONTAINER_EXITED ? status : undefined;
      },
      timeoutMs,
      `the end of container ${id}`,
    );
  }

  /** ExecSync of a shell script, which must succeed; gives its standard output. */
  async sh(id: string, script: string): Promise<string> {
    const reply = await this.exec(id, ['sh', '-c', script]);
    if (reply.exit_code !== 0) throw new Error(`${script}: exit code ${reply.exit_code}: ${reply.stderr}`);
    return reply.stdout.toString();
  }

  exec(id: string, cmd: readonly string[], timeoutSeconds = 20): Promise<ExecSyncResponse> {
    return this.call('ExecSync', { container_id: id, cmd, timeout: BigInt(timeoutSeconds) });
  }

  /** The lines of a container's log so far, as they stand in the file; '' if there is none. */
  logText(pod: Pod, name: string): string {
    const file = join(pod.logDir, `${name}.log`);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  removePod(pod: Pod): Promise<unknown> {
    return this.call('RemovePodSandbox', { pod_sandbox_id: pod.id });
  }

  /** Removes every pod, then says what is still there that should not be; [] is as it should be. */
  async leftovers(): Promise<string[]> {
    const { items } = await this.call('ListPodSandbox', {});
    await Promise.all(items.map(({ id }) => this.call('RemovePodSandbox', { pod_sandbox_id: id })));
    return findLeft(this);
  }

  logTail(lines = 30): string {
    try {
      return readFileSync(this.logFile, 'utf8')
        .trim()
        .split('\n')
        .slice(-lines)
        .map((line) => line.slice(0, 400))
        .join('\n');
    } catch {
      return ''; // it never wrote one
    }
  }

  /** Removes all pods, looks what is left, ends the daemon and takes everything away. Throws if anything was left. */
  async close(): Promise<void> {
    let left: string[];
    try {
      left = await this.leftovers();
    } catch (error) {
      left = [`looking for what is left failed: ${String(error)}`, this.logTail()];
    }
    if (!this.#isRunning) left.push(`the daemon had ended by itself:\n${this.logTail()}`);
    await this.endDaemon('SIGTERM');
    await this.#takeDown();
    if (left.length > 0) throw new Error(`left behind:\n${left.join('\n')}`);
  }

  async #takeDown(): Promise<void> {
    this.#client?.close();
    await this.endDaemon('SIGKILL');
    await this.#registry.stop();
    await removeLeft(this);
    await this.#network.remove();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Asks again and again until the answer is not undefined; rejects naming `what` when that takes too long. */
export async function until<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  timeoutMs: number,
  what: string,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(10);
  }
}
