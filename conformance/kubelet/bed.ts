/**
 * Everything a run stands on: registries, a network, a cgroup, certificates, berthd and the kubelet, all in one folder and
 * all taken away at the end. The order of `close` is that of an operator: pods first, then the kubelet, then Berth.
 * Long, because whoever adds a thing that is made here must see beside it where it is taken away.
 */
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDir, projectRoot } from '../cache.ts';
import { runCommand } from '../command.ts';
import { findLeftovers, formatLeftovers, removeLeftovers } from '../critest/leftovers.ts';
import { writeContainerdConfig } from '../critest/server.ts';
import { pushImage, type Registry, startRegistry, writeMirrorHosts } from '../fixtures/registry.ts';
import { type FixtureRegistry, listRegistries, serveFixtures } from '../fixtures/store.ts';
import { cniPluginDir, makeTestNetwork, type TestNetwork } from '../network.ts';
import type { KubeletBinaries } from './build.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { exampleImages, privateImage } from './images.ts';
import { KubeletApi } from './kubelet-api.ts';
import { kubeletConfiguration, kubeletPaths } from './kubelet-configuration.ts';
import { findFreePort, findFreeSubnet, findNodeAddress, readKernelSettings } from './machine.ts';
import { makeNodeCgroup, type NodeCgroup } from './node-cgroup.ts';
import { lockRegistry, type PrivateRegistry } from './private-registry.ts';
import { ServiceProcess, tail } from './service-process.ts';
import { Hopeless, until } from './wait.ts';

export const nodeName = 'berth-node';

/** What the examples call it, wherever it is here. */
const hostFolder = '/var/lib/berth-examples';

export type RuntimeName = 'berth' | 'containerd';

export interface BedOptions {
  readonly binaries: KubeletBinaries;
  readonly crictl: string;
  readonly streamingClient: string;
  /** Receives the logs. */
  readonly outDir: string;
  readonly featureGates: Readonly<Record<string, boolean>>;
  readonly logLevel: string;
  /**
   * Whether the kubelet registers with an API server, as `pki/node.kubeconfig` in the bed's folder says, and pods wait for the
   * cluster's network: whoever starts the kubelet writes that file before and the network's configuration later. Default no.
   */
  readonly isInCluster?: boolean;
  /** The kubelet's `--v`; 2 unless given. */
  readonly kubeletLogLevel?: string;
  /** Who runs the pods; Debian's containerd, to compare with, has none of Berth's features. Default berth. */
  readonly runtime?: RuntimeName;
  /** The crun of the default handler. Empty: the installed one. */
  readonly crun?: string;
  /** The default handler. */
  readonly handler?: string;
}

export class Bed {
  readonly dir: string;
  readonly options: BedOptions;
  readonly cgroup: NodeCgroup;
  readonly network: TestNetwork;
  readonly kubelet: ServiceProcess;
  readonly certificates: Certificates;
  readonly api: KubeletApi;
  readonly privateRegistry: PrivateRegistry;
  readonly #port: number;
  readonly #registry: FixtureRegistry;
  readonly #team: Registry;
  readonly #kernelSettings: ReadonlyMap<string, string>;
  readonly #placed = new Set<string>();
  #runtime: RuntimeName;
  readonly #runtimes: Readonly<Record<RuntimeName, ServiceProcess>>;
  readonly #others: (() => Promise<void>)[] = [];

  private constructor(parts: BedParts) {
    this.dir = parts.dir;
    this.options = parts.options;
    this.cgroup = parts.cgroup;
    this.network = parts.network;
    this.certificates = parts.certificates;
    this.privateRegistry = parts.privateRegistry;
    this.#port = parts.port;
    this.#registry = parts.registry;
    this.#team = parts.team;
    this.#kernelSettings = readKernelSettings();
    this.#runtime = this.options.runtime ?? 'berth';
    this.api = new KubeletApi(this.#listenAddress, this.#port, this.certificates);
    const { outDir, binaries } = this.options;
    this.#runtimes = {
      berth: new ServiceProcess(
        join(projectRoot, 'bin/berthd'),
        ['--config', join(this.dir, 'berth.toml')],
        join(outDir, 'berthd.log'),
        { ...process.env, NODE_COMPILE_CACHE: cacheDir('kubelet', 'compile') },
      ),
      containerd: new ServiceProcess(
        'containerd',
        ['--config', join(this.dir, 'run/containerd.toml')],
        join(outDir, 'containerd.log'),
      ),
    };
    this.kubelet = new ServiceProcess(
      binaries.kubelet,
      [
        `--config=${this.dir}/kubelet.json`,
        `--root-dir=${this.paths.root}`,
        `--cert-dir=${this.dir}/pki`,
        `--hostname-override=${nodeName}`,
        // Otherwise the kubelet asks the DNS for the node's name again and again, and waits for the answer.
        `--node-ip=${findNodeAddress()}`,
        `--v=${this.options.kubeletLogLevel ?? '2'}`,
        ...(this.options.isInCluster === true ? [`--kubeconfig=${this.dir}/pki/node.kubeconfig`] : []),
      ],
      join(outDir, 'kubelet.log'),
    );
  }

