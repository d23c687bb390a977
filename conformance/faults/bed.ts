/**
 * What the fault tests stand on: a folder, a network, a registry with one image, and a berthd that is killed and started
 * again as often as they like. All of it is of their own, so that nothing else on the machine takes part.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { type Finding, formatFinding } from '#base/finding.ts';
import { auditNode, type NodeAuditOptions } from '#daemon/audit.ts';
import { loadConfig } from '#daemon/config/load.ts';
import type { Config } from '#daemon/config/options.ts';
import { clearGroup, detectCgroupLayout } from '#host/cgroup.ts';
import { listMounts, unmountAll } from '#host/mount.ts';
import { listDescendants, listProcessesOf } from '#host/proc.ts';
import { AdminClient } from '../admin-client.ts';
import { projectRoot } from '../cache.ts';
import { runCommand } from '../command.ts';
import { CriClient, type MethodName, type ReplyOf, type RequestOf } from '../cri-client.ts';
import { makeImage, makeLayer } from '../fixtures/image.ts';
import { listApplets, makeBusyboxLayer } from '../fixtures/images.ts';
import { pushImage, type Registry, startRegistry, writeMirrorHosts } from '../fixtures/registry.ts';
import { cniPluginDir } from '../network.ts';
import type { NewerCriu } from '../tools/newer-criu.ts';

export const imageName = 'docker.io/library/faulty:latest';
/** Files of the image that a volume is filled with, by their names in its folder `/seed`. */
export const seed: Readonly<Record<string, string>> = { first: 'first of all', second: 'second to none' };
/** Another image on the same base layer, for pulls and removals while containers run on the first. */
export const otherImageName = 'docker.io/library/other:latest';

const startTimeoutMs = 60_000;
const defaultDeadlineMs = 60_000;
const cleanMs = 15_000;
/** Of calls that move images, where others have a short one. */
const movingDeadlineMs = 3000;

/**
 * `cni`: a bridge by the CNI plugins; `builtin`: a CNI configuration that Berth carries out without them; `native`: the
 * network that Berth brings where there is no CNI configuration.
 */
export const bedNetworks = ['cni', 'builtin', 'native'] as const;
export type BedNetwork = (typeof bedNetworks)[number];

/** The network of that name. Throws for a name of none. */
export function bedNetworkOf(name: string): BedNetwork {
  const network = bedNetworks.find((known) => known === name);
  if (network === undefined)
    throw new Error(`--network is one of ${bedNetworks.join(', ')}, not ${JSON.stringify(name)}`);
  return network;
}

export function describeFindings(findings: readonly Finding[]): string {
  return findings.map(formatFinding).join('; ');
}

/** A call that failed because the daemon died under it. */
export class DaemonDied extends Error {}

interface BedParts {
  readonly dir: string;
  readonly name: string;
  readonly network: BedNetwork;
  readonly registry: Registry;
  readonly criu: Pick<NewerCriu, 'criu' | 'crun'> | undefined;
}

export class FaultBed {
  readonly dir: string;
  readonly name: string;
  readonly config: Config;
  readonly configFile: string;
  /** The fault to come, if there is one; the daemon removes the file when it happens. */
  readonly faultFile: string;
  /** There while a planned hang lasts; who removes it ends the hang. */
  readonly hangFile: string;
  /** The same for programs: see failing-program.sh. `.hanging` and `.done` beside it tell how far it has come. */
  readonly programFaultFile: string;
  /** Where a daemon that is started with `watchesEffects` writes what it did; see effects.ts. */
  readonly effectsFile: string;
  watchesEffects: false | 'when-told' | 'from-the-start' = false;
  /** Where a daemon that is started with `watchesPulse` writes when it did not go on; see pulse.ts. */
  readonly pulseFile: string;
  watchesPulse = false;
  /** How far the clock is off, ms, of a daemon that is started with `hasOwnClock`; see clock.ts. */
  readonly clockFile: string;
  hasOwnClock = false;
  readonly logFile: string;
  readonly cgroupParent: string;
  readonly network: BedNetwork;
  /** The device that pods are plugged into. */
  readonly bridge: string;
  /** Where addresses are reserved, a file each. */
  readonly addressDir: string;
  readonly #registry: Registry;
  #child: ChildProcess | undefined;
  #client: CriClient | undefined;
  #starting: Promise<void> | undefined;
  #isClosed = false;
  /** Starts of the daemon, and how long each took until it answered, ms. */
  readonly startsMs: number[] = [];
  /** How long a call may take unless it says so itself, ms; a minute if undefined. */
  deadlineMs: number | undefined;

