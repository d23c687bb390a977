/** Starts the CRI server under test with state of its own in a work folder: ours, or Debian's containerd to compare with. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { projectRoot } from '../cache.ts';
import { cniPluginDir } from '../network.ts';

export const serverKinds = ['berth', 'containerd'] as const;
export type ServerKind = (typeof serverKinds)[number];

export interface ServerPaths {
  /** Work folder: sockets, state, logs. Short, because a socket's path is at most 107 bytes. */
  readonly dir: string;
  readonly cniConfDir: string;
  readonly registryHostsDir: string;
  /** Berth carries the CNI configuration out without its plugins. */
  readonly hasBuiltinPlugins?: boolean;
  /** A crun that can do what the installed one is too old for, as a second handler; absent: none is needed. */
  readonly newerCrun?: string;
  /** A criu that works here and a crun that is built with it, in the place of those of the machine. */
  readonly criu?: { readonly criu: string; readonly crun: string };
}

export interface Server {
  readonly kind: ServerKind;
  /** `unix://` address of the CRI socket. */
  readonly endpoint: string;
  readonly pid: number;
  readonly logFile: string;
  /** False once the process has ended by itself. */
  isRunning(): boolean;
  /** Asks it to end and waits; kills it after 20 s. Idempotent. */
  stop(): Promise<void>;
}

/** Image that sandboxes run; it has another id than the pause image that the suite pulls and removes. */
export const sandboxImage = 'registry.k8s.io/pause:3.10';

/** Writes the daemon's configuration file and returns its path. The one place that knows its keys. */
export function writeBerthConfig(paths: ServerPaths): string {
  const file = join(paths.dir, 'berth.toml');
  const settings = {
    daemon: { root_dir: join(paths.dir, 'root'), state_dir: join(paths.dir, 'state') },
    server: { socket: join(paths.dir, 'berth.sock') },
    metrics: { address: '' },
    log: { level: 'debug' },
    network: {
      cni_config_dir: paths.cniConfDir,
      cni_plugin_dirs: [cniPluginDir],
      cni_cache_dir: join(paths.dir, 'cni'),
      builtin_plugins: paths.hasBuiltinPlugins ?? false,
    },
    images: { registry_config_dirs: [paths.registryHostsDir] },
    nri: {
      socket_path: join(paths.dir, 'nri.sock'),
      plugin_dir: join(paths.dir, 'nri', 'plugins'),
      config_dir: join(paths.dir, 'nri', 'conf.d'),
    },
    ...(paths.newerCrun === undefined
      ? {}
      : {
          'handlers.crun': { type: 'crun' },
          'handlers.newer-crun': { type: 'crun', path: paths.newerCrun },
        }),
    ...(paths.criu === undefined
      ? {}
      : {
          checkpoint: { criu_path: paths.criu.criu, restore_images: true },
          'handlers.crun': { type: 'crun', path: paths.criu.crun },
          'handlers.runc': { type: 'runc' },
        }),
  };
  // Every value here is written alike in JSON and TOML.
  const lines = Object.entries(settings).flatMap(([section, keys]) => [
    `[${section}]\n`,
    ...Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`),
  ]);
  writeFileSync(file, lines.join(''));
  return file;
}

/** Writes the configuration file of Debian's containerd and returns its path; the socket is `DIR/containerd.sock`. */
export function writeContainerdConfig(paths: ServerPaths, ociRuntime: string): string {
  const file = join(paths.dir, 'containerd.toml');
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const text = `version = 2
root = "${paths.dir}/root"
state = "${paths.dir}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "${paths.dir}/containerd.sock"
[ttrpc]
  address = "${paths.dir}/containerd.sock.ttrpc"
[${cri}]
  sandbox_image = "${sandboxImage}"
  # Test machines often lack CAP_SYS_RESOURCE; without it a lower score than the daemon's own is refused.
  restrict_oom_score_adj = true
  [${cri}.cni]
    bin_dir = "${cniPluginDir}"
    conf_dir = "${paths.cniConfDir}"
  [${cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [${cri}.containerd.runtimes.runc.options]
      BinaryName = "${ociRuntime}"
  [${cri}.registry]
    config_path = "${paths.registryHostsDir}"
`;
  writeFileSync(file, text);
  return file;
}

/**
 * Starts the server and resolves once its socket accepts connections; rejects with the end of its log otherwise.
 * `ociRuntime` is for containerd only: ours chooses by its configuration.
 */
export async function startServer(kind: ServerKind, paths: ServerPaths, ociRuntime: string): Promise<Server> {
  const logFile = join(paths.dir, `${kind}.log`);
  const [socket, file, args] =
    kind === 'berth'
      ? [
          join(paths.dir, 'berth.sock'),
          join(projectRoot, 'node_modules/.bin/node'),
          [join(projectRoot, 'daemon/main.ts'), '--config', writeBerthConfig(paths)],
        ]
      : [
          join(paths.dir, 'containerd.sock'),
          'containerd',
          ['--config', writeContainerdConfig(paths, ociRuntime)],
        ];
  const log = openSync(logFile, 'a');
  const child = spawn(file, args, { cwd: projectRoot, stdio: ['ignore', log, log] });
  closeSync(log);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const failed = new Promise<never>((_, reject) =>
    child.once('error', (cause) => reject(new Error(`failed to start ${file}`, { cause }))),
  );
  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const stop = () => stopChild(child, isRunning, ended);
  try {
    await Promise.race([waitForSocket(socket, isRunning, 30_000), failed]);
  } catch (cause) {
    await stop();
    throw new Error(`${kind} did not come up; end of its log:\n${readTail(logFile)}`, { cause });
  }
  return { kind, endpoint: `unix://${socket}`, pid: child.pid ?? 0, logFile, isRunning, stop };
}

async function stopChild(child: ChildProcess, isRunning: () => boolean, ended: Promise<void>): Promise<void> {
  if (!isRunning() || child.pid === undefined) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await ended;
  clearTimeout(timer);
}

async function waitForSocket(path: string, isRunning: () => boolean, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    if (!isRunning()) throw new Error('it ended at once');
    if (existsSync(path) && (await canConnect(path))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing accepts connections on ${path} after ${timeoutMs} ms`);
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

/** The last lines of a log file; empty when there is none. */
export function readTail(file: string, lines = 20): string {
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') : '';
}
