/** A control plane with one node on Berth, as an operator with kubectl has it before them. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { projectRoot } from '../cache.ts';
import { Bed, type BedOptions, nodeName } from '../kubelet/bed.ts';
import type { Pod } from '../kubelet/kubelet-api.ts';
import { findFreePort } from '../kubelet/machine.ts';
import { until } from '../kubelet/wait.ts';
import type { ControlPlaneBinaries } from './build.ts';
import { ControlPlane } from './control-plane.ts';

export interface NodeStatus {
  readonly nodeInfo: { readonly containerRuntimeVersion: string; readonly kubeletVersion: string };
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly message: string;
  }[];
}

export interface ClusterPod extends Pod {
  readonly metadata: Pod['metadata'] & { readonly deletionTimestamp?: string };
  readonly spec: { readonly nodeName?: string; readonly containers: readonly { readonly image: string }[] };
  readonly status: Pod['status'] & {
    readonly reason?: string;
    readonly message?: string;
    readonly ephemeralContainerStatuses?: Pod['status']['containerStatuses'];
  };
}

/** Fields of the kubelet's configuration that the steps count on. */
const kubeletSettings = {
  evictionHard: { 'memory.available': '20Mi', 'nodefs.available': '1%', 'imagefs.available': '40%' },
  evictionPressureTransitionPeriod: '5s',
  imageMinimumGCAge: '1s',
  nodeStatusUpdateFrequency: '2s',
};

export class Cluster {
  readonly bed: Bed;
  readonly plane: ControlPlane;
  readonly #binaries: ControlPlaneBinaries;
  /** The network's configuration, which the cluster places; it waits here. */
  readonly #networkFile: string;

  private constructor(bed: Bed, plane: ControlPlane, binaries: ControlPlaneBinaries, networkFile: string) {
    this.bed = bed;
    this.plane = plane;
    this.#binaries = binaries;
    this.#networkFile = networkFile;
  }

  /** Starts everything; the node is known to the API server, and NotReady for want of a network. */
  static async start(options: BedOptions, binaries: ControlPlaneBinaries): Promise<Cluster> {
    const bed = await Bed.make({ ...options, isInCluster: true });
    try {
      const networkFile = join(bed.dir, 'cni', 'cluster.conflist');
      renameSync(join(bed.network.confDir, '10-test.conflist'), networkFile);
      const plane = await ControlPlane.start({
        binaries,
        pkiDir: join(bed.dir, 'pki'),
        dataDir: join(bed.dir, 'run', 'plane'),
        outDir: options.outDir,
        certificates: bed.certificates,
        nodeName,
        address: bed.address,
        ports: { etcd: await findFreePort(), peer: await findFreePort(), api: await findFreePort() },
      });
      bed.onClose(() => plane.stop());
      const cluster = new Cluster(bed, plane, binaries, networkFile);
      await bed.startBerthd();
      await cluster.startKubelet();
      await until('the node is registered', 60_000, () => cluster.kubectl('get', 'node', nodeName));
      return cluster;
    } catch (error) {
      await bed.close();
      throw error;
    }
  }

  startKubelet(): Promise<void> {
    return this.bed.startKubelet(kubeletSettings);
  }

  kubectl(...args: string[]): Promise<string> {
    return this.plane.kubectl(...args);
  }

  async get<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.kubectl('get', '-o', 'json', ...args)) as T;
  }

  pod(name: string): Promise<ClusterPod> {
    return this.get('pod', name);
  }

  /** Pods with the label `app=...` that are not being deleted. */
  async podsOf(app: string): Promise<readonly ClusterPod[]> {
    const { items } = await this.get<{ items: ClusterPod[] }>('pods', '-l', `app=${app}`);
    return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  nodeStatus(): Promise<NodeStatus> {
    return this.get<{ status: NodeStatus }>('node', nodeName).then(({ status }) => status);
  }

  async nodeCondition(type: string): Promise<{ status: string; message: string }> {
    const { conditions } = await this.nodeStatus();
    return conditions.find((one) => one.type === type) ?? { status: 'absent', message: '' };
  }

  async apply(name: string, manifest: string): Promise<void> {
    const file = join(this.bed.dir, 'staging', `${name}.yaml`);
    writeFileSync(file, manifest);
    await this.kubectl('apply', '-f', file);
  }

  /** An example as it stands, but for `edits` of what differs from machine to machine. */
  async applyExample(name: string, edits: Readonly<Record<string, string>> = {}): Promise<void> {
    let manifest = readFileSync(join(projectRoot, 'examples', `${name}.yaml`), 'utf8');
    for (const [from, to] of Object.entries(edits)) {
      assert.ok(manifest.includes(from), `examples/${name}.yaml no longer has ${from}`);
      manifest = manifest.replaceAll(from, to);
    }
    await this.apply(name.replaceAll('/', '-'), manifest);
  }

  /** Places the daemon set of examples/cluster/network.yaml, with a bridge and addresses that nobody else here uses. */
  async placeNetwork(): Promise<void> {
    const { plugins } = JSON.parse(readFileSync(this.#networkFile, 'utf8')) as {
      plugins: { ipam?: { dataDir: string; ranges: { subnet: string }[][] } }[];
    };
    const ipam = plugins[0]?.ipam;
    await this.applyExample('cluster/network', {
      '"cni0"': JSON.stringify(this.bed.network.bridge),
      '/var/lib/cni/networks': ipam?.dataDir ?? '',
      '10.244.0.0/16': ipam?.ranges[0]?.[0]?.subnet ?? '',
      '/etc/cni/net.d': this.bed.network.confDir,
    });
  }

  waitReady(pod: string, timeoutSeconds = 60): Promise<string> {
    return this.kubectl('wait', '--for=condition=Ready', `pod/${pod}`, `--timeout=${timeoutSeconds}s`);
  }

  async remove(...what: string[]): Promise<void> {
    await this.kubectl('delete', '--timeout=60s', '--ignore-not-found', ...what);
  }

  /** Starts kubectl and leaves it running. */
  start(args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcessWithoutNullStreams {
    const env = { ...this.plane.environment, ...environment };
    const child = spawn(this.#binaries.kubectl, args, { env });
    child.stdin.on('error', () => {});
    return child;
  }

  /** Runs kubectl with an input; resolves whatever its exit code is. */
  async run(
    args: readonly string[],
    { input = '', environment = {} }: { input?: string; environment?: NodeJS.ProcessEnv } = {},
  ): Promise<{ code: number; stdout: string; stderr: string }> {
    const child = this.start(args, environment);
    child.stdin.end(input);
    const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { code, stdout, stderr };
  }

  /** Removes every pod by the API, then the node's own things. Resolves like the bed's. */
  async close(): Promise<string[]> {
    const problems: string[] = [];
    try {
      await this.kubectl('delete', 'daemonsets,deployments,pods', '--all', '-A', '--timeout=90s');
      await until('the runtime has no pods', 60_000, async () =>
        assert.equal((await this.bed.crictl('pods', '-q', '--state', 'Ready')).trim(), ''),
      );
    } catch (error) {
      problems.push(`remove the pods: ${error instanceof Error ? error.message : String(error)}`);
    }
    return [...problems, ...(await this.bed.close())];
  }
}