  private constructor({ dir, name, network, registry, criu }: BedParts) {
    this.dir = dir;
    this.bridge = network === 'native' ? 'berth0' : name;
    this.addressDir = network === 'native' ? join(dir, 'lib/network/ipam/berth') : join(dir, 'ipam', name);
    this.name = name;
    this.network = network;
    this.#registry = registry;
    this.faultFile = join(dir, 'fault');
    this.hangFile = `${this.faultFile}.hanging`;
    this.clockFile = join(dir, 'clock');
    this.effectsFile = join(dir, 'effects.json');
    this.pulseFile = join(dir, 'pulse');
    this.programFaultFile = join(dir, 'program-fault');
    this.logFile = join(dir, 'log');
    this.configFile = join(dir, 'config.toml');
    this.cgroupParent = `/${name}`;
    const programs = { ...failingPrograms(dir), ...(criu && { 'crun-criu': criu.crun }) };
    for (const [program, real] of Object.entries(programs)) placeProgram(dir, program, real);
    writeFileSync(this.configFile, configText(dir, network === 'builtin', criu));
    if (network !== 'native') writeNetwork(dir, name, network === 'builtin');
    this.config = loadConfig({ configPath: this.configFile, overrides: new Map() });
  }

  /**
   * Makes the folder, the network's configuration and the registry. Starts no daemon. `furnish` is called first, with the
   * folder: `lib` in it will be the daemon's root_dir, `run` its state_dir. With `criu` there are handlers that checkpoint.
   */
  static async prepare(
    network: BedNetwork = 'cni',
    furnish: (dir: string) => Promise<void> = async () => {},
    criu?: Pick<NewerCriu, 'criu' | 'crun'>,
  ): Promise<FaultBed> {
    const dir = mkdtempSync(join(tmpdir(), 'bf-'));
    await furnish(dir);
    const registry = await startRegistry({ dataDir: join(dir, 'registry') });
    const base = makeBusyboxLayer(readFileSync('/bin/busybox'), await listApplets('/bin/busybox'));
    const file = (path: string, content: string) => ({ path, type: 'file', content, mode: 0o644 }) as const;
    const entry = (path: string, content: string) => makeLayer([file(path, content)]);
    const seeded = makeLayer([
      file('one', 'one'),
      { path: 'seed', type: 'directory' },
      ...Object.entries(seed).map(([name, content]) => file(`seed/${name}`, content)),
    ]);
    const config = { Cmd: ['sh'], Volumes: { '/data': {} } };
    await pushImage(registry.host, 'library/faulty:latest', makeImage({ layers: [base, seeded], config }));
    await pushImage(
      registry.host,
      'library/other:latest',
      // The folder of the last one stands in no layer.
      makeImage({ layers: [base, entry('two', 'two'), entry('deep/three', 'three')], config }),
    );
    writeMirrorHosts(join(dir, 'certs.d'), ['docker.io'], registry.host);
    const name = `bf${dir
      .slice(-6)
      .toLowerCase()
      .replace(/[^a-z0-9]/g, '')}`;
    return new FaultBed({ dir, name, network, registry, criu });
  }

