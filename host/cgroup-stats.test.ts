import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CgroupStats } from './cgroup-stats.ts';

let mount: string;
beforeEach(() => {
  mount = mkdtempSync(join(tmpdir(), 'cgroup-stats-'));
});
afterEach(() => rmSync(mount, { recursive: true }));

function place(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(mount, path)), { recursive: true });
    writeFileSync(join(mount, path), text);
  }
}

describe('version 1', () => {
  const stats = () => new CgroupStats(1, mount, true);

  it('reads use, limits and the totals of memory.stat', () => {
    place({
      'cpuacct/pods/a/cpuacct.usage': '123456789\n',
      'memory/pods/a/memory.usage_in_bytes': '10485760\n',
      'memory/pods/a/memory.limit_in_bytes': '67108864\n',
      'memory/pods/a/memory.memsw.limit_in_bytes': '134217728\n',
      'memory/pods/a/memory.memsw.usage_in_bytes': '11485760\n',
      'memory/pods/a/memory.stat':
        'cache 1\nrss 2\nswap 3\npgfault 4\ninactive_file 5\nactive_file 6\nhierarchical_memory_limit 67108864\n' +
        'total_cache 4194304\ntotal_rss 2097152\ntotal_mapped_file 8192\ntotal_swap 1000000\ntotal_pgfault 500\n' +
        'total_pgmajfault 5\ntotal_inactive_file 1048576\ntotal_active_file 3145728\n',
    });
    expect(stats().cpu('/pods/a')).toEqual({ usageNs: 123456789n });
    const memory = stats().memory('/pods/a')!;
    expect(memory).toEqual({
      usageBytes: 10485760n,
      limitBytes: 67108864n,
      inactiveFileBytes: 1048576n,
      activeFileBytes: 3145728n,
      anonBytes: 2097152n,
      cacheBytes: 4194304n,
      mappedFileBytes: 8192n,
      pageFaults: 500n,
      majorPageFaults: 5n,
      swapBytes: 1000000n,
      isSwapUnlimited: false,
    });
    expect(stats().swap('/pods/a', memory)).toEqual({
      usageBytes: 1000000n,
      availableBytes: 134217728n - 11485760n,
    });
    expect(stats().pressure('cpu', '/pods/a')).toBeUndefined();
  });

  it('takes the huge number and -1 for no limit', () => {
    place({
      'memory/a/memory.usage_in_bytes': '1\n',
      'memory/a/memory.stat': 'total_cache 0\n',
      'memory/a/memory.limit_in_bytes': '9223372036854771712\n',
      'memory/a/memory.soft_limit_in_bytes': '9223372036854771712\n',
      'memory/a/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n',
      'cpu/a/cpu.cfs_quota_us': '-1\n',
      'cpu/a/cpu.cfs_period_us': '100000\n',
      'cpu/a/cpu.shares': '1024\n',
      'cpu/a/cpu.stat': 'nr_periods 8\nnr_throttled 2\nthrottled_time 5000000000\n',
    });
    expect(stats().memory('/a')?.limitBytes).toBeUndefined();
    // Without swap accounting there is no total_swap.
    expect(stats().swap('/a', stats().memory('/a')!)).toBeUndefined();
    expect(stats().memoryDetail('/a')).toMatchObject({ reservationBytes: undefined, oomKills: 3n });
    expect(stats().cpuDetail('/a')).toMatchObject({
      quotaUs: undefined,
      periodUs: 100000n,
      shares: 1024n,
      throttledPeriods: 2n,
      throttledNs: 5000000000n,
    });
  });

  it('leaves files of limits unopened when memory.stat says that there are none', () => {
    place({
      'memory/a/memory.usage_in_bytes': '1\n',
      'memory/a/memory.stat':
        'hierarchical_memory_limit 9223372036854771712\nhierarchical_memsw_limit 9223372036854771712\ntotal_swap 5\n',
      'memory/a/memory.limit_in_bytes': 'not read',
      'memory/a/memory.memsw.limit_in_bytes': '9\n',
    });
    const memory = stats().memory('/a')!;
    expect(memory).toMatchObject({ limitBytes: undefined, inactiveFileBytes: 0n });
    expect(stats().swap('/a', memory)).toEqual({ usageBytes: 5n, availableBytes: undefined });
  });

  it('says undefined for a group that is gone', () => {
    expect(stats().cpu('/gone')).toBeUndefined();
    expect(stats().memory('/gone')).toBeUndefined();
    expect(stats().tasks('/gone')).toBeUndefined();
    expect(stats().processes('/gone')).toEqual([]);
  });
});

