import { expect, test } from 'vitest';
import { cgroupDirectory, cgroupsPath } from './cgroups-path.ts';
import { containerDevices, isGivenToPrivileged } from './devices.ts';
import { oomScoreAdj } from './oom-score.ts';
import { mergeResources, noResources, toOciResources } from './resources.ts';

const host = { cgroupVersion: 1, hasSwapController: true, hasHugetlbController: true } as const;
const invalid = expect.objectContaining({ kind: 'InvalidArgument' });

test('a memory limit means no swap where swap can be limited', () => {
  const limited = { ...noResources, memoryLimitBytes: 1000 };
  expect(toOciResources(limited, host)).toEqual({ memory: { limit: 1000, swap: 1000 } });
  expect(toOciResources(limited, { ...host, hasSwapController: false })).toEqual({ memory: { limit: 1000 } });
  expect(toOciResources({ ...limited, memorySwapLimitBytes: -1 }, host)).toEqual({
    memory: { limit: 1000, swap: -1 },
  });
  expect(toOciResources(noResources, host)).toEqual({});
});

test.each([
  ['swap below memory', { memoryLimitBytes: 1000, memorySwapLimitBytes: 999 }],
  ['swap without memory', { memorySwapLimitBytes: 999 }],
  ['unified on cgroup v1', { unified: { 'memory.high': '1' } }],
  ['a page size that is none', { hugepageLimits: [{ pageSize: '../x', limitBytes: 1 }] }],
])('%s is an invalid argument', (_, more) => {
  expect(() => toOciResources({ ...noResources, ...more }, host)).toThrow(invalid);
});

test('a unified file cannot lead out of the cgroup', () => {
  const resources = { ...noResources, unified: { '../memory.max': '1' } };
  expect(() => toOciResources(resources, { ...host, cgroupVersion: 2 })).toThrow(invalid);
});

test('an update changes what it names', () => {
  const page = (pageSize: string, limitBytes: number) => ({ pageSize, limitBytes });
  const old = {
    ...noResources,
    cpuShares: 100,
    cpusetCpus: '0',
    hugepageLimits: [page('2MB', 1), page('1GB', 2)],
  };
  const update = { ...noResources, cpuQuota: -1, memoryLimitBytes: 5, hugepageLimits: [page('2MB', 9)] };
  expect(mergeResources(old, update)).toEqual({
    ...old,
    cpuQuota: -1,
    memoryLimitBytes: 5,
    hugepageLimits: [page('2MB', 9), page('1GB', 2)],
  });
  expect(mergeResources(undefined, update)).toEqual(update);
});

test('oom_score_adj is held at the own value where it cannot go lower', () => {
  expect(oomScoreAdj(-998, { ownOomScoreAdj: 0, canLowerOomScore: false })).toBe(0);
  expect(oomScoreAdj(-998, { ownOomScoreAdj: 0, canLowerOomScore: true })).toBe(-998);
  expect(() => oomScoreAdj(1001, { ownOomScoreAdj: 0, canLowerOomScore: true })).toThrow(invalid);
});

test('the cgroup of each driver, and where it lies', () => {
  expect(cgroupsPath('cgroupfs', '/kubepods/pod1', 'c1')).toBe('/kubepods/pod1/c1');
  expect(cgroupsPath('cgroupfs', '', 'c1')).toBe('/c1');
  const path = cgroupsPath('systemd', '/kubepods.slice/kubepods-pod1.slice', 'c1');
  expect(path).toBe('kubepods-pod1.slice:berth:c1');
  expect(cgroupDirectory(path)).toBe('/kubepods.slice/kubepods-pod1.slice/berth-c1.scope');
  expect(cgroupsPath('systemd', '', 'c1')).toBe('system.slice:berth:c1');
  expect(cgroupDirectory('/a/c1')).toBe('/a/c1');
});

test.each([
  ['cgroupfs', '/kubepods.slice'],
  ['cgroupfs', '/a/../..'],
  ['systemd', '/kubepods/pod1'],
] as const)('%s refuses the parent %s', (driver, parent) => {
  expect(() => cgroupsPath(driver, parent, 'c1')).toThrow(invalid);
});

test('devices: the later at a path wins, a bad permission is refused, privileged gets all', () => {
  const device = { path: '/dev/x', type: 'c', major: 10, minor: 1 } as const;
  const granted = [
    { device, access: 'r' },
    { device: { ...device, minor: 2 }, access: 'rw' },
  ];
  const { devices, rules } = containerDevices(granted, false);
  expect(devices).toEqual([{ ...device, minor: 2 }]);
  expect(rules.at(-1)).toEqual({ allow: true, type: 'c', major: 10, minor: 2, access: 'rw' });
  expect(containerDevices(granted, true).rules).toEqual([{ allow: true, access: 'rwm' }]);
  expect(() => containerDevices([{ device, access: 'x' }], false)).toThrow(invalid);
  expect(['/dev/pts/0', '/dev/ptmx', '/dev/shm/a', '/dev/sda', '/dev/ptsx'].map(isGivenToPrivileged)).toEqual(
    [false, false, false, true, true],
  );
});