  /** Makes the folder and everything passive; starts the registries, and neither berthd nor the kubelet. */
  static async make(options: BedOptions): Promise<Bed> {
    mkdirSync(options.outDir, { recursive: true });
    for (const name of ['berthd.log', 'containerd.log', 'kubelet.log', 'registry.log'])
      rmSync(join(options.outDir, name), { force: true });
    const dir = mkdtempSync(join(tmpdir(), 'ke-'));
    // Root of a pod with a user namespace walks through. The name is short: sockets below have at most 107 bytes.
    chmodSync(dir, 0o711);
    for (const name of [
      'run',
      'host',
      'pki',
      'hosts',
      'volume-plugins',
      'manifests',
      'staging',
      'root/seccomp',
      'pod-logs',
    ])
      mkdirSync(join(dir, name), { recursive: true, mode: 0o755 });
    await runCommand('mount', ['-t', 'tmpfs', '-o', 'mode=711', 'tmpfs', join(dir, 'run')]);
    // Images have a disk of their own, which can be filled without harm to anybody else.
    await runCommand('truncate', ['-s', '1G', join(dir, 'disk')]);
    await runCommand('mkfs.ext4', ['-q', '-m', '0', join(dir, 'disk')]);
    mkdirSync(join(dir, 'berth'));
    await runCommand('mount', ['-o', 'loop', join(dir, 'disk'), join(dir, 'berth')]);
    // A real node's root is a shared mount; this machine's may not be.
    await runCommand('mount', ['--bind', join(dir, 'host'), join(dir, 'host')]);
    await runCommand('mount', ['--make-shared', join(dir, 'host')]);
    const logFile = join(options.outDir, 'registry.log');
    const registry = await serveFixtures({ hostsDir: join(dir, 'hosts'), logFile });
    const team = await startRegistry({ dataDir: join(dir, 'team-registry'), logFile });
    const privateRegistry = await lockRegistry(team.host, 'operator', 'correct horse');
    const images = exampleImages(registry.catalogue, options.binaries.health);
    for (const [name, image] of images) {
      const path = name.slice(name.indexOf('/') + 1);
      await pushImage(name === privateImage ? team.host : registry.host, path, image);
    }
    writeMirrorHosts(
      join(dir, 'hosts'),
      listRegistries(images).filter((name) => !name.includes('example')),
      registry.host,
    );
    return new Bed({
      dir,
      options,
      registry,
      team,
      privateRegistry,
      cgroup: makeNodeCgroup(`/berth-e2e-${process.pid}`),
      network: makeTestNetwork(dir, { bridge: `bk${process.pid}`, subnet: findFreeSubnet() }),
      certificates: await makeCertificates(join(dir, 'pki'), ['127.0.0.1', findNodeAddress()]),
      port: await findFreePort(),
    });
  }

  /** The runtime that the kubelet is told of at its next start. */
  get endpoint(): string {
    return `unix://${this.dir}/run/${this.#runtime}.sock`;
  }

  /** The runtime's daemon; it is berthd but where another is compared with it. */
  get berthd(): ServiceProcess {
    return this.#runtimes[this.#runtime];
  }

  /** From now on the other runtime is meant; neither it nor the kubelet may run. */
  changeRuntime(runtime: RuntimeName): void {
    if (this.berthd.isRunning() || this.kubelet.isRunning()) throw new Error('stop both daemons first');
    this.#runtime = runtime;
  }

  get paths() {
    return kubeletPaths(this.dir);
  }

  /** The node's own address, whichever interface has it. */
  get address(): string {
    return findNodeAddress();
  }

