/** Where the demo's berthd stands: on the embedded defaults where they are free, else beside what is there. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '#conformance/command.ts';
import { cniPluginDir, makeTestNetwork } from '#conformance/network.ts';
import { canConnect } from './daemon.ts';

const defaults = {
  socket: '/run/berth/berth.sock',
  stateDir: '/run/berth',
  rootDir: '/var/lib/berth',
  logDir: '/var/log/berth',
  /** Compiled sources, kept by the launcher. */
  cacheDir: '/var/cache/berth',
  configFile: '/etc/berth/config.toml',
  nriDir: '/run/nri',
  /** Bridge and nftables table of the default network, which is there while there is no CNI configuration. */
  bridge: 'berth0',
  table: 'berth',
} as const;

export interface DemoHost {
  readonly socket: string;
  readonly rootDir: string;
  /** Folders in which the runtime keeps files of pods. */
  readonly dirs: readonly string[];
  /** Flags for berthd; none on the embedded defaults. */
  readonly flags: readonly string[];
  /** Why these paths. */
  readonly reason: string;
  /** Whether this is Berth, whose pods have no process of their own. */
  readonly isBerth: boolean;
  /** Removes what the runtime keeps for the machine and not for a pod, if it was not there before the demo. */
  restore(): Promise<void>;
}

/** `endpoint` is the socket of a server that runs already; otherwise the default paths, unless something stands there. */
export async function chooseHost(endpoint: string | undefined, workDir: string): Promise<DemoHost> {
  if (endpoint !== undefined) return foreignHost(endpoint.replace(/^unix:\/\//, ''));
  if (await canConnect(defaults.socket))
    return privateHost(workDir, `in folders of its own, because a daemon answers on ${defaults.socket}`);
  // A bridge without its daemon's default folders belongs to a berthd that runs elsewhere: two must not share addresses.
  const bridge = `/sys/class/net/${defaults.bridge}`;
  const obstacle = [defaults.configFile, defaults.rootDir, bridge].find((path) => existsSync(path));
  return obstacle === undefined
    ? await defaultHost()
    : privateHost(workDir, `in folders of its own, because ${obstacle} is there already`);
}

function foreignHost(socket: string): DemoHost {
  return { socket, rootDir: '', dirs: [], flags: [], reason: '', isBerth: false, restore: async () => {} };
}

async function defaultHost(): Promise<DemoHost> {
  const { socket, rootDir, stateDir, bridge, table } = defaults;
  const { logDir, cacheDir, nriDir } = defaults;
  const ownDirs = [stateDir, rootDir, logDir, cacheDir, nriDir].filter((path) => !existsSync(path));
  const hadTable = await hasTable(table);
  return {
    socket,
    rootDir,
    dirs: [rootDir, stateDir, '/var/lib/cni'],
    flags: [],
    reason: 'on its embedded defaults, with no configuration file and no flags',
    isBerth: true,
    async restore() {
      if (existsSync(`/sys/class/net/${bridge}`)) await runCommand('ip', ['link', 'delete', bridge]);
      if (!hadTable && (await hasTable(table))) await runCommand('nft', ['delete', 'table', 'inet', table]);
      for (const dir of ownDirs) await removeDir(dir);
    },
  };
}

function privateHost(workDir: string, reason: string): DemoHost {
  const rootDir = join(workDir, 'root');
  const stateDir = mkdtempSync('/run/berth-demo-');
  const socket = join(stateDir, 'berth.sock');
  const ownDirs = [stateDir, defaults.cacheDir].filter((path) => path === stateDir || !existsSync(path));
  const network = makeTestNetwork(workDir, { bridge: 'berthdemo0', subnet: '10.219.0.0/16' });
  const values = {
    config: '/dev/null',
    'root-dir': rootDir,
    'state-dir': stateDir,
    socket,
    'metrics-address': '',
    'nri-enable': 'false',
    'network-cni-config-dir': network.confDir,
    'network-cni-plugin-dirs': cniPluginDir,
    'network-cni-cache-dir': join(rootDir, 'cni'),
  };
  return {
    socket,
    rootDir,
    dirs: [rootDir, stateDir],
    flags: Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]),
    reason,
    isBerth: true,
    async restore() {
      await network.remove();
      for (const dir of ownDirs) await removeDir(dir);
    },
  };
}

/** berthd leaves a mount in its state folder, the one that keeps pins of namespaces private; a reboot would end it. */
async function removeDir(dir: string): Promise<void> {
  const pinDir = join(dir, 'namespaces');
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  for (const line of mounts) if (line.split(' ')[4] === pinDir) await runCommand('umount', [pinDir]);
  rmSync(dir, { recursive: true, force: true });
}

async function hasTable(name: string): Promise<boolean> {
  const tables = await runCommand('nft', ['list', 'tables']);
  return tables.split('\n').includes(`table inet ${name}`);
}
