import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { knownCapabilities } from './capabilities.ts';
import { cgroupDirectory } from './cgroups-path.ts';
import { buildContainerSpec } from './container-spec.ts';
import { isGivenToPrivileged } from './devices.ts';
import type { ContainerSpecInput, ResolvedMount } from './inputs.ts';
import { mergeResources, noResources, toOciResources } from './resources.ts';
import { buildSandboxInitSpec } from './sandbox-init-spec.ts';
import { withCompiledSeccomp } from './seccomp-compiled.ts';
import { sandboxSysctls, sysctlFile } from './sysctls.ts';
import { type LiveBundle, makeLiveBundle } from './testing/live-bundle.ts';
import { nodeNamespaces, podNamespaces, type SampleVariation } from './testing/sample-input.ts';

const runtimeDefault = { type: 'runtimeDefault', localhostRef: '' } as const;
let live: LiveBundle;

beforeAll(() => {
  live = makeLiveBundle();
});
afterAll(() => live[Symbol.dispose]());

function mountOf(hostPath: string, more: Partial<ResolvedMount> = {}): ResolvedMount {
  return {
    containerPath: '/data',
    hostPath,
    isReadonly: false,
    isRecursiveReadonly: false,
    propagation: 'private',
    uidMappings: [],
    gidMappings: [],
    ...more,
  };
}

/** The value of a field of /proc/PID/status in `text`. */
function field(text: string, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(text)?.[1];
}

function capabilityMask(names: readonly string[]): string {
  const mask = names.reduce((sum, name) => sum | (1n << BigInt(knownCapabilities.indexOf(name))), 0n);
  return mask.toString(16).padStart(16, '0');
}

function hostDevices(): ContainerSpecInput['devices'] {
  const entries = readdirSync('/dev', { withFileTypes: true });
  return entries
    .filter((entry) => entry.isCharacterDevice() || entry.isBlockDevice())
    .map((entry) => ({ path: join('/dev', entry.name), type: entry.isBlockDevice() ? 'b' : 'c' }) as const)
    .filter(({ path }) => isGivenToPrivileged(path))
    .map(({ path, type }) => {
      const { rdev, mode } = statSync(path);
      const major = (rdev >> 8) & 0xfff;
      const minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00);
      return { device: { path, type, major, minor, fileMode: mode & 0o777 }, access: 'rwm' };
    });
}

