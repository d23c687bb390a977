/** Configuration files of the runtimes under test, alike in everything that both can be told. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cniPluginDir } from '../network.ts';

/** Image of containerd's pause containers; Berth needs none. */
export const sandboxImage = 'registry.k8s.io/pause:3.10';

export interface DaemonSettings {
  /** Content and records, on disk. */
  readonly rootDir: string;
  /** Sockets, bundles and namespaces, on a tmpfs as in a real installation. */
  readonly stateDir: string;
  readonly socket: string;
  readonly cniConfDir: string;
  readonly registryHostsDir: string;
  /** Of Berth only. */
  readonly hasBuiltinPlugins: boolean;
  readonly configFile: string;
}

export function writeContainerdConfig(settings: DaemonSettings): void {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const handler = (name: string) => `  [${cri}.containerd.runtimes.${name}]
    runtime_type = "io.containerd.runc.v2"
    [${cri}.containerd.runtimes.${name}.options]
      BinaryName = "${name}"
`;
  const text = `version = 2
root = "${settings.rootDir}"
state = "${settings.stateDir}"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "${settings.socket}"
[ttrpc]
  address = "${settings.socket}.ttrpc"
[${cri}]
  sandbox_image = "${sandboxImage}"
  netns_mounts_under_state_dir = true
  # Test machines often lack CAP_SYS_RESOURCE; without it a lower score than the daemon's own is refused.
  restrict_oom_score_adj = true
  [${cri}.cni]
    bin_dir = "${cniPluginDir}"
    conf_dir = "${settings.cniConfDir}"
  [${cri}.containerd]
    default_runtime_name = "runc"
${handler('runc')}${handler('crun')}  [${cri}.registry]
    config_path = "${settings.registryHostsDir}"
`;
  writeFileSync(settings.configFile, text);
}

/** `metricsPort` is where event-loop delay is read. */
export function writeBerthConfig(settings: DaemonSettings, metricsPort: number): void {
  const netnsDir = join(settings.stateDir, 'netns');
  mkdirSync(netnsDir, { recursive: true });
  const tables = {
    daemon: { root_dir: settings.rootDir, state_dir: settings.stateDir },
    server: { socket: settings.socket },
    log: { format: 'json' },
    metrics: { address: `127.0.0.1:${metricsPort}` },
    network: {
      cni_config_dir: settings.cniConfDir,
      cni_plugin_dirs: [cniPluginDir],
      cni_cache_dir: join(settings.rootDir, 'cni'),
      netns_dir: netnsDir,
      builtin_plugins: settings.hasBuiltinPlugins,
    },
    images: { registry_config_dirs: [settings.registryHostsDir] },
  };
  // Every value here is written alike in JSON and TOML.
  const lines = Object.entries(tables).flatMap(([table, keys]) => [
    `[${table}]`,
    ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
  ]);
  writeFileSync(settings.configFile, `${lines.join('\n')}\n`);
}
