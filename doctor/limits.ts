import { defineArea, readNumber, type Subject } from './area.ts';
import type { Machine } from './machine.ts';

interface Least {
  readonly path: string;
  readonly least: number;
  readonly breaks: string;
}

/** Sysctls that are too low for a node below these values. */
const leasts: readonly Least[] = [
  {
    path: 'fs/inotify/max_user_instances',
    least: 128,
    breaks: 'programs that watch files, in pods and of the node (too many open files)',
  },
  {
    path: 'fs/inotify/max_user_watches',
    least: 8192,
    breaks: 'programs that watch files, in pods and of the node (no space left on device)',
  },
  { path: 'kernel/pid_max', least: 32_768, breaks: 'new processes, on a node with many pods' },
  { path: 'kernel/threads-max', least: 8192, breaks: 'new processes, on a node with many pods' },
  {
    path: 'kernel/keys/root_maxkeys',
    least: 10_000,
    breaks: 'new containers: each takes a key of root',
  },
  {
    path: 'kernel/keys/root_maxbytes',
    least: 250_000,
    breaks: 'new containers: each takes a key of root, with its name',
  },
  {
    path: 'kernel/keys/maxkeys',
    least: 100,
    breaks: 'containers of pods with user namespaces: each takes a key of its own user',
  },
  { path: 'fs/mount-max', least: 20_000, breaks: 'new containers: each has some thirty mounts' },
  {
    path: 'net/netfilter/nf_conntrack_max',
    least: 32_768,
    breaks: 'connections of pods, on a node with much traffic',
  },
  {
    path: 'net/ipv4/neigh/default/gc_thresh3',
    least: 1024,
    breaks: 'connections between many pods (neighbour table overflow)',
  },
];
const namespaceKinds = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup', 'user'];
const leastNamespaces = 256;
const leastOpenFiles = 65_536;

/** Root's line of /proc/key-users: keys and bytes against their quotas. */
function rootKeys(machine: Machine): { used: number; most: number } | undefined {
  const match = /^\s*0:\s+\d+\s+\S+\s+(\d+)\/(\d+)/m.exec(machine.read('/proc/key-users') ?? '');
  return match ? { used: Number(match[1]), most: Number(match[2]) } : undefined;
}

function sysctlName(path: string): string {
  return path.replaceAll('/', '.');
}

/** Limits of the kernel and of the daemon. */
export const limits = defineArea(
  'limits',
  'Limits',
  {
    'sysctl-low': {
      severity: 'warning',
      what: '{name} is {value}',
      breaks: '{breaks}',
      mend: 'echo {name}={least} > /etc/sysctl.d/90-berth.conf && sysctl -p /etc/sysctl.d/90-berth.conf',
    },
    'namespaces-low': {
      severity: 'error',
      what: 'user.max_{kind}_namespaces is {value}',
      breaks: '{breaks}',
      mend: 'echo user.max_{kind}_namespaces=65536 > /etc/sysctl.d/91-berth-{kind}.conf && sysctl -p /etc/sysctl.d/91-berth-{kind}.conf',
    },
    'keys-short': {
      severity: 'error',
      what: 'root holds {used} of {most} kernel keys',
      breaks: 'new containers: each takes one (disk quota exceeded)',
      mend: 'sysctl -w kernel.keys.root_maxkeys=1000000 kernel.keys.root_maxbytes=25000000',
    },
    'connections-short': {
      severity: 'error',
      what: 'the node tracks {used} of {most} connections',
      breaks: 'new connections, which are dropped',
      mend: 'sysctl -w net.netfilter.nf_conntrack_max={more}',
    },
    'files-low': {
      severity: 'warning',
      what: 'berthd (pid {pid}) may open {value} files',
      breaks: 'calls under load: every stream and every exec takes several',
      mend: 'set LimitNOFILE=1048576 in the unit and restart berthd; at once: prlimit --pid {pid} --nofile=1048576',
    },
    'files-short': {
      severity: 'error',
      what: '{used} of {most} files of the node are open',
      breaks: 'everything: no process can open another',
      mend: 'sysctl -w fs.file-max={more}, and look who has them: lsof | cut -d" " -f1 | sort | uniq -c | sort -n | tail',
    },
  },
  ({ machine, daemonPid }, report) => {
    for (const { path, least, breaks } of leasts) {
      const value = readNumber(machine, `/proc/sys/${path}`);
      if (value !== undefined && value < least)
        report('sysctl-low', { name: sysctlName(path), value, least, breaks });
    }
    for (const kind of namespaceKinds) {
      const value = readNumber(machine, `/proc/sys/user/max_${kind}_namespaces`);
      const breaks =
        kind === 'user' ? 'pods with user namespaces (hostUsers: false)' : 'new pods and containers';
      if (value !== undefined && value < leastNamespaces) report('namespaces-low', { kind, value, breaks });
    }
    const keys = rootKeys(machine);
    if (keys && keys.used > keys.most * 0.9) report('keys-short', keys);
    checkUse(
      machine,
      '/proc/sys/net/netfilter/nf_conntrack_count',
      '/proc/sys/net/netfilter/nf_conntrack_max',
      (words) => report('connections-short', words),
    );
    const [open, , mostFiles] = (machine.read('/proc/sys/fs/file-nr') ?? '').trim().split(/\s+/).map(Number);
    if (open && mostFiles && open > mostFiles * 0.9)
      report('files-short', { used: open, most: mostFiles, more: mostFiles * 4 });
    const value = openFilesOf(machine, daemonPid);
    if (value !== undefined && value < leastOpenFiles) report('files-low', { pid: daemonPid ?? 0, value });
  },
);

function checkUse(
  machine: Machine,
  usedPath: string,
  mostPath: string,
  report: (words: { used: number; most: number; more: number }) => void,
): void {
  const used = readNumber(machine, usedPath);
  const most = readNumber(machine, mostPath);
  if (used !== undefined && most && used > most * 0.9) report({ used, most, more: most * 4 });
}

/** The soft limit of open files of the daemon. */
function openFilesOf(machine: Machine, pid: Subject['daemonPid']): number | undefined {
  if (pid === undefined) return undefined;
  const match = /^Max open files\s+(\d+)/m.exec(machine.read(`/proc/${pid}/limits`) ?? '');
  return match ? Number(match[1]) : undefined;
}
