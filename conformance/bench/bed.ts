/** The test bed: work folders, registry, networks, cgroups, daemons; and their removal, whatever happened in between. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { findLeftovers, formatLeftovers, removeLeftovers } from '../critest/leftovers.ts';
import type { Image } from '../fixtures/image.ts';
import { type Registry, startRegistry, writeMirrorHosts } from '../fixtures/registry.ts';
import { listRegistries, pushCatalogue } from '../fixtures/store.ts';
import { makeTestNetwork, type TestNetwork } from '../network.ts';
import { BenchCgroups } from './cgroup.ts';
import { Daemon, type DaemonName } from './daemon.ts';
import { Floor } from './floor.ts';
import type { NetworkSetup } from './load.ts';
import { describe } from './schedule.ts';
import { Subject, type SubjectName, workloadImage } from './subject.ts';

const handlers = {
  berth: ['berth', 'crun'],
  'containerd-runc': ['containerd', 'runc'],
  'containerd-crun': ['containerd', 'crun'],
} as const satisfies Record<SubjectName, readonly [DaemonName, string]>;

export interface BedOptions {
  readonly setup: NetworkSetup;
  readonly subjects: readonly SubjectName[];
  readonly images: ReadonlyMap<string, Image>;
  readonly withFloor: boolean;
  readonly berthProgram: string;
  /** Options for Node in front of Berth's program. */
  readonly nodeOptions: readonly string[];
  /** Leaves the work folder with the daemons' logs. */
  readonly keep: boolean;
  readonly report: (line: string) => void;
}

export interface Bed {
  readonly subjects: readonly Subject[];
  readonly floor: Floor | undefined;
  /** Daemons that did not start, with the reason. */
  readonly failures: ReadonlyMap<DaemonName, string>;
  /** Ends and removes everything; resolves with what the daemons had left behind. Idempotent. */
  dispose(): Promise<string[]>;
}

