/** NRI as the managers see it, and its socket. While no plugin is there, all else of `runtime/nri` is not even loaded. */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { messageOf } from '#base/errors.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { AdjustedContainer, LifecycleHooks, Limits } from '../lifecycle-hooks.ts';
import type { LinuxResources, SandboxId } from '../sandbox/config.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import type { NriOptions } from './contract.ts';
import { Gate } from './gate.ts';
import type { PluginSet } from './plugin-set.ts';
import { findInstalledPlugins, type RunningPlugin, startPlugin } from './preinstalled.ts';

export class Nri implements LifecycleHooks {
  readonly #options: NriOptions;
  readonly #gate = new Gate();
  /** Stopped sandboxes that plugins were told of: the kubelet stops one many times. */
  readonly #stoppedSandboxes = new Set<SandboxId>();
  readonly #programs = new Set<RunningPlugin>();
  #loading: Promise<PluginSet> | undefined;
  #plugins: PluginSet | undefined;
  #server: Server | undefined;

  constructor(options: NriOptions) {
    this.#options = options;
  }

  /**
   * Starts the plugins that are installed, and when they take part, or have failed to, listens for others. Call once,
   * when records are whole and before requests are let through. Nothing that goes wrong here keeps the daemon from serving.
   */
  async start(): Promise<void> {
    const { pluginDir, configDir, log, socketPath } = this.#options;
    try {
      const installed = findInstalledPlugins(pluginDir, configDir, log);
      if (installed.length > 0) await this.#startInstalled(installed);
    } catch (error) {
      log.error({ err: error }, `starting the NRI plugins of ${pluginDir}: ${messageOf(error)}`);
    }
    if (socketPath === '') return;
    try {
      await this.#listen(socketPath);
    } catch (error) {
      log.warn({ err: error }, `NRI plugins cannot connect: ${messageOf(error)}`);
    }
  }

  async #load(): Promise<PluginSet> {
    this.#loading ??= import('./plugin-set.ts').then(
      (module) => new module.PluginSet(this.#options, this.#gate),
    );
    this.#plugins = await this.#loading;
    return this.#plugins;
  }

  async #startInstalled(installed: ReturnType<typeof findInstalledPlugins>): Promise<void> {
    const { log } = this.#options;
    const plugins = await this.#load();
    const started = await Promise.allSettled(
      installed.map(async (program) => {
        const running = startPlugin(program, log);
        this.#programs.add(running);
        running.ended.then(() => this.#programs.delete(running));
        return plugins.begin(running.socket, program.identity);
      }),
    );
    for (const result of started)
      if (result.status === 'rejected') log.error({ err: result.reason }, messageOf(result.reason));
    await plugins.join(
      started.filter((result) => result.status === 'fulfilled').map((result) => result.value),
    );
  }

  async #listen(path: string): Promise<void> {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    if (existsSync(path) && (await isAnswered(path))) throw new Error(`another runtime listens at ${path}`);
    rmSync(path, { force: true });
    const server = createServer((socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', (error) =>
      this.#options.log.error({ err: error }, `the NRI socket: ${messageOf(error)}`),
    );
    this.#server = server;
  }

  /** Only a plugin that says something is worth loading for. */
  #accept(socket: Socket): void {
    const { log, registrationTimeoutMs } = this.#options;
    socket.on('error', () => {}); // it closes then, which is what is looked at
    socket.setTimeout(registrationTimeoutMs, () => socket.destroy());
    socket.once('data', (chunk: Buffer) => {
      socket.setTimeout(0);
      socket.pause();
      socket.unshift(chunk);
      this.#load()
        .then((plugins) => plugins.accept(socket))
        .catch((error) => {
          log.warn({ err: error }, messageOf(error));
          socket.destroy();
        });
    });
  }

  /** Tells the plugins that the daemon goes down and ends those that it started. Containers stay as they are. */
  async close(): Promise<void> {
    this.#server?.close();
    await this.#plugins?.close();
    await Promise.all([...this.#programs].map(({ ended }) => ended));
  }

  during<T>(work: () => Promise<T>): Promise<T> {
    return this.#gate.share(work);
  }

  async runSandbox(sandbox: SandboxRecord): Promise<void> {
    await this.#plugins?.askPod('RunPodSandbox', sandbox);
  }

  async updateSandbox(
    sandbox: SandboxRecord,
    overhead: LinuxResources | undefined,
    resources: LinuxResources | undefined,
  ): Promise<void> {
    await this.#plugins?.updateSandbox(sandbox, overhead, resources);
  }

  async sandboxUpdated(sandbox: SandboxRecord): Promise<void> {
    await this.#plugins?.tellPod('PostUpdatePodSandbox', sandbox);
  }

  async sandboxStopped(sandbox: SandboxRecord): Promise<void> {
    if (this.#stoppedSandboxes.has(sandbox.id)) return;
    this.#stoppedSandboxes.add(sandbox.id);
    await this.#plugins?.tellPod('StopPodSandbox', sandbox);
  }

  async removeSandbox(sandbox: SandboxRecord): Promise<void> {
    this.#stoppedSandboxes.delete(sandbox.id);
    await this.#plugins?.tellPod('RemovePodSandbox', sandbox);
  }

  async createContainer(
    sandbox: SandboxRecord,
    container: ContainerRecord,
    spec: OciSpec,
  ): Promise<AdjustedContainer> {
    const adjusted = await this.#plugins?.createContainer(sandbox, container, spec);
    return adjusted ?? { spec, changedResources: undefined };
  }

  async containerCreated(container: ContainerRecord): Promise<void> {
    await this.#plugins?.tellContainer('PostCreateContainer', container);
  }

  async startContainer(container: ContainerRecord): Promise<void> {
    await this.#plugins?.askContainer('StartContainer', container);
  }

  async containerStarted(container: ContainerRecord): Promise<void> {
    await this.#plugins?.tellContainer('PostStartContainer', container);
  }

  async updateContainer(container: ContainerRecord, wanted: Limits): Promise<Limits> {
    return (await this.#plugins?.updateContainer(container, wanted)) ?? wanted;
  }

  async containerUpdated(container: ContainerRecord): Promise<void> {
    await this.#plugins?.tellContainer('PostUpdateContainer', container);
  }

  async containerStopped(container: ContainerRecord): Promise<void> {
    await this.#plugins?.containerStopped(container);
  }

  async removeContainer(container: ContainerRecord): Promise<void> {
    await this.#plugins?.tellContainer('RemoveContainer', container);
  }
}

/** Whether somebody accepts connections there. */
function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}