describe('version 2', () => {
  const stats = () => new CgroupStats(2, mount, true);

  it('reads use, limits, pressure and events', () => {
    place({
      'kube/a/cpu.stat':
        'usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 10\nnr_throttled 4\nthrottled_usec 7\n',
      'kube/a/cpu.max': '20000 100000\n',
      'kube/a/memory.current': '1000000\n',
      'kube/a/memory.max': '67108864\n',
      'kube/a/memory.peak': '2000000\n',
      'kube/a/memory.min': '0\n',
      'kube/a/memory.low': '4096\n',
      'kube/a/memory.swap.current': '500\n',
      'kube/a/memory.swap.max': '400\n',
      'kube/a/memory.events': 'low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 0\n',
      'kube/a/memory.stat':
        'anon 300000\nfile 600000\nkernel 100000\nfile_mapped 4096\ninactive_anon 1\nactive_anon 2\n' +
        'inactive_file 250000\nactive_file 350000\npgfault 77\npgmajfault 1\n',
      'kube/a/pids.current': '3\n',
      'kube/a/pids.max': 'max\n',
      'kube/a/cgroup.procs': '11\n12\n',
      'kube/a/below/cgroup.procs': '13\n',
      'kube/a/io.pressure':
        'some avg10=0.00 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=8\n',
    });
    expect(stats().cpu('/kube/a')).toEqual({ usageNs: 1500000n });
    expect(stats().cpuDetail('/kube/a')).toMatchObject({
      userNs: 1000000n,
      throttledNs: 7000n,
      quotaUs: 20000n,
      periodUs: 100000n,
      shares: undefined,
    });
    const memory = stats().memory('/kube/a')!;
    expect(memory).toMatchObject({
      usageBytes: 1000000n,
      limitBytes: 67108864n,
      inactiveFileBytes: 250000n,
      anonBytes: 300000n,
      swapBytes: 500n,
    });
    expect(stats().swap('/kube/a', memory)).toEqual({ usageBytes: 500n, availableBytes: 0n });
    expect(stats().memoryDetail('/kube/a')).toEqual({
      kernelBytes: 100000n,
      maxUsageBytes: 2000000n,
      limitHits: 12n,
      oomKills: 1n,
      reservationBytes: 4096n,
      swapLimitBytes: 400n,
    });
    expect(stats().tasks('/kube/a')).toBe(3n);
    expect(stats().maxTasks('/kube/a')).toBeUndefined();
    expect(stats().processes('/kube/a')).toEqual([11, 12, 13]);
    expect(stats().pressure('io', '/kube/a')?.full?.totalNs).toBe(8000n);
    expect(stats().pressure('cpu', '/kube/a')).toBeUndefined();
  });

  it('believes the lower limit of swap where crun tells systemd memory and swap together', () => {
    place({
      's.slice/berth-x.scope/memory.current': '10\n',
      's.slice/berth-x.scope/memory.swap.current': '0\n',
      's.slice/berth-x.scope/memory.stat': 'inactive_file 0\n',
      's.slice/berth-x.scope/memory.swap.max': '67108864\n',
      's.slice/berth-x.scope/container/memory.swap.max': '0\n',
    });
    const group = '/s.slice/berth-x.scope';
    expect(stats().memoryDetail(group).swapLimitBytes).toBe(0n);
    expect(stats().swap(group, stats().memory(group)!)?.availableBytes).toBe(0n);
    place({ 's.slice/berth-x.scope/container/memory.swap.max': 'max\n' });
    expect(stats().memoryDetail(group).swapLimitBytes).toBe(67108864n);
  });

  it('finds limits that crun set on the group below a systemd scope', () => {
    place({
      's.slice/berth-x.scope/memory.current': '10\n',
      's.slice/berth-x.scope/memory.stat': 'inactive_file 0\n',
      's.slice/berth-x.scope/memory.max': 'max\n',
      's.slice/berth-x.scope/container/memory.max': '4096\n',
      's.slice/berth-x.scope/cpu.max': 'max 100000\n',
      's.slice/berth-x.scope/container/cpu.max': '50000 100000\n',
    });
    expect(stats().memory('/s.slice/berth-x.scope')?.limitBytes).toBe(4096n);
    expect(stats().cpuDetail('/s.slice/berth-x.scope').quotaUs).toBe(50000n);
  });
});
