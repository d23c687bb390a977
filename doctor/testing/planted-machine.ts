/** A machine on real files below a temporary folder, in good health, and the tools to make it ill. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadConfig } from '#daemon/config/load.ts';
import type { Config } from '#daemon/config/options.ts';
import { readersOf } from '#daemon/doctor.ts';
import type { Diagnosis, Readers } from '../area.ts';
import { examine } from '../examine.ts';
import { openMachine, type SocketAnswer, type Space } from '../machine.ts';

type Sections = { readonly [Section in keyof Config]?: Partial<Config[Section]> };

const GiB = 1024 ** 3;
export const daemonPid = 4711;

const mountTable = `21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw,nosuid,nodev,noexec shared:2 - proc proc rw
23 21 0:21 / /sys rw,nosuid,nodev,noexec shared:3 - sysfs sysfs rw
24 23 0:22 / /sys/fs/cgroup rw,nosuid,nodev,noexec shared:4 - cgroup2 cgroup2 rw,nsdelegate
25 21 0:23 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,size=1024k
`;

const files: Readonly<Record<string, string>> = {
  '/proc/sys/kernel/osrelease': '6.12.9-amd64\n',
  '/proc/sys/kernel/hostname': 'node-1\n',
  '/proc/filesystems': 'nodev\tproc\nnodev\toverlay\n\text4\n',
  '/proc/sys/kernel/seccomp/actions_avail': 'kill_process trap errno allow\n',
  '/proc/pressure/cpu': '',
  '/proc/self/mountinfo': mountTable,
  '/proc/self/status': 'Name:\tberth\n',
  '/proc/cgroups': '#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t1\t1\n',
  '/proc/locks': '',
  '/proc/swaps': 'Filename\tType\tSize\tUsed\tPriority\n',
  '/proc/meminfo': 'MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n',
  '/proc/key-users': '    0:    12 11/11 9/1000000 123/25000000\n',
  '/proc/net/route':
    'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\neth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n',
  '/proc/net/unix': 'Num RefCount Protocol Flags Type St Inode Path\n',
  [`/proc/${daemonPid}/cmdline`]: '/usr/lib/berth/node\0/usr/lib/berth/daemon/main.ts\0',
  [`/proc/${daemonPid}/status`]:
    'Name:\tberthd\nState:\tS (sleeping)\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n',
  [`/proc/${daemonPid}/oom_score_adj`]: '-999\n',
  [`/proc/${daemonPid}/limits`]:
    'Max open files            1048576              1048576              files\n',
  '/sys/fs/cgroup/cgroup.controllers': 'cpuset cpu io memory hugetlb pids\n',
  '/sys/devices/system/clocksource/clocksource0/current_clocksource': 'tsc\n',
  '/sys/devices/system/clocksource/clocksource0/available_clocksource': 'tsc hpet acpi_pm\n',
  '/proc/sys/fs/file-nr': '2000\t0\t9000000\n',
  '/etc/resolv.conf': 'nameserver 192.168.1.1\n',
  '/etc/crictl.yaml': 'runtime-endpoint: unix:///run/berth/berth.sock\n',
  '/etc/subuid': 'user:100000:30000\nkubelet:200000:7208960\n',
  '/var/lib/kubelet/config.yaml':
    'kind: KubeletConfiguration\ncgroupDriver: cgroupfs\ncontainerRuntimeEndpoint: unix:///run/berth/berth.sock\n',
};

const sysctls: Readonly<Record<string, number>> = {
  'fs/inotify/max_user_instances': 8192,
  'fs/inotify/max_user_watches': 524_288,
  'kernel/pid_max': 4_194_304,
  'kernel/threads-max': 60_000,
  'kernel/keys/root_maxkeys': 1_000_000,
  'kernel/keys/root_maxbytes': 25_000_000,
  'fs/mount-max': 100_000,
  'net/netfilter/nf_conntrack_max': 262_144,
  'net/netfilter/nf_conntrack_count': 300,
  'net/ipv4/neigh/default/gc_thresh3': 1024,
  'net/ipv4/ip_forward': 1,
  'net/ipv6/conf/all/forwarding': 1,
  'net/bridge/bridge-nf-call-iptables': 1,
  'net/ipv4/ip_unprivileged_port_start': 1024,
  'vm/panic_on_oom': 0,
  'vm/overcommit_memory': 1,
  ...Object.fromEntries(
    ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user'].map((kind) => [
      `user/max_${kind}_namespaces`,
      30_000,
    ]),
  ),
};

/** What each program prints. */
const programs: Readonly<Record<string, string>> = {
  crun: 'crun version 1.21\n+SYSTEMD +SELINUX +CAP +SECCOMP +EBPF +CRIU +YAJL',
  runc: 'runc version 1.2.4',
  conmon: 'conmon version 2.1.12',
  catatonit: 'tini version 0.2.0_catatonit',
  criu: 'Version: 4.0',
  nft: '{"nftables": []}',
  unshare: 'unshare',
  nsenter: 'nsenter',
  sh: '',
  iptables: 'iptables',
  getsubids: '',
};