  /** An API server reaches the kubelet by the node's address; alone it serves this machine only. */
  get #listenAddress(): string {
    return this.options.isInCluster === true ? this.address : '127.0.0.1';
  }

  /** Where images and writable layers lie: a disk of its own, of 1 GiB. */
  get imageDisk(): string {
    return join(this.dir, 'berth');
  }

  /** Where the host folder of the examples is on this machine. */
  hostPath(name: string): string {
    return join(this.dir, 'host', name);
  }

  /** What is given replaces the options until the next start. */
  async startBerthd(changes: Pick<BedOptions, 'crun' | 'handler'> = {}): Promise<void> {
    if (this.#runtime === 'containerd') {
      const paths = { cniConfDir: this.network.confDir, registryHostsDir: join(this.dir, 'hosts') };
      writeContainerdConfig({ dir: join(this.dir, 'run'), ...paths }, 'runc');
    } else
      writeFileSync(join(this.dir, 'berth.toml'), this.#berthConfiguration({ ...this.options, ...changes }));
    this.berthd.start();
    await until('berthd answers', 30_000, async () => {
      if (!this.berthd.isRunning()) throw new Hopeless(`berthd ended: ${tail(this.berthd.logFile)}`);
      await this.crictl('version');
    });
  }

  /** Starts the kubelet and waits until it serves; `overrides` are fields of its configuration. */
  async startKubelet(
    overrides: Record<string, unknown> = {},
    featureGates: Record<string, boolean> = {},
  ): Promise<void> {
    const resolvConf = join(this.dir, 'resolv.conf');
    writeFileSync(resolvConf, 'nameserver 127.0.0.53\n');
    if (this.options.isInCluster !== true) {
      // In a cluster they come from a secret.
      const { host, user, password } = this.privateRegistry;
      const auth = Buffer.from(`${user}:${password}`).toString('base64');
      const keys = JSON.stringify({ auths: { [host]: { auth } } });
      writeFileSync(join(this.paths.root, 'config.json'), keys, { mode: 0o600 });
    }
    cpSync(join(projectRoot, 'examples/seccomp'), join(this.paths.root, 'seccomp'), { recursive: true });
    const text = kubeletConfiguration({
      dir: this.dir,
      runtimeEndpoint: this.endpoint,
      address: this.#listenAddress,
      port: this.#port,
      cgroupRoot: this.cgroup.name,
      certificates: this.certificates,
      resolvConf,
      featureGates: { ...this.options.featureGates, ...featureGates },
      overrides,
    });
    writeFileSync(join(this.dir, 'kubelet.json'), text);
    this.kubelet.start();
    await until('the kubelet serves', 60_000, async () => {
      if (!this.kubelet.isRunning()) throw new Hopeless(`the kubelet ended: ${tail(this.kubelet.logFile)}`);
      await this.api.get('/healthz');
    });
  }

  /** Starts whichever daemon a failed scenario left down. */
  async ensureRunning(): Promise<void> {
    if (!this.berthd.isRunning()) await this.startBerthd();
    if (!this.kubelet.isRunning()) await this.startKubelet();
  }

  /** Puts the example into the static pod folder, with `edits` made to its text; the kubelet sees whole files only. */
  place(example: string, edits: Readonly<Record<string, string>> = {}, as = example): void {
    let text = readFileSync(join(projectRoot, 'examples', `${example}.yaml`), 'utf8');
    text = text.replaceAll(hostFolder, join(this.dir, 'host'));
    for (const [from, to] of Object.entries(edits)) {
      if (!text.includes(from)) throw new Error(`examples/${example}.yaml no longer has ${from}`);
      text = text.replaceAll(from, to);
    }
    this.placeText(as, text);
  }

  /** Puts a manifest into the static pod folder in one step, or over the one of that name. */
  placeText(name: string, text: string): void {
    const staged = join(this.dir, 'staging', `${name}.yaml`);
    writeFileSync(staged, text);
    renameSync(staged, join(this.paths.staticPods, `${name}.yaml`));
    this.#placed.add(name);
  }

  /** Files that lie in the static pod folder. */
  get placed(): readonly string[] {
    return [...this.#placed];
  }

  unplace(name: string): void {
    rmSync(join(this.paths.staticPods, `${name}.yaml`), { force: true });
    this.#placed.delete(name);
  }

  crictl(...args: string[]): Promise<string> {
    return runCommand(this.options.crictl, [
      '--timeout',
      '60s',
      '-r',
      this.endpoint,
      '-i',
      this.endpoint,
      ...args,
    ]);
  }

  /**
   * Leaves the machine as a power cut and a start would: no process, no mount, no namespace, no cgroup, nothing in folders
   * that are memory, another boot id; disks as they were. Neither daemon runs afterwards.
   */
  async simulateReboot(): Promise<void> {
    await this.kubelet.stop('SIGKILL');
    await this.berthd.stop('SIGKILL');
    this.cgroup.killAll();
    // Interfaces go with their namespaces, which the mounts below hold.
    const { processes, mounts } = findLeftovers(this.dir, this.network.bridge);
    const kept = new Set(['run', 'host', 'berth'].map((name) => join(this.dir, name)));
    await removeLeftovers({ processes, bridgePorts: [], mounts: mounts.filter((path) => !kept.has(path)) });
    await this.network.remove();
    await until('every process is gone', 10_000, () => this.cgroup.remove());
    for (const name of readdirSync(join(this.dir, 'run')))
      rmSync(join(this.dir, 'run', name), { recursive: true });
    this.cgroup.make();
    writeFileSync(join(this.dir, 'berth/boot-id'), '00000000-0000-0000-0000-000000000000\n');
  }

  /** For what a user of the bed has started in its folder: ended after the kubelet and berthd. */
  onClose(end: () => Promise<void>): void {
    this.#others.push(end);
  }

  /** Ends everything. Resolves with a line per thing that stayed behind although it should not have; cleans these, too. */
  async close(): Promise<string[]> {
    const problems: string[] = [];
    const attempt = async (what: string, step: () => Promise<unknown>): Promise<void> => {
      try {
        await step();
      } catch (error) {
        problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    await attempt('remove the pods', () => this.#removePods());
    await attempt('stop the kubelet', () => this.kubelet.stop());
    if (this.berthd.isRunning())
      await attempt('remove what the kubelet had left to its collector', () => this.crictl('rmp', '-fa'));
    await attempt('stop berthd', () => this.berthd.stop());
    this.api.close();
    for (const end of this.#others) await attempt('end what was started beside', end);
    problems.push(...(await this.#clean()));
    for (const part of [this.privateRegistry, this.#team, this.#registry])
      await attempt('stop a registry', () => part.stop());
    rmSync(this.dir, { recursive: true, force: true });
    return problems;
  }

  async #removePods(): Promise<void> {
    for (const name of [...this.#placed]) this.unplace(name);
    if (!this.kubelet.isRunning() || !this.berthd.isRunning()) return;
    await until('every pod is gone', 90_000, async () => {
      const ready = (await this.crictl('pods', '-q', '--state', 'Ready')).trim();
      if (ready !== '') throw new Error(`still ready: ${ready.replaceAll('\n', ' ')}`);
    });
  }

  async #clean(): Promise<string[]> {
    // Kept on purpose: the kubelet mounts its root directory, berthd its folder of namespaces on itself.
    const own = new Set([
      join(this.dir, 'run'),
      join(this.dir, 'run/b/namespaces'),
      join(this.dir, 'berth'),
      join(this.dir, 'host'),
      this.paths.root,
    ]);
    const found = findLeftovers(this.dir, this.network.bridge);
    const unexpected = { ...found, mounts: found.mounts.filter((path) => !own.has(path)) };
    await removeLeftovers(found);
    const unexpectedCgroups: string[] = [];
    await this.network.remove();
    try {
      this.cgroup.remove();
    } catch {
      unexpectedCgroups.push(`cgroup ${this.cgroup.name}`);
    }
    for (const [path, value] of this.#kernelSettings) writeFileSync(path, value);
    await runCommand('find', ['/var/log/containers', '-lname', `${this.dir}/*`, '-delete']).catch(() => '');
    return [...formatLeftovers(unexpected), ...unexpectedCgroups].map((line) => `left behind: ${line}`);
  }

  #berthConfiguration({ crun = '', handler = 'crun' }: BedOptions): string {
    const { dir } = this;
    const tables: Record<string, Record<string, unknown>> = {
      daemon: { root_dir: `${dir}/berth`, state_dir: `${dir}/run/b` },
      server: { socket: `${dir}/run/berth.sock` },
      log: { level: this.options.logLevel, format: 'json' },
      metrics: { address: '' },
      runtime: { cgroup_driver: 'cgroupfs', default_handler: handler },
      'handlers.crun': { type: 'crun', path: crun },
      network: {
        default_network: this.options.isInCluster !== true,
        cni_config_dir: this.network.confDir,
        cni_plugin_dirs: [cniPluginDir],
        cni_cache_dir: `${dir}/cni/cache`,
        netns_dir: `${dir}/run/netns`,
      },
      nri: {
        socket_path: `${dir}/run/nri.sock`,
        plugin_dir: `${dir}/nri/plugins`,
        config_dir: `${dir}/nri/conf.d`,
      },
      images: { registry_config_dirs: [`${dir}/hosts`] },
    };
    // Every value here is written alike in JSON and TOML.
    return Object.entries(tables)
      .map(([name, keys]) => {
        const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
        return `[${name}]\n${lines.join('')}\n`;
      })
      .join('');
  }
}

interface BedParts {
  readonly dir: string;
  readonly options: BedOptions;
  readonly cgroup: NodeCgroup;
  readonly network: TestNetwork;
  readonly certificates: Certificates;
  readonly privateRegistry: PrivateRegistry;
  readonly port: number;
  readonly registry: FixtureRegistry;
  readonly team: Registry;
}