describe.each(['crun', 'runc'])('%s', (program) => {
  function run(script: string, variation: SampleVariation = {}): string {
    const spec = buildContainerSpec(live.input(script, variation));
    const { exitCode, stdout, stderr } = live.run(program, spec);
    expect(`${exitCode} ${stderr}`, stdout).toBe('0 ');
    return stdout;
  }

  test('a plain container: its own PIDs, the pod names it, little power, a read-only kernel view', () => {
    const out = run(
      `cat /proc/self/status; echo "user $(id -u) groups $(id -G)"; echo "host $(hostname) $HOSTNAME"
      echo "cwd $(pwd)"; echo "home $HOME"; echo "pid $$"; cat /etc/resolv.conf; touch /written && echo wrote
      touch /dev/shm/x && echo shared; echo > /dev/null && echo null
      touch /proc/sys/kernel/domainname 2>/dev/null || echo proc-sys-ro; cat /proc/version | wc -c
      grep -E ' /sys' /proc/mounts; for d in /sys/fs/cgroup/*; do mkdir $d/x 2>/dev/null && echo cgroup-writable; done; ls /sys/kernel | wc -l; echo "oom $(cat /proc/self/oom_score_adj)"`,
      {
        config: { workingDir: '/not/yet/there' },
        input: { user: { uid: 0, gid: 0, additionalGids: [0, 7], home: '/root' } },
        security: { maskedPaths: ['/proc/version', '/sys/kernel'] },
      },
    );
    const spec = buildContainerSpec(live.input(''));
    expect(field(out, 'CapBnd')).toBe(capabilityMask(spec.process.capabilities?.bounding ?? []));
    expect(field(out, 'CapEff')).toBe(field(out, 'CapBnd'));
    expect(field(out, 'CapInh')).toBe('0000000000000000');
    expect([field(out, 'Seccomp'), field(out, 'NoNewPrivs')]).toEqual(['0', '0']);
    expect(out).toMatch(/^user 0 groups 0 7$/m);
    expect(out).toMatch(/^host pod-host pod-host$/m);
    expect(out).toMatch(/^cwd \/not\/yet\/there\nhome \/root\npid 1$/m);
    expect(out).toMatch(/^nameserver 192.0.2.1\nwrote\nshared\nnull\nproc-sys-ro\n0$/m);
    expect(out).toMatch(/^sysfs \/sys sysfs ro,/m);
    expect(out).not.toContain('cgroup-writable');
    expect(out).toMatch(/^0\noom 0$/m);
  });

  test('privileged: all that the daemon may, every device, a writable kernel view, no filter', () => {
    const out = run(
      `cat /proc/self/status; grep -E ' /sys(/fs/cgroup)? ' /proc/mounts
       head -c 0 /dev/kmsg && echo kmsg; ls -l /dev/fuse /dev/loop0; ls /dev/pts/ptmx; echo x > /dev/null && echo null
       mount -t tmpfs none /tmp && echo mounted`,
      {
        security: { isPrivileged: true, seccomp: runtimeDefault },
        sandboxSecurity: { isPrivileged: true },
        input: { devices: hostDevices() },
      },
    );
    expect(field(out, 'CapBnd')).toBe(capabilityMask(live.host.boundingCapabilities));
    expect(field(out, 'Seccomp')).toBe('0');
    expect(out).toMatch(/^sysfs \/sys sysfs rw,/m);
    expect(out).toMatch(/ \/sys\/fs\/cgroup \S+ rw,/m);
    expect(out).toMatch(/^kmsg$/m);
    expect(out).toMatch(/^crw.* 10, +229 .*\/dev\/fuse$/m);
    expect(out).toMatch(/^brw.* 7, +0 .*\/dev\/loop0$/m);
    expect(out).toMatch(/^null\nmounted$/m);
  });

  test('capabilities: exactly the one added, ambient ones for a user, none beyond the daemon', () => {
    const one = run('cat /proc/self/status', {
      security: { capabilities: { add: ['NET_ADMIN'], drop: ['ALL'], addAmbient: [] } },
    });
    expect(field(one, 'CapEff')).toBe(capabilityMask(['CAP_NET_ADMIN']));
    const ambient = run('cat /proc/self/status', {
      security: { capabilities: { add: [], drop: ['ALL'], addAmbient: ['NET_BIND_SERVICE'] } },
      input: { user: { uid: 1000, gid: 1000, additionalGids: [1000], home: '/' } },
    });
    const mask = capabilityMask(['CAP_NET_BIND_SERVICE']);
    expect(['CapAmb', 'CapEff', 'CapInh', 'CapBnd'].map((name) => field(ambient, name))).toEqual(
      Array(4).fill(mask),
    );
    const all = run('cat /proc/self/status', {
      security: { capabilities: { add: ['ALL'], drop: [], addAmbient: [] } },
    });
    expect(field(all, 'CapBnd')).toBe(capabilityMask(live.host.boundingCapabilities));
  });

  test('the default seccomp profile runs a shell, and denies what it should', () => {
    const out = run(
      `cat /proc/self/status; unshare -U true 2>&1; mkdir -p /tmp/m && mount -t tmpfs none /tmp/m 2>&1; echo done`,
      {
        security: {
          seccomp: runtimeDefault,
          capabilities: { add: ['SYS_PTRACE'], drop: [], addAmbient: [] },
        },
      },
    );
    expect(field(out, 'Seccomp')).toBe('2');
    expect(out).toMatch(/unshare.*Operation not permitted/);
    expect(out).toMatch(/^done$/m);
    const admin = run('cat /proc/self/status; unshare -m true && echo unshared', {
      security: { seccomp: runtimeDefault, capabilities: { add: ['SYS_ADMIN'], drop: [], addAmbient: [] } },
    });
    expect(field(admin, 'Seccomp')).toBe('2');
    expect(admin).toMatch(/^unshared$/m);
  });

  test("a profile in Docker's form does what it says", () => {
    const profile = JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [{ names: ['mkdir', 'mkdirat', 'no_such_syscall'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 }],
    });
    const out = run('mkdir /tmp/never 2>&1; echo end', {
      security: { seccomp: { type: 'localhost', localhostRef: '/profile.json' } },
      input: { localhostSeccompProfile: profile },
    });
    expect(out).toMatch(/No space left on device\nend/);
  });

  test('a read-only root, with the files of the pod read-only too, and no new privileges', () => {
    const out = run(
      `touch /never 2>&1; echo x 2>/dev/null >> /etc/hosts || echo hosts-ro; touch /dev/shm/y && echo shm; cat /proc/self/status`,
      { security: { readonlyRootfs: true, noNewPrivs: true } },
    );
    expect(out).toMatch(/Read-only file system/);
    expect(out).toMatch(/^hosts-ro\nshm$/m);
    expect(field(out, 'NoNewPrivs')).toBe('1');
  });

  test('mounts: propagation, read-only, recursive read-only, and a request in place of /etc/hosts', () => {
    const source = join(live.directory, `source-${program}`);
    live.host$('mkdir', source);
    live.host$('mount', '-t', 'tmpfs', 'none', source);
    try {
      live.host$('mount', '--make-shared', source);
      live.host$('mkdir', join(source, 'sub'));
      live.host$('mount', '-t', 'tmpfs', 'none', join(source, 'sub'));
      live.host$('touch', join(source, 'myhosts'));
      const tags = (propagation: ResolvedMount['propagation']) => {
        const out = run('grep " /data " /proc/self/mountinfo', {
          input: { mounts: [mountOf(source, { propagation })] },
        });
        return ['shared:', 'master:'].filter((tag) => out.includes(tag));
      };
      expect(tags('private')).toEqual([]);
      expect(tags('hostToContainer')).toEqual(['master:']);
      expect(tags('bidirectional')).toEqual(['shared:']);

      const writable = 'for d in /data /data/sub; do touch $d/x 2>/dev/null && echo $d; done; true';
      expect(run(writable, { input: { mounts: [mountOf(source)] } })).toBe('/data\n/data/sub\n');
      expect(run(writable, { input: { mounts: [mountOf(source, { isReadonly: true })] } })).toBe(
        '/data/sub\n',
      );
      const recursive = { isReadonly: true, isRecursiveReadonly: true };
      expect(run(writable, { input: { mounts: [mountOf(source, recursive)] } })).toBe('');

      const hosts = mountOf(join(source, 'myhosts'), { containerPath: '/etc/hosts' });
      expect(run('cat /etc/hosts; grep -c " /etc/hosts " /proc/mounts', { input: { mounts: [hosts] } })).toBe(
        '1\n',
      );
    } finally {
      live.host$('umount', '-R', source);
    }
  });

  test("sysctls written in the pod's namespaces hold in its containers, and not on the node", () => {
    const sysctls = sandboxSysctls(
      { 'kernel.shm_rmid_forced': '1', 'fs.mqueue.queues_max': '77', 'net.core.somaxconn': '321' },
      podNamespaces,
    );
    const files = Object.keys(sysctls).map((name) => `/proc/sys/${sysctlFile(name)}`);
    const before = files.map((file) => readFileSync(file, 'utf8'));
    for (const [name, value] of Object.entries(sysctls)) {
      live.inPod(`echo '${value}' > /proc/sys/${sysctlFile(name)}`);
    }
    const seen = run(`cat ${files.join(' ')}`)
      .trim()
      .split('\n');
    expect(seen.map((line) => line.replace('\t', ' '))).toEqual(Object.values(sysctls));
    expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(before);
  });

  test('devices: nodes may be made, but only granted ones used', () => {
    const script =
      'busybox rm -f /tmp/fuse; mknod /tmp/fuse c 10 229 && head -c 0 /tmp/fuse 2>&1 && echo opened; ls -l /dev/fuse 2>&1';
    const denied = run(`${script}; true`);
    expect(denied).toMatch(/Operation not permitted[\s\S]*\/dev\/fuse: No such file/);
    const fuse = { path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o640, uid: 5 } as const;
    const granted = run(script, { input: { devices: [{ device: fuse, access: 'r' }] } });
    expect(granted).toMatch(/^opened\ncrw-r----- +1 5 .*\/dev\/fuse$/m);
  });

  test('limits reach the cgroup', () => {
    const isV1 = live.host.cgroupVersion === 1;
    const files = isV1
      ? 'memory/memory.limit_in_bytes cpu/cpu.shares cpu/cpu.cfs_quota_us pids/pids.max'
      : 'memory.max cpu.max pids.max';
    const out = run(`cd /sys/fs/cgroup; cat ${files}`, {
      config: {
        resources: {
          ...noResources,
          memoryLimitBytes: 67108864,
          cpuShares: 512,
          cpuQuota: 50000,
          cpuPeriod: 100000,
        },
      },
      input: { defaultPidsLimit: 64 },
    });
    expect(out).toBe(isV1 ? '67108864\n512\n50000\n64\n' : '67108864\n50000 100000\n64\n');
  });

  test('an update in the same words reaches a running container', () => {
    const spec = buildContainerSpec(
      live.input('', {
        config: { command: ['sleep', '60'], resources: { ...noResources, memoryLimitBytes: 67108864 } },
      }),
    );
    const { pid, id } = live.start(program, spec);
    const update = { ...noResources, memoryLimitBytes: 134217728, cpuShares: 256 };
    const old = { ...noResources, memoryLimitBytes: 67108864, cpuQuota: 50000, cpuPeriod: 100000 };
    live.update(program, id, toOciResources(mergeResources(old, update), live.host));
    if (live.host.cgroupVersion !== 1) return;
    const read = (file: string) => readFileSync(`/sys/fs/cgroup/${file}`, 'utf8').trim();
    const directory = cgroupDirectory(spec.linux.cgroupsPath);
    expect([
      read(`memory${directory}/memory.limit_in_bytes`),
      read(`memory${directory}/memory.memsw.limit_in_bytes`),
      read(`cpu${directory}/cpu.shares`),
      read(`cpu${directory}/cpu.cfs_quota_us`),
      read(`pids${directory}/cgroup.procs`),
    ]).toEqual(['134217728', '134217728', '256', '50000', String(pid)]);
  });

  test("a sandbox on the node's namespaces shows the node", () => {
    const out = run('hostname; echo /proc/[0-9]* | wc -w; cat /proc/net/dev | wc -l', {
      security: { namespaces: nodeNamespaces },
      sandboxSecurity: { namespaces: nodeNamespaces },
    });
    const [hostname, processes] = out.split('\n');
    expect(hostname).toBe(readFileSync('/proc/sys/kernel/hostname', 'utf8').trim());
    expect(Number(processes)).toBeGreaterThan(5);
  });

  test("an oom score below the daemon's own does not keep a container from being made", () => {
    const out = run('cat /proc/self/oom_score_adj', {
      config: { resources: { ...noResources, oomScoreAdj: -998 } },
    });
    expect(Number(out)).toBe(live.host.canLowerOomScore ? -998 : live.host.ownOomScoreAdj);
  });

  test('a sandbox init holds a PID namespace that containers join, without any power', () => {
    const namespaces = { ...podNamespaces, pid: 'pod' } as const;
    const input = live.input('cat /proc/1/comm; echo $$', {
      security: { namespaces },
      sandboxSecurity: { namespaces, seccomp: runtimeDefault },
    });
    const rootfsPath = join(live.directory, `init-${program}`);
    live.host$('mkdir', rootfsPath);
    const { pid: initPid } = live.start(
      program,
      buildSandboxInitSpec({
        sandboxId: `init-${program}`,
        config: input.sandboxConfig,
        host: live.host,
        paths: input.paths,
        rootfsPath,
        initPath: live.host$('sh', '-c', 'command -v catatonit').trim(),
        localhostSeccompProfile: undefined,
      }),
    );
    const status = readFileSync(`/proc/${initPid}/status`, 'utf8');
    expect(['CapBnd', 'CapEff', 'Seccomp', 'NoNewPrivs'].map((name) => field(status, name))).toEqual([
      '0000000000000000',
      '0000000000000000',
      '2',
      '1',
    ]);
    expect(field(status, 'Uid')).toMatch(/^65535\t/);
    const pidnsPath = `/proc/${initPid}/ns/pid`;
    const joined = buildContainerSpec({ ...input, paths: { ...input.paths, pidnsPath } });
    const { stdout, stderr } = live.run(program, joined);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^(init|catatonit)\n[2-9]\d*$/m);
  });

  test("a pod's user namespace: root inside, nobody outside", () => {
    const range = { hostId: 1000000, containerId: 0, length: 65536 };
    const namespaces = { ...podNamespaces, userns: { uids: [range], gids: [range] } };
    const pod = live.pinUserPod(range.hostId);
    const input = live.input(
      'cat /proc/self/status /proc/self/uid_map; touch /mine && ls -ln /mine; ls /dev/mqueue | wc -l',
      {
        security: { namespaces, seccomp: runtimeDefault },
        sandboxSecurity: { namespaces },
      },
    );
    const spec = buildContainerSpec({
      ...input,
      rootfsPath: pod.rootfs,
      paths: { ...input.paths, ...pod.paths },
    });
    const { stdout, stderr } = live.run(program, spec);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^Uid:\t0\t/m);
    expect(stdout).toMatch(/^ +0 +1000000 +65536$/m);
    expect(field(stdout, 'Seccomp')).toBe('2');
    expect(statSync(join(pod.rootfs, 'mine')).uid).toBe(range.hostId);
  });

  test("a user namespace on all of the node's other namespaces", () => {
    const range = { hostId: 1000000, containerId: 0, length: 65536 };
    const namespaces = { ...nodeNamespaces, userns: { uids: [range], gids: [range] } };
    const pod = live.pinUserPod(range.hostId);
    const input = live.input('cat /proc/self/status; touch /sys/kernel/x; true', {
      security: { namespaces },
      sandboxSecurity: { namespaces },
    });
    const spec = buildContainerSpec({
      ...input,
      rootfsPath: pod.rootfs,
      paths: { ...input.paths, ...pod.paths },
    });
    const { stdout, stderr } = live.run(program, spec);
    expect(field(stdout, 'CapBnd')).toBe(capabilityMask(spec.process.capabilities?.bounding ?? []));
    const refusals = stderr.trim().split('\n');
    expect(refusals.filter((line) => !/Read-only file system|Permission denied/.test(line))).toEqual([]);
  });
});

test('crun takes the filter that it compiled before, and denies all where the filter is missing', () => {
  const input = live.input('unshare -U true 2>&1; cat /proc/self/status', {
    security: { seccomp: runtimeDefault },
  });
  const first = buildContainerSpec(input);
  const { id } = live.start('crun', { ...first, process: { ...first.process, args: ['sleep', '60'] } });
  const filter = readFileSync(join(live.stateDirectory('crun'), id, 'seccomp.bpf'));
  const second = withCompiledSeccomp(buildContainerSpec(input), filter);
  const { stdout } = live.run('crun', second);
  expect(field(stdout, 'Seccomp')).toBe('2');
  expect(stdout).toMatch(/unshare.*Operation not permitted/);
  expect(live.run('crun', { ...second, annotations: {} }).exitCode).not.toBe(0);
});
