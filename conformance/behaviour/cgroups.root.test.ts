/**
 * Control groups and AppArmor as a kubelet uses them, with each cgroup driver that this host can have: where containers stand,
 * what limits they get and how these change, who dies of a lack of memory, figures, and that nothing stays.
 * `make guest-conformance` runs this file on cgroup v2 with systemd and AppArmor.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { detectCgroupLayout, groupDirectory } from '#host/cgroup.ts';
import type { LinuxContainerResourcesInit, LinuxContainerSecurityContextInit } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod, until } from './bed.ts';

const { version } = detectCgroupLayout();
const hasSystemd = existsSync('/run/systemd/system');
const hasAppArmor = existsSync('/sys/kernel/security/apparmor/profiles');
const mebi = (count: number) => BigInt(count << 20);

const drivers = [
  { driver: 'cgroupfs', isPossible: true },
  { driver: 'systemd', isPossible: hasSystemd },
] as const;

describe.each(drivers)('with the cgroup driver $driver', ({ driver, isPossible }) => {
  let bed: BehaviourBed;
  let pod: Pod;
  /** Where the kernel shows the pod's group, and a container's. */
  let podGroup: string;
  const groupOf = (id: string) => join(podGroup, driver === 'systemd' ? `berth-${id}.scope` : id);
  const read = (id: string, controller: string, file: string) =>
    readFileSync(join(groupDirectory(version, controller, groupOf(id)), file), 'utf8').trim();
  const has = (id: string, controller: string, file: string) =>
    existsSync(join(groupDirectory(version, controller, groupOf(id)), file));

  beforeAll(async () => {
    if (!isPossible) return;
    bed = await BehaviourBed.start({ cgroupDriver: driver });
    // As the kubelet names a burstable pod's.
    const name = bed.name;
    const [parent, group] =
      driver === 'systemd'
        ? [
            `/${name}.slice/${name}-burstable.slice/${name}-burstable-podx1_y2.slice`,
            `/${name}.slice/${name}-burstable.slice/${name}-burstable-podx1_y2.slice`,
          ]
        : [`/${name}/burstable/podx1-y2`, `/${name}/burstable/podx1-y2`];
    podGroup = group;
    pod = await bed.runPod({ linux: { cgroup_parent: parent } });
  });
  afterAll(async () => {
    if (isPossible) await bed.close();
  });

  test.skipIf(!isPossible)('a container stands in the pod’s group, and its monitor does not', async () => {
    const id = await bed.run(pod, 'stands');
    const { pid } = await bed.info(id);
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain(groupOf(id));
    // The kubelet waits for the pod's group to have no process but those of containers.
    for (const group of readdirSync(groupDirectory(version, 'pids', podGroup)))
      expect(group).not.toMatch(/conmon/);
    await bed.call('RemoveContainer', { container_id: id });
    expect(existsSync(groupDirectory(version, 'pids', groupOf(id)))).toBe(false);
    if (driver === 'systemd') expect(unitState(`berth-${id}.scope`)).toBe('not-found inactive');
  });

  test.skipIf(!isPossible)('limits are the kernel’s, and change while the container runs', async () => {
    const resources: LinuxContainerResourcesInit = {
      cpu_period: 100_000n,
      cpu_quota: 50_000n,
      cpu_shares: 1024n,
      memory_limit_in_bytes: mebi(64),
      cpuset_cpus: '0',
      ...(version === 2 ? { unified: { 'memory.high': String(mebi(48)), 'pids.max': '77' } } : {}),
    };
    const id = await bed.run(pod, 'limited', { linux: { resources } });
    const limits = () =>
      version === 2
        ? [read(id, 'cpu', 'cpu.max'), read(id, 'memory', 'memory.max'), read(id, 'cpuset', 'cpuset.cpus')]
        : [
            `${read(id, 'cpu', 'cpu.cfs_quota_us')} ${read(id, 'cpu', 'cpu.cfs_period_us')}`,
            read(id, 'memory', 'memory.limit_in_bytes'),
            read(id, 'cpuset', 'cpuset.cpus'),
          ];
    expect(limits()).toEqual(['50000 100000', String(mebi(64)), '0']);
    if (version === 2) {
      // A memory limit alone means no swap, as the kubelet expects.
      if (has(id, 'memory', 'memory.swap.max')) {
        expect(await bed.sh(id, 'cat /sys/fs/cgroup/memory.swap.max')).toBe('0\n');
        const { stats } = await bed.call('ContainerStats', { container_id: id });
        expect(stats?.swap?.swap_available_bytes?.value).toBe(0n);
      }
      expect(read(id, 'memory', 'memory.high')).toBe(String(mebi(48)));
      expect(read(id, 'pids', 'pids.max')).toBe('77');
    }
    await bed.call('UpdateContainerResources', {
      container_id: id,
      linux: { cpu_quota: 20_000n, memory_limit_in_bytes: mebi(96) },
    });
    // systemd has taken the change when the call returns, and writes it a moment later.
    await expect.poll(limits, { timeout: 20_000 }).toEqual(['20000 100000', String(mebi(96)), '0']);
    if (version === 2) {
      await bed.call('UpdateContainerResources', {
        container_id: id,
        linux: { unified: { 'memory.high': String(mebi(80)) } },
      });
      await expect.poll(() => read(id, 'memory', 'memory.high'), { timeout: 20_000 }).toBe(String(mebi(80)));
      expect(limits()).toEqual(['20000 100000', String(mebi(96)), '0']);
    }
    if (driver === 'systemd') {
      // A daemon-reload has systemd write what it knows into the group: the limits must be those.
      spawnSync('systemctl', ['daemon-reload']);
      expect(limits()).toEqual(['20000 100000', String(mebi(96)), '0']);
    }
    expect((await bed.status(id)).resources?.linux).toMatchObject({
      cpu_quota: 20_000n,
      memory_limit_in_bytes: mebi(96),
    });
    const { stats } = await bed.call('ContainerStats', { container_id: id });
    expect(stats?.memory?.available_bytes?.value).toBeLessThan(mebi(96));
  });

  test.skipIf(!isPossible)('a lack of memory ends one process, or all where the group is one', async () => {
    const eat = 'tail /dev/zero & wait $!; echo survived; sleep 1000';
    const memory = { memory_limit_in_bytes: mebi(24) };
    const command = ['sh', '-c', eat];
    const single = await bed.run(pod, 'single', { command, linux: { resources: memory } });
    await until(
      async () => bed.logText(pod, 'single').includes('survived') || undefined,
      60_000,
      'the end of the eater',
    );
    await bed.call('StopContainer', { container_id: single, timeout: 0n });
    expect(await bed.ended(single)).toMatchObject({ reason: 'OOMKilled' });
    if (version === 1) return; // v1 has no groups that die as one
    const unified = { 'memory.oom.group': '1' };
    const whole = await bed.run(pod, 'whole', { command, linux: { resources: { ...memory, unified } } });
    expect(await bed.ended(whole, 60_000)).toMatchObject({ exit_code: 137, reason: 'OOMKilled' });
    expect(bed.logText(pod, 'whole')).not.toContain('survived');
  });

  test.skipIf(!isPossible)(
    'the last process of a group may take the group with it: still OOMKilled',
    async () => {
      // systemd removes a scope as soon as it is empty, often before anybody has read its counters.
      const resources = { memory_limit_in_bytes: mebi(16) };
      for (let round = 0; round < 8; round += 1) {
        const id = await bed.run(pod, `last-${round}`, {
          command: ['tail', '/dev/zero'],
          linux: { resources },
        });
        expect(await bed.ended(id, 60_000)).toMatchObject({ exit_code: 137, reason: 'OOMKilled' });
      }
      const id = await bed.run(pod, 'killed', { command: ['sleep', '1000'], linux: { resources } });
      process.kill((await bed.info(id)).pid, 'SIGKILL');
      expect(await bed.ended(id)).toMatchObject({ exit_code: 137, reason: 'Error' });
    },
  );

  test.skipIf(!isPossible)('devices are refused that were not given', async () => {
    const id = await bed.run(pod, 'devices', {
      linux: { security_context: { capabilities: { add_capabilities: ['MKNOD'] } } },
    });
    // kmsg, which the host has and the container was not given.
    expect(await bed.sh(id, 'mknod /k c 1 11; head -c 1 /k 2>&1 || true')).toMatch(/not permitted/);
    expect(await bed.sh(id, 'head -c 3 /dev/zero | wc -c')).toBe('3\n');
  });

  test.skipIf(!isPossible)('figures of the pod are those of its group', async () => {
    const id = await bed.run(pod, 'figures', { command: ['sh', '-c', 'while :; do :; done'] });
    const { stats } = await bed.call('PodSandboxStats', { pod_sandbox_id: pod.id });
    const { cpu, memory, io, process } = stats!.linux!;
    expect(memory!.usage_bytes!.value).toBeGreaterThan(0n);
    expect(cpu!.usage_core_nano_seconds!.value).toBeGreaterThan(0n);
    expect(process!.process_count!.value).toBeGreaterThan(0n);
    if (version === 2 && existsSync('/proc/pressure/cpu'))
      for (const { psi } of [cpu!, memory!, io!]) expect(psi?.Full).toBeDefined();
    const { pod_metrics } = await bed.call('ListPodSandboxMetrics', {});
    const names = pod_metrics
      .flatMap(({ container_metrics }) => container_metrics)
      .filter(({ container_id }) => container_id === id)
      .flatMap(({ metrics }) => metrics.map(({ name }) => name));
    expect(names).toContain('container_memory_working_set_bytes');
    expect(names).toContain('container_threads_max');
    await bed.call('RemoveContainer', { container_id: id });
  });

  describe.skipIf(!isPossible || !hasAppArmor)('and AppArmor', () => {
    const labelOf = (id: string) => bed.sh(id, 'cat /proc/1/attr/current');
    const runWith = (name: string, security_context: LinuxContainerSecurityContextInit) =>
      bed.run(pod, name, { linux: { security_context } });

    test('runtime default is a profile of Berth’s, under which a pod can do what pods do', async () => {
      const [plain, hard] = await Promise.all([
        runWith('confined', {}),
        runWith('confined-hard', { no_new_privs: true }),
      ]);
      for (const id of [plain, hard]) {
        expect(await labelOf(id)).toMatch(/berth-default.* \((enforce|mixed)\)/);
        expect(await bed.sh(id, 'cat /proc/self/attr/current')).toMatch(
          /berth-default.* \((enforce|mixed)\)/,
        );
        // Its own processes can be signalled and looked at, by themselves and by a command.
        expect(await bed.sh(id, 'sleep 100 & kill -9 $!; wait $!; echo $?')).toBe('137\n');
        expect(await bed.sh(id, 'readlink /proc/1/exe')).toMatch(/busybox|sh/);
        await bed.sh(id, 'echo text > /tmp/file && cat /tmp/file');
        expect((await bed.exec(id, ['sh', '-c', 'cat /proc/sysrq-trigger'])).exit_code).not.toBe(0);
        await bed.call('StopContainer', { container_id: id, timeout: 10n });
        // It was ended by the signal that it asked for, not by the last resort.
        expect((await bed.status(id)).exit_code).toBe(0);
      }
    });

    test('the profile refuses what a capability alone would allow', async () => {
      const capabilities = { add_capabilities: ['SYS_ADMIN'] };
      const [held, free] = await Promise.all([
        runWith('held', { capabilities }),
        runWith('not-held', { capabilities, apparmor: { profile_type: 1 } }),
      ]);
      const mount = ['mount', '-t', 'tmpfs', 'none', '/tmp'];
      expect((await bed.exec(held, mount)).exit_code).not.toBe(0);
      expect(await bed.exec(free, mount)).toMatchObject({ exit_code: 0 });
    });

    test('unconfined and privileged containers have none', async () => {
      const [free, privileged] = await Promise.all([
        runWith('free', { apparmor: { profile_type: 1 } }),
        (async () => {
          const strong = await bed.runPod({
            linux: {
              cgroup_parent: pod.config.linux?.cgroup_parent ?? '',
              security_context: { privileged: true },
            },
          });
          return bed.run(strong, 'strong', { linux: { security_context: { privileged: true } } });
        })(),
      ]);
      for (const id of [free, privileged]) expect(await labelOf(id)).not.toContain('berth-default');
    });
  });
});

function unitState(unit: string): string {
  const { stdout } = spawnSync('systemctl', ['show', '-P', 'LoadState', '-P', 'ActiveState', unit], {
    encoding: 'utf8',
  });
  return stdout.trim().split('\n').join(' ');
}
