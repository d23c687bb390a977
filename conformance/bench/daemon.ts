/** A runtime's daemon under test: in a cgroup of its own, with state of its own, started and stopped as often as needed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '../cache.ts';
import { CriClient } from '../cri-client.ts';
import { readTail } from '../critest/server.ts';
import { type BenchCgroup, type BenchCgroups, commandInCgroup } from './cgroup.ts';
import { type DaemonSettings, writeBerthConfig, writeContainerdConfig } from './settings.ts';

export const daemonNames = ['berth', 'containerd'] as const;
export type DaemonName = (typeof daemonNames)[number];

export interface DaemonPlace {
  /** Work folder of this daemon on disk. */
  readonly dir: string;
  /** Folder of this daemon on a tmpfs; short, for sockets. */
  readonly stateDir: string;
  readonly cniConfDir: string;
  readonly registryHostsDir: string;
  /** Berth carries the CNI configuration out without its plugins. */
  readonly hasBuiltinPlugins: boolean;
  readonly cgroups: BenchCgroups;
  /** Berth's program: the launcher, or that of a packaged install. */
  readonly berthProgram: string;
  /** Options for Node in front of Berth's program, for profiles. */
  readonly nodeOptions: readonly string[];
}

const startTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;

export class Daemon {
  readonly name: DaemonName;
  readonly dir: string;
  readonly cgroup: BenchCgroup;
  readonly settings: DaemonSettings;
  readonly logFile: string;
  readonly #command: readonly string[];
  readonly #metricsPort: number;
  readonly #env: NodeJS.ProcessEnv = process.env;
  #child: ChildProcess | undefined;
  #client: CriClient | undefined;

  private constructor(name: DaemonName, place: DaemonPlace, metricsPort: number) {
    this.name = name;
    this.dir = place.dir;
    this.cgroup = place.cgroups.create(name);
    this.logFile = join(place.dir, 'log');
    this.settings = {
      rootDir: join(place.dir, 'root'),
      stateDir: join(place.stateDir, 'state'),
      socket: join(place.stateDir, 's.sock'),
      cniConfDir: place.cniConfDir,
      registryHostsDir: place.registryHostsDir,
      hasBuiltinPlugins: place.hasBuiltinPlugins,
      configFile: join(place.dir, 'config.toml'),
    };
    this.#metricsPort = metricsPort;
    for (const dir of [place.dir, place.stateDir, this.settings.rootDir, this.settings.stateDir])
      mkdirSync(dir, { recursive: true });
    const { configFile } = this.settings;
    if (name === 'berth') {
      writeBerthConfig(this.settings, metricsPort);
      this.#command = [place.berthProgram, '--config', configFile];
      // As installed: compiled code is kept between starts, here in the bench's own folder.
      this.#env = {
        ...process.env,
        NODE_COMPILE_CACHE: join(place.dir, 'compile'),
        ...(place.nodeOptions.length === 0 ? {} : { NODE_OPTIONS: place.nodeOptions.join(' ') }),
      };
    } else {
      writeContainerdConfig(this.settings);
      this.#command = ['containerd', '--config', configFile];
    }
  }

  /** Writes its configuration and makes its cgroup; starts nothing. */
  static async prepare(name: DaemonName, place: DaemonPlace): Promise<Daemon> {
    return new Daemon(name, place, await findFreePort());
  }

  /** The connection to the running daemon. Throws while it is stopped. */
  get client(): CriClient {
    if (this.#client === undefined) throw new Error(`${this.name} is not running`);
    return this.#client;
  }

  /** Process id of the running daemon, 0 while it is stopped. */
  get pid(): number {
    return this.isRunning ? (this.#child?.pid ?? 0) : 0;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /**
   * Starts it and resolves with the milliseconds until it was ready: it had answered Version, Status with RuntimeReady
   * true, and ListContainers with at least `containers` entries. Rejects with the end of its log.
   */
  async start(containers = 0): Promise<number> {
    const log = openSync(this.logFile, 'a');
    const [file, ...args] = commandInCgroup(this.cgroup.daemonDir, this.#command) as [string, ...string[]];
    const startMs = performance.now();
    this.#child = spawn(file, args, {
      cwd: projectRoot,
      env: this.#env,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child.once('error', () => {}); // shows as "not running" below
    try {
      await this.#awaitReady(startMs + startTimeoutMs, containers);
    } catch (cause) {
      await this.stop();
      const words = readTail(this.logFile, 12);
      throw new Error(`${this.name} did not become ready; end of its log:\n${words}`, { cause });
    }
    return performance.now() - startMs;
  }

  async #awaitReady(deadlineMs: number, containers: number): Promise<void> {
    let last: unknown;
    while (performance.now() < deadlineMs) {
      if (!this.isRunning) throw new Error('it ended at once', { cause: last });
      if (await canConnect(this.settings.socket)) {
        const client = new CriClient(this.settings.socket);
        try {
          await client.call('Version', {}, 5000);
          const { reply } = await client.time('Status', {}, 5000);
          const ready = reply.status?.conditions.find(({ type }) => type === 'RuntimeReady')?.status === true;
          const listed = (await client.call('ListContainers', {}, 20_000)).containers.length;
          if (ready && listed >= containers) {
            this.#client = client;
            return;
          }
          last = new Error(`RuntimeReady ${ready}, ${listed} of ${containers} containers`);
        } catch (error) {
          last = error;
        }
        client.close();
      }
      await sleep(2);
    }
    throw new Error(`not ready after ${startTimeoutMs} ms`, { cause: last });
  }

  /** Asks it to end and waits; kills it after 20 s. Containers stay. Idempotent. */
  async stop(): Promise<void> {
    this.#client?.close();
    this.#client = undefined;
    const child = this.#child;
    if (child === undefined || !this.isRunning || child.pid === undefined) return;
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    await ended;
    clearTimeout(timer);
  }

  /** Berth's metrics as text; undefined where there are none. Reading them resets the event-loop histogram. */
  async readMetrics(): Promise<string | undefined> {
    if (this.name !== 'berth') return undefined;
    try {
      const response = await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`);
      return response.ok ? await response.text() : undefined;
    } catch {
      // The figures are an extra: without them the load's other figures stand.
      return undefined;
    }
  }
}

function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
