/** The bare tools as a column of the benchmark: floor.sh does the steps, this prepares what it needs and reads its times. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runCommand } from '../command.ts';
import type { Image } from '../fixtures/image.ts';
import { cniPluginDir } from '../network.ts';

const steps = ['pod-up', 'pod-down', 'container-up', 'exec', 'container-down'] as const;
export type FloorStep = (typeof steps)[number];

export interface FloorPlace {
  /** On disk, as the runtimes' file systems are. */
  readonly dir: string;
  /** On a tmpfs. */
  readonly stateDir: string;
  /** Folder with the conflist that all use. */
  readonly cniConfDir: string;
  /** Parent of the containers' cgroups. */
  readonly cgroupParent: string;
  /** Whose first layer becomes the root file system. */
  readonly image: Image;
}

export class Floor {
  readonly #env: NodeJS.ProcessEnv;
  readonly #stateDir: string;

  private constructor(stateDir: string, env: NodeJS.ProcessEnv) {
    this.#stateDir = stateDir;
    this.#env = env;
  }

  static async prepare(place: FloorPlace): Promise<Floor> {
    const lower = join(place.dir, 'lower');
    const disk = join(place.dir, 'containers');
    for (const dir of [lower, disk, place.stateDir]) mkdirSync(dir, { recursive: true });
    const layer = place.image.blobs.find(({ mediaType }) => mediaType.includes('tar'));
    if (layer === undefined) throw new Error('the floor needs an image with a layer');
    const archive = join(place.dir, 'layer.tar.gz');
    writeFileSync(archive, layer.bytes);
    await runCommand('tar', ['-xzf', archive, '-C', lower]);
    // A fifo that nobody writes to: reading it with a time limit is bash's way to wait without starting a process.
    const fifo = join(place.stateDir, 'never');
    if (!existsSync(fifo)) execFileSync('mkfifo', [fifo]);
    return new Floor(place.stateDir, {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      STATE: place.stateDir,
      DISK: disk,
      LOWER: lower,
      SPEC: JSON.stringify(makeSpec(place.cgroupParent)),
      CNI_PATH: cniPluginDir,
      CNI_CONFS: writeChain(place).join(' '),
    });
  }

  /**
   * Does a step for pods 1 to `count`, `parallel` at a time (as many shells). Resolves with the milliseconds of each and of all.
   */
  async run(
    step: FloorStep,
    count: number,
    parallel = 1,
  ): Promise<{ readonly each: number[]; readonly allMs: number }> {
    const share = Math.ceil(count / parallel);
    const startMs = performance.now();
    const outputs = await Promise.all(
      Array.from({ length: parallel }, (_, worker) => {
        const [first, last] = [worker * share + 1, Math.min(count, (worker + 1) * share)];
        const script = join(import.meta.dirname, 'floor.sh');
        return runCommand('bash', [script, step, String(first), String(last)], { env: this.#env });
      }),
    );
    const allMs = performance.now() - startMs;
    const each = outputs.flatMap((text) =>
      [...text.matchAll(/ (\d+)$/gm)].map((match) => Number(match[1]) / 1000),
    );
    return { each, allMs };
  }

  /** Ends and removes every pod and container that is left. Never throws: what cannot go is found as a leftover. */
  async clear(): Promise<void> {
    for (const entry of readdirSync(this.#stateDir).filter((name) => /^\d+$/.test(name))) {
      for (const step of ['container-down', 'pod-down'] as const) {
        const args = [join(import.meta.dirname, 'floor.sh'), step, entry, entry];
        // Either half may be gone already.
        await runCommand('timeout', ['10', 'bash', ...args], { env: this.#env }).catch(() => {});
      }
    }
  }
}

/** One file per plugin of the conflist, named after its type, without the closing brace: the script adds the result. */
function writeChain(place: FloorPlace): string[] {
  const file = readdirSync(place.cniConfDir).find((name) => name.endsWith('.conflist'));
  if (file === undefined) throw new Error(`no conflist in ${place.cniConfDir}`);
  const list = JSON.parse(readFileSync(join(place.cniConfDir, file), 'utf8')) as {
    readonly cniVersion: string;
    readonly name: string;
    readonly plugins: readonly { readonly type: string; readonly capabilities?: object }[];
  };
  return list.plugins.map(({ capabilities: _, ...plugin }, index) => {
    const path = join(place.stateDir, `cni-${index}.${basename(plugin.type)}`);
    const text = JSON.stringify({ cniVersion: list.cniVersion, name: list.name, ...plugin });
    writeFileSync(path, text.slice(0, -1));
    return path;
  });
}

/** What runtimes give an ordinary container: new PID and mount namespaces, the pod's others, the usual mounts and masks. */
function makeSpec(cgroupParent: string): object {
  const capabilities = [
    'CAP_CHOWN',
    'CAP_DAC_OVERRIDE',
    'CAP_FSETID',
    'CAP_FOWNER',
    'CAP_MKNOD',
    'CAP_NET_RAW',
    'CAP_SETGID',
    'CAP_SETUID',
    'CAP_SETFCAP',
    'CAP_SETPCAP',
    'CAP_NET_BIND_SERVICE',
    'CAP_SYS_CHROOT',
    'CAP_KILL',
    'CAP_AUDIT_WRITE',
  ];
  const mount = (destination: string, type: string, options: string[], source = type) => ({
    destination,
    type,
    source,
    options,
  });
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: ['sh', '-c', 'trap "exit 0" TERM; sleep 86400 & wait'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    },
    root: { path: 'rootfs' },
    mounts: [
      mount('/proc', 'proc', ['nosuid', 'noexec', 'nodev']),
      mount('/dev', 'tmpfs', ['nosuid', 'strictatime', 'mode=755', 'size=65536k']),
      mount('/dev/pts', 'devpts', ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
      mount('/dev/mqueue', 'mqueue', ['nosuid', 'noexec', 'nodev']),
      mount('/dev/shm', 'tmpfs', ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'], 'shm'),
      mount('/sys', 'sysfs', ['nosuid', 'noexec', 'nodev', 'ro']),
      mount('/sys/fs/cgroup', 'cgroup', ['nosuid', 'noexec', 'nodev', 'relatime', 'ro']),
    ],
    linux: {
      cgroupsPath: `${cgroupParent}/floor-@ID@`,
      resources: {
        devices: [{ allow: false, access: 'rwm' }],
        cpu: { shares: 10 },
        memory: { limit: 268435456 },
      },
      namespaces: [
        { type: 'pid' },
        { type: 'mount' },
        { type: 'network', path: '@STATE@/@ID@/net' },
        { type: 'ipc', path: '@STATE@/@ID@/ipc' },
        { type: 'uts', path: '@STATE@/@ID@/uts' },
      ],
      maskedPaths: [
        '/proc/acpi',
        '/proc/kcore',
        '/proc/keys',
        '/proc/timer_list',
        '/sys/firmware',
        '/proc/scsi',
      ],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
}
