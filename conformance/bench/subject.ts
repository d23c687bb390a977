/** One column of the benchmark: a daemon with one of its runtime handlers, and the kubelet's steps on it, timed. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon } from './daemon.ts';

export const subjectNames = ['berth', 'containerd-runc', 'containerd-crun'] as const;
export type SubjectName = (typeof subjectNames)[number];

/** Image of the workloads. */
export const workloadImage = 'docker.io/library/busybox:latest';

/** Sleeps, and ends at once on SIGTERM, so that stopping measures the runtime and not a grace period. */
const sleeper = ['sh', '-c', 'trap "exit 0" TERM; sleep 86400 & wait'];
const graceSeconds = 5n;

export interface PodHandle {
  readonly id: string;
  readonly config: PodConfig;
  readonly ms: number;
}

interface PodConfig {
  readonly metadata: { readonly name: string; readonly uid: string; readonly namespace: string };
  readonly hostname: string;
  readonly log_directory: string;
  readonly dns_config: { readonly servers: readonly string[] };
  readonly linux: {
    readonly cgroup_parent: string;
    readonly security_context: {
      readonly namespace_options: { readonly network: number; readonly pid: number };
    };
  };
}

export interface ContainerHandle {
  readonly id: string;
  readonly createMs: number;
  readonly startMs: number;
}

export interface ContainerOptions {
  /** Ends by itself at once instead of sleeping. */
  readonly endsAtOnce?: boolean;
}

/** NamespaceMode of the CRI. */
const podNamespace = 0;
const containerNamespace = 1;
const nodeNamespace = 2;

export class Subject {
  readonly name: SubjectName;
  readonly daemon: Daemon;
  readonly #handler: string;
  /** Containers that exist, to tell workloads from the runtime's own processes. */
  readonly containerIds = new Set<string>();
  #counter = 0;

  constructor(name: SubjectName, daemon: Daemon, handler: string) {
    this.name = name;
    this.daemon = daemon;
    this.#handler = handler;
  }

  /** RunPodSandbox, with a name that was never used before. `onHost` shares the host's network. */
  async runPod(options: { readonly onHost?: boolean } = {}): Promise<PodHandle> {
    this.#counter += 1;
    const name = `${this.name}-${this.#counter}`;
    const logDirectory = join(this.daemon.dir, 'pods', name);
    mkdirSync(logDirectory, { recursive: true });
    const config: PodConfig = {
      metadata: { name, uid: crypto.randomUUID(), namespace: 'bench' },
      hostname: options.onHost === true ? '' : name,
      log_directory: logDirectory,
      dns_config: { servers: ['10.96.0.10'] },
      linux: {
        cgroup_parent: this.daemon.cgroup.podParent,
        security_context: {
          namespace_options: {
            network: options.onHost === true ? nodeNamespace : podNamespace,
            pid: containerNamespace,
          },
        },
      },
    };
    const { ms, reply } = await this.daemon.client.time('RunPodSandbox', {
      config,
      runtime_handler: this.#handler,
    });
    return { id: reply.pod_sandbox_id, config, ms };
  }

  /** CreateContainer and StartContainer. */
  async runContainer(pod: PodHandle, name: string, options: ContainerOptions = {}): Promise<ContainerHandle> {
    const created = await this.daemon.client.time('CreateContainer', {
      pod_sandbox_id: pod.id,
      sandbox_config: pod.config,
      config: {
        metadata: { name },
        image: { image: workloadImage },
        command: options.endsAtOnce === true ? ['true'] : sleeper,
        log_path: `${name}.log`,
        linux: {
          resources: { cpu_shares: 10n, memory_limit_in_bytes: 256n << 20n },
          security_context: { namespace_options: pod.config.linux.security_context.namespace_options },
        },
      },
    });
    const id = created.reply.container_id;
    this.containerIds.add(id);
    const { ms } = await this.daemon.client.time('StartContainer', { container_id: id });
    return { id, createMs: created.ms, startMs: ms };
  }

  /** StopContainer and RemoveContainer; resolves with the milliseconds of both. */
  async removeContainer(id: string): Promise<number> {
    const { client } = this.daemon;
    const stopped = await client.time('StopContainer', { container_id: id, timeout: graceSeconds });
    const removed = await client.time('RemoveContainer', { container_id: id });
    this.containerIds.delete(id);
    return stopped.ms + removed.ms;
  }

  /** StopPodSandbox and RemovePodSandbox; resolves with the milliseconds of both. */
  async removePod(id: string): Promise<number> {
    const { client } = this.daemon;
    const stopped = await client.time('StopPodSandbox', { pod_sandbox_id: id });
    const removed = await client.time('RemovePodSandbox', { pod_sandbox_id: id });
    return stopped.ms + removed.ms;
  }

  /** ExecSync of a program that ends at once; resolves with the milliseconds. Rejects unless it exits with 0. */
  async exec(id: string): Promise<number> {
    const { ms, reply } = await this.daemon.client.time('ExecSync', {
      container_id: id,
      cmd: ['true'],
      timeout: 10n,
    });
    if (reply.exit_code !== 0) throw new Error(`ExecSync: exit code ${reply.exit_code}`);
    return ms;
  }

  /** Removes every pod of the daemon with its containers. Keeps going; rejects with the first failure at the end. */
  async removeEverything(): Promise<void> {
    const { client } = this.daemon;
    const { items } = await client.call('ListPodSandbox', {});
    const failures: unknown[] = [];
    await forEachParallel(items, 4, async ({ id }) => {
      try {
        await this.removePod(id);
      } catch (error) {
        failures.push(error);
      }
    });
    this.containerIds.clear();
    if (failures.length > 0) throw failures[0];
  }
}

/** Runs `work` for each item, `parallel` at a time, in order. The first failure stops new ones and is thrown at the end. */
export async function forEachParallel<T>(
  items: readonly T[],
  parallel: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const failures: unknown[] = [];
  const worker = async () => {
    while (next < items.length && failures.length === 0) {
      const index = next;
      next += 1;
      try {
        await work(items[index]!, index);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  if (failures.length > 0) throw failures[0];
}
