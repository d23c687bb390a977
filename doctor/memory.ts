import { defineArea, hasKubelet, readNumber } from './area.ts';

const leastAvailableMiB = 256;

/** Memory and swap. */
export const memory = defineArea(
  'memory',
  'Memory',
  {
    swap: {
      severity: 'warning',
      what: '{count} swap areas are in use ({first})',
      breaks: 'the kubelet does not start, unless failSwapOn is false',
      mend: 'swapoff -a, and remove them from /etc/fstab; or set failSwapOn: false in /var/lib/kubelet/config.yaml',
    },
    low: {
      severity: 'warning',
      what: '{available} MiB of memory are available',
      breaks: 'new pods; the kernel may soon end some',
      mend: 'stop what is not needed: ps -eo rss,pid,args --sort=-rss | head',
    },
    unprotected: {
      severity: 'note',
      what: 'berthd (pid {pid}) has the OOM score adjustment {score}',
      breaks: 'berthd, when the node runs out of memory: it is ended like any other program',
      mend: 'set OOMScoreAdjust=-999 in its unit and restart it; at once: echo -999 > /proc/{pid}/oom_score_adj',
    },
  },
  (subject, report) => {
    const { machine, daemonPid } = subject;
    const score =
      daemonPid === undefined ? undefined : readNumber(machine, `/proc/${daemonPid}/oom_score_adj`);
    if (score !== undefined && score > -500) report('unprotected', { pid: daemonPid ?? 0, score });
    const swaps = (machine.read('/proc/swaps') ?? '').trim().split('\n').slice(1);
    const isAllowed = /^failSwapOn:\s*false/m.test(machine.read('/var/lib/kubelet/config.yaml') ?? '');
    if (swaps.length > 0 && hasKubelet(subject) && !isAllowed)
      report('swap', { count: swaps.length, first: swaps[0]!.split(/\s+/)[0] ?? '' });
    const available = /^MemAvailable:\s+(\d+) kB/m.exec(machine.read('/proc/meminfo') ?? '')?.[1];
    const availableMiB = available === undefined ? undefined : Math.round(Number(available) / 1024);
    if (availableMiB !== undefined && availableMiB < leastAvailableMiB)
      report('low', { available: availableMiB });
  },
);