  get pid(): number {
    return this.isRunning ? (this.#child?.pid ?? 0) : 0;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts the daemon and waits until it answers a call that needs recovery to be over. Joined by all who ask meanwhile. */
  async start(): Promise<void> {
    if (this.#isClosed) throw new Error('the bed is taken down');
    if (this.isRunning && !this.#starting) return;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  async #start(): Promise<void> {
    const startedMs = performance.now();
    const log = openSync(this.logFile, 'a');
    const child = spawn(
      join(projectRoot, 'node_modules/.bin/node'),
      [
        '--max-semi-space-size=1',
        '--v8-pool-size=1',
        '--import',
        join(projectRoot, 'conformance/faults/preload.ts'),
        join(projectRoot, 'daemon/main.ts'),
        '--config',
        this.configFile,
      ],
      {
        cwd: projectRoot,
        stdio: ['ignore', log, log],
        env: {
          ...process.env,
          BERTH_FAULT_FILE: this.faultFile,
          ...(this.hasOwnClock && { BERTH_CLOCK_FILE: this.clockFile }),
          ...(this.watchesPulse && { BERTH_PULSE_FILE: this.pulseFile }),
          ...(this.watchesEffects && { BERTH_EFFECTS_FILE: this.effectsFile }),
          ...(this.watchesEffects === 'from-the-start' && { BERTH_EFFECTS_FROM_START: '1' }),
          NODE_COMPILE_CACHE: join(this.dir, 'compile'),
        },
      },
    );
    closeSync(log);
    writeFileSync(join(this.dir, 'berthd.pid'), String(child.pid));
    this.#child = child;
    this.#client?.close();
    while (performance.now() - startedMs < startTimeoutMs) {
      if (!this.isRunning) throw new DaemonDied(`berthd ended at its start:\n${this.logTail()}`);
      // The socket may be a dead daemon's, and a gRPC client that could not connect tries again even when closed.
      if (await canConnect(this.config.server.socket)) {
        const client = new CriClient(this.config.server.socket);
        try {
          await client.call('ListContainers', {}, 30_000);
          this.#client = client;
          this.startsMs.push(performance.now() - startedMs);
          return;
        } catch {
          client.close(); // the daemon died at once
        }
      }
      await delay(10);
    }
    throw new Error(`berthd did not answer within ${startTimeoutMs} ms:\n${this.logTail()}`);
  }

  /** SIGKILL, if it runs; resolves when it is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || !this.isRunning) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  /** Asks it to end, as an operator would; containers stay. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (!child || !this.isRunning) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }

  /** One call. Rejects with DaemonDied if the daemon is gone by then; the next `start` brings it back. */
  async call<N extends MethodName>(
    name: N,
    request: RequestOf<N>,
    timeoutMs = this.deadlineMs ?? defaultDeadlineMs,
  ): Promise<ReplyOf<N>> {
    return this.guard(name, () => this.#client!.call(name, request, timeoutMs));
  }

  /** A call of the admin service with all that is sent to it; gives all that it sends. */
  async admin<N extends Parameters<AdminClient['call']>[0]>(
    name: N,
    ...requests: Parameters<AdminClient['call']>[1]
  ): ReturnType<AdminClient['call']> {
    return this.guard(name, async () => {
      const client = new AdminClient(this.config.server.socket);
      try {
        const shortMs =
          name.includes('Image') || name === 'CommitContainer' ? movingDeadlineMs : this.deadlineMs;
        const timeoutMs = this.deadlineMs === undefined ? defaultDeadlineMs : shortMs;
        return await client.call(name, requests, timeoutMs);
      } finally {
        client.close();
      }
    });
  }

  /** Pid of the first process of a container or of a sandbox's init, or of its monitor. */
  pidOf(id: string, name: 'container' | 'conmon'): number {
    return Number(readFileSync(join(this.config.daemon.stateDir, 'bundles', id, `${name}.pid`), 'utf8'));
  }

  /** Takes a record away behind the daemon's back, which must not run. */
  forgetRecord(table: 'sandboxes' | 'containers', id: string): void {
    const database = new DatabaseSync(join(this.config.daemon.rootDir, 'state.db'));
    database.prepare(`DELETE FROM ${table} WHERE id = ?`).run(id);
    database.close();
  }

  /** Where the registry listens: `127.0.0.1:PORT`. */
  get registryHost(): string {
    return this.#registry.host;
  }

  /** Runs `work`, which talks to the daemon. Rejects as `call`. */
  async guard<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (!this.#client || !this.isRunning) await this.start();
    const child = this.#child;
    try {
      return await work();
    } catch (error) {
      // The socket closes a moment before the process is reaped.
      if (isDisconnect(error)) await Promise.race([child && once(child, 'exit'), delay(500)]);
      if (child !== this.#child || !this.isRunning)
        throw new DaemonDied(`${name}: the daemon died`, { cause: error });
      throw error;
    }
  }

  /** Takes back what was planned and has not happened, and ends a hang: whoever cleans up must not meet it. */
  dropFaults(): void {
    for (const plan of [this.faultFile, this.programFaultFile])
      for (const file of [plan, `${plan}.hanging`]) rmSync(file, { force: true });
  }

  /** What does not agree between records and machine, now; of images all if no pull is, or lately was, under way. */
  audit(
    arePullsOver = false,
    options: Pick<NodeAuditOptions, 'checksAttachments' | 'checkTimeoutMs'> = {},
  ): Promise<Finding[]> {
    return auditNode(this.config, {
      ...options,
      cgroupParents: [this.cgroupParent],
      ...(arePullsOver ? { arePullsOver } : {}),
    });
  }

  /** As `audit`; throws what it finds. */
  async expectClean(arePullsOver = false): Promise<void> {
    const findings = await this.audit(arePullsOver);
    if (findings.length > 0) throw new Error(describeFindings(findings));
  }

  /** Waits some seconds for the planned fault to happen. */
  async awaitFault(): Promise<void> {
    const end = performance.now() + cleanMs;
    while (existsSync(this.faultFile) && performance.now() < end) await delay(10);
  }

  /** Waits until the audit finds nothing; throws what it still finds after some seconds. */
  async awaitClean(): Promise<void> {
    const end = performance.now() + cleanMs;
    for (;;) {
      const findings = await this.audit();
      if (findings.length === 0) return;
      if (performance.now() > end) throw new Error(describeFindings(findings));
    }
  }

  logTail(lines = 30): string {
    try {
      return readFileSync(this.logFile, 'utf8').trim().split('\n').slice(-lines).join('\n');
    } catch {
      return ''; // it never wrote one
    }
  }

  /** Ends the daemon and takes everything away, also what a failed test left. `keep` leaves the folder for a look. */
  async close(keep = false): Promise<void> {
    this.#isClosed = true;
    this.#client?.close();
    await this.kill();
    await this.#registry.stop();
    endProcessesBelow(this.dir);
    for (const { mountPoint } of listMounts().toReversed())
      if (mountPoint.startsWith(`${this.dir}/`)) unmountAll(mountPoint);
    await clearGroup(detectCgroupLayout().version, this.cgroupParent);
    if (existsSync(`/sys/class/net/${this.bridge}`)) await runCommand('ip', ['link', 'delete', this.bridge]);
    if (!keep) rmSync(this.dir, { recursive: true, force: true });
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

function isDisconnect(error: unknown): boolean {
  return /UNAVAILABLE|CANCELLED|Connection dropped|ECONNRESET/.test(String(error));
}

/** Monitors of containers that a failed test left, and their containers with them. */
function endProcessesBelow(dir: string): void {
  for (const found of listProcessesOf(() => true)) {
    if (!found.command.some((word) => word.includes(`${dir}/`)) || found.pid === process.pid) continue;
    for (const pid of [found.pid, ...listDescendants(found.pid)]) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // gone with its parent
      }
    }
  }
}

/** `isWhole`: with all that the plugins can do of what Berth does without them. */
function writeNetwork(dir: string, name: string, isWhole: boolean): void {
  const confDir = join(dir, 'net.d');
  mkdirSync(confDir, { recursive: true });
  const conflist = {
    cniVersion: '1.0.0',
    name,
    plugins: [
      {
        type: 'bridge',
        bridge: name,
        isGateway: true,
        ...(isWhole && { ipMasq: true, hairpinMode: true }),
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '10.214.0.0/16' }]],
          dataDir: join(dir, 'ipam'),
        },
      },
      ...(isWhole ? [{ type: 'portmap', capabilities: { portMappings: true } }] : []),
    ],
  };
  writeFileSync(join(confDir, '10-faults.conflist'), JSON.stringify(conflist));
}

/** The handler whose OCI runtime is one of these. The default one is crun itself, of which the daemon does a part by itself. */
export const failingHandler = 'failing-crun';
/** The same with a crun that can checkpoint, and that crun itself. */
export const failingCheckpointHandler = 'failing-crun-criu';
export const checkpointHandler = 'crun-criu';

/** Where a program is that another stands in for; see stand-in.ts. */
export function realProgram(dir: string, name: string): string {
  return join(dir, 'real', name);
}

/** Programs that do their work unless told to fail. */
function failingPrograms(dir: string): Readonly<Record<string, string>> {
  return {
    crun: '/usr/bin/crun',
    conmon: '/usr/bin/conmon',
    bridge: join(cniPluginDir, 'bridge'),
    nft: realProgram(dir, 'nft'),
  };
}

/** Puts a program into the bed's folder that does the work of `real` unless it is told to fail. */
export function placeProgram(dir: string, name: string, real: string): void {
  const place = join(dir, 'programs', name);
  mkdirSync(dirname(place), { recursive: true });
  copyFileSync(join(projectRoot, 'conformance/faults/failing-program.sh'), place);
  chmodSync(place, 0o755);
  symlinkSync(real, `${place}.real`);
}

function configText(dir: string, hasBuiltinPlugins: boolean, criu: BedParts['criu']): string {
  const tables = {
    daemon: { root_dir: join(dir, 'lib'), state_dir: join(dir, 'run'), shutdown_grace_ms: 2000 },
    server: { socket: join(dir, 'berth.sock') },
    log: { format: 'json', level: 'debug' },
    metrics: { address: '' },
    network: {
      cni_config_dir: join(dir, 'net.d'),
      cni_plugin_dirs: [join(dir, 'programs'), cniPluginDir],
      cni_cache_dir: join(dir, 'cni'),
      netns_dir: join(dir, 'netns'),
      builtin_plugins: hasBuiltinPlugins,
    },
    images: { registry_config_dirs: [join(dir, 'certs.d')] },
    nri: { enable: false },
    // Its pods' parents are named as that driver wants them, also where systemd is.
    runtime: { conmon_path: join(dir, 'programs/conmon'), cgroup_driver: 'cgroupfs' },
    [`handlers.${failingHandler}`]: { path: join(dir, 'programs/crun'), type: 'crun' },
    ...(criu && {
      checkpoint: { criu_path: criu.criu, restore_images: true },
      [`handlers.${checkpointHandler}`]: { path: criu.crun, type: 'crun' },
      [`handlers.${failingCheckpointHandler}`]: { path: join(dir, 'programs/crun-criu'), type: 'crun' },
    }),
  };
  // Every value here is written alike in JSON and TOML.
  return Object.entries(tables)
    .flatMap(([table, keys]) => [
      `[${table}]`,
      ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
    ])
    .join('\n');
}