/** Builds the bed and starts its daemons. A daemon that does not start is reported; rejects when nothing can run. */
export async function makeBed(options: BedOptions): Promise<Bed> {
  const undos: (() => Promise<void>)[] = [];
  const left: string[] = [];
  const dispose = async () => {
    for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
      try {
        await undo();
      } catch (error) {
        left.push(describe(error));
      }
    }
    return left;
  };
  try {
    return { ...(await build(options, undos, left)), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function build(
  options: BedOptions,
  undos: (() => Promise<void>)[],
  left: string[],
): Promise<Omit<Bed, 'dispose'>> {
  const dir = mkdtempSync(join(tmpdir(), 'bench-'));
  undos.push(async () => {
    if (options.keep) options.report(`work folder: ${dir}`);
    else rmSync(dir, { recursive: true, force: true });
  });
  const run = join(dir, 'run');
  mkdirSync(run);
  await runCommand('mount', ['-t', 'tmpfs', '-o', 'mode=0700', 'tmpfs', run]);
  undos.push(async () => {
    await runCommand('umount', [run]);
  });
  const cgroups = new BenchCgroups(`berth-bench-${process.pid}`);
  const networks = makeNetworks(dir, options.setup);
  const furniture = new Set([run]);
  undos.push(() => clearMachine({ dir, cgroups, networks, furniture, left }));
  const registry = await serveImages(dir, options.images);
  undos.push(() => registry.stop());
  const daemons = new Map<DaemonName, Daemon>();
  const failures = new Map<DaemonName, string>();
  const subjects: Subject[] = [];
  for (const name of options.subjects) {
    const [daemonName, handler] = handlers[name];
    if (failures.has(daemonName)) continue;
    try {
      let daemon = daemons.get(daemonName);
      if (daemon === undefined) {
        daemon = await Daemon.prepare(daemonName, {
          dir: join(dir, daemonName),
          stateDir: join(run, daemonName),
          cniConfDir: networks.confDirs[daemonName],
          registryHostsDir: join(dir, 'hosts'),
          hasBuiltinPlugins: options.setup === 'builtin',
          cgroups,
          berthProgram: options.berthProgram,
          nodeOptions: options.nodeOptions,
        });
        daemons.set(daemonName, daemon);
        const started = daemon;
        undos.push(() => started.stop());
        await daemon.start();
        for (const path of listMounts(dir)) furniture.add(path);
        await daemon.client.call('PullImage', { image: { image: workloadImage } });
      }
      const subject = new Subject(name, daemon, handler);
      subjects.push(subject);
      undos.push(async () => {
        if (subject.daemon.isRunning) await subject.removeEverything();
      });
    } catch (error) {
      failures.set(daemonName, describe(error));
      options.report(`${daemonName} cannot take part: ${describe(error)}`);
    }
  }
  const floor = options.withFloor
    ? await Floor.prepare({
        dir: join(dir, 'floor'),
        stateDir: join(run, 'floor'),
        cniConfDir: networks.confDirs.containerd,
        cgroupParent: cgroups.create('floor').podParent,
        image: options.images.get(workloadImage)!,
      })
    : undefined;
  if (floor !== undefined) undos.push(() => floor.clear());
  return { subjects, floor, failures };
}

async function serveImages(dir: string, images: ReadonlyMap<string, Image>): Promise<Registry> {
  const registry = await startRegistry({ dataDir: join(dir, 'registry') });
  try {
    await pushCatalogue(registry.host, images);
    writeMirrorHosts(join(dir, 'hosts'), listRegistries(images), registry.host);
  } catch (error) {
    await registry.stop();
    throw error;
  }
  return registry;
}

interface Networks {
  readonly confDirs: Readonly<Record<DaemonName, string>>;
  /** Bridges that the runs make and that are removed after them. */
  readonly bridges: readonly TestNetwork[];
  /** Berth's own bridge was there before; then it is someone else's. */
  readonly hadBerthBridge: boolean;
}

const berthBridge = 'berth0';
const sharedSubnet = '10.214.0.0/16';

function hasInterface(name: string): boolean {
  return existsSync(join('/sys/class/net', name));
}

function makeNetworks(dir: string, setup: NetworkSetup): Networks {
  const hadBerthBridge = hasInterface(berthBridge);
  if (setup !== 'default') {
    const shared = makeTestNetwork(dir, { bridge: 'berthbench0', subnet: sharedSubnet });
    return {
      confDirs: { berth: shared.confDir, containerd: shared.confDir },
      bridges: [shared],
      hadBerthBridge,
    };
  }
  const own = makeTestNetwork(join(dir, 'containerd-net'), {
    bridge: 'berthbench1',
    subnet: '10.215.0.0/16',
  });
  writeContainerdDefault(own);
  const empty = join(dir, 'no-cni');
  mkdirSync(empty);
  return { confDirs: { berth: empty, containerd: own.confDir }, bridges: [own], hadBerthBridge };
}

/** containerd has no network of its own; this is what its installation guide sets up: dual stack, promiscuous bridge. */
function writeContainerdDefault(network: TestNetwork): void {
  for (const file of readdirSync(network.confDir)) rmSync(join(network.confDir, file));
  const conflist = {
    cniVersion: '1.0.0',
    name: network.bridge,
    plugins: [
      {
        type: 'bridge',
        bridge: network.bridge,
        isGateway: true,
        ipMasq: true,
        promiscMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: '10.215.0.0/16' }], [{ subnet: 'fd00:6265:6e63:6801::/64' }]],
          routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
          dataDir: join(network.confDir, '..', 'ipam'),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
  writeFileSync(join(network.confDir, '10-containerd-net.conflist'), JSON.stringify(conflist, null, 2));
}

interface Clearing {
  readonly dir: string;
  readonly cgroups: BenchCgroups;
  readonly networks: Networks;
  /** Mounts that were there before the first pod: the bed's own, and those that a daemon makes once and keeps. */
  readonly furniture: ReadonlySet<string>;
  readonly left: string[];
}

/** Ends what runs in our cgroups, unmounts what is mounted in our folder, and removes our bridges, cgroups and firewall rules. */
async function clearMachine({ dir, cgroups, networks, furniture, left }: Clearing): Promise<void> {
  const pids = cgroups.listLeft();
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  }
  if (pids.length > 0) left.push(`${pids.length} processes in the benchmark's cgroups`);
  for (const network of networks.bridges) {
    const found = findLeftovers(dir, network.bridge);
    const leftovers = { ...found, mounts: found.mounts.filter((path) => !furniture.has(path)) };
    left.push(...formatLeftovers(leftovers));
    await removeLeftovers(leftovers);
    await network.remove();
    await removeMasquerades(network.bridge);
    removeCniResults(network.bridge);
  }
  await removeBerthMasquerade(networks.hadBerthBridge);
  if (!networks.hadBerthBridge && hasInterface(berthBridge))
    await runCommand('ip', ['link', 'delete', berthBridge]);
  // All but the tmpfs under everything, which has an undo of its own.
  for (const path of listMounts(dir).toReversed())
    if (path !== join(dir, 'run')) await runCommand('umount', ['-l', path]);
  cgroups.remove();
}

function listMounts(dir: string): readonly string[] {
  return findLeftovers(dir, '').mounts;
}

/** The bridge plugin's `ipMasq` has one chain per pod, which a pod that was never taken down leaves behind. */
async function removeMasquerades(network: string): Promise<void> {
  for (const program of ['iptables', 'ip6tables']) {
    const rules = await runCommand(program, ['-w', '-t', 'nat', '-S', 'POSTROUTING']);
    const ours = rules.split('\n').filter((rule) => rule.includes(`name: \\"${network}\\"`));
    for (const rule of ours) {
      const chain = rule.slice(rule.lastIndexOf(' ') + 1);
      const command = `${program} -w -t nat ${rule.replace(/^-A/, '-D')}; ${program} -w -t nat -F ${chain}; ${program} -w -t nat -X ${chain}`;
      await runCommand('sh', ['-c', command]);
    }
  }
}

/**
 * Berth keeps the rules of its own network and of its built-in plugins as long as its configuration wants them. The table may be
 * another daemon's too: then there was its bridge before, or its host ports are in it.
 */
async function removeBerthMasquerade(hadBerthBridge: boolean): Promise<void> {
  const table = ['table', 'inet', 'berth'];
  const text = await runCommand('nft', ['list', ...table]).catch(() => ''); // there is none
  const rules = text.split('\n').filter((line) => line.includes('saddr'));
  const areOurs = !hadBerthBridge || rules.every((rule) => rule.includes(`saddr ${sharedSubnet} `));
  if (rules.length > 0 && areOurs && !text.includes('dnat')) await runCommand('nft', ['delete', ...table]);
}

/** Results that libcni keeps for DEL, of pods that were never taken down. */
function removeCniResults(network: string): void {
  const dir = '/var/lib/cni/results';
  if (!existsSync(dir)) return;
  for (const file of readdirSync(dir)) if (file.startsWith(`${network}-`)) rmSync(join(dir, file));
}