export class PlantedMachine {
  readonly root = mkdtempSync(join(tmpdir(), 'berth-doctor-'));
  #sections: Sections = {};
  #space: Space = { totalBytes: 100 * GiB, freeBytes: 60 * GiB, totalInodes: 1e6, freeInodes: 9e5 };
  #answer: SocketAnswer = 'answers';
  #readers: Partial<Readers> = {};
  #problems: readonly string[] = [];
  #nowMs: () => number = Date.now;

  constructor() {
    for (const [path, text] of Object.entries(files)) this.write(path, text);
    for (const [name, value] of Object.entries(sysctls)) this.sysctl(name, value);
    for (const [name, text] of Object.entries(programs)) this.program(name, text);
    for (const kind of ['mnt', 'pid', 'net', 'ipc', 'uts']) {
      this.symlink(`/proc/self/ns/${kind}`, `${kind}:[1]`);
    }
    for (const dir of ['/var/lib/berth', '/run/berth']) {
      mkdirSync(`${this.root}${dir}`, { recursive: true });
      chmodSync(`${this.root}${dir}`, 0o711);
    }
    this.write('/run/berth/berth.sock', '');
    this.chmod('/run/berth/berth.sock', 0o660);
    this.lock(daemonPid);
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(`${this.root}${path}`), { recursive: true });
    writeFileSync(`${this.root}${path}`, text);
  }

  /** Replaces a part of a file that is there. */
  edit(path: string, from: string | RegExp, to: string): void {
    const before = openMachine({ root: this.root }).read(path) ?? '';
    const after = before.replace(from, to);
    if (after === before) throw new Error(`${path} does not say ${String(from)}`);
    this.write(path, after);
  }

  remove(path: string): void {
    rmSync(`${this.root}${path}`, { recursive: true });
  }

  chmod(path: string, mode: number): void {
    chmodSync(`${this.root}${path}`, mode);
  }

  symlink(path: string, target: string): void {
    mkdirSync(dirname(`${this.root}${path}`), { recursive: true });
    symlinkSync(target, `${this.root}${path}`);
  }

  touch(path: string, atMs: number): void {
    utimesSync(`${this.root}${path}`, atMs / 1000, atMs / 1000);
  }

  sysctl(name: string, value: number): void {
    this.write(`/proc/sys/${name}`, `${value}\n`);
  }

  /** A program that prints `text`, or `stderr` with this exit status. */
  program(name: string, text: string, status = 0): void {
    const path = name.startsWith('/') ? name : `/usr/bin/${name}`;
    this.write(path, `#!/bin/sh\ncat ${status === 0 ? '' : '>&2 '}<<'END'\n${text}\nEND\nexit ${status}\n`);
    this.chmod(path, 0o755);
  }

  /** A running process. */
  process(pid: number, ...command: string[]): void {
    this.write(`/proc/${pid}/cmdline`, `${command.join('\0')}\0`);
  }

  /** Says that `pid` holds the daemon's lock; undefined for nobody. */
  lock(pid: number | undefined): void {
    const path = '/run/berth/berthd.lock';
    this.write(path, `${pid ?? 0}\n`);
    const { dev, ino } = statSync(`${this.root}${path}`);
    const [major, minor] = [(dev >>> 8) & 0xfff, (dev & 0xff) | ((dev >>> 12) & 0xfff00)].map((part) =>
      part.toString(16).padStart(2, '0'),
    );
    this.write(
      '/proc/locks',
      pid === undefined ? '' : `1: FLOCK  ADVISORY  WRITE ${pid} ${major}:${minor}:${ino} 0 EOF\n`,
    );
  }

  configure(sections: Sections): void {
    this.#sections = sections;
  }

  disk(space: Partial<Space>): void {
    this.#space = { ...this.#space, ...space };
  }

  answer(answer: SocketAnswer): void {
    this.#answer = answer;
  }

  read(readers: Partial<Readers>): void {
    this.#readers = readers;
  }

  problems(...problems: string[]): void {
    this.#problems = problems;
  }

  clock(nowMs: number): void {
    this.#nowMs = () => nowMs;
  }

  examine(): Promise<Diagnosis[]> {
    const plain = loadConfig({ configPath: undefined, overrides: new Map() }, '/nonexistent/config.toml');
    const config = Object.fromEntries(
      Object.entries(plain).map(([section, values]) => [
        section,
        { ...values, ...this.#sections[section as keyof Config] },
      ]),
    ) as unknown as Config;
    const machine = openMachine({ root: this.root, space: () => this.#space, nowMs: () => this.#nowMs() });
    return examine({
      machine: { ...machine, ask: async () => this.#answer },
      config,
      configProblems: this.#problems,
      readers: { ...readersOf(config), audit: async () => [], ...this.#readers },
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
