import { expect, test } from 'vitest';
import { containerAnnotations } from './annotations.ts';
import { apparmorProfile } from './apparmor.ts';
import { selinuxLabels } from './selinux.ts';
import { resolveStopSignal, signalNumber } from './stop-signal.ts';
import { sandboxSysctls, sysctlFile } from './sysctls.ts';
import { podNamespaces, sampleInput } from './testing/sample-input.ts';

const invalid = expect.objectContaining({ kind: 'InvalidArgument' });
const unmet = expect.objectContaining({ kind: 'FailedPrecondition' });

test('AppArmor: the default, a named profile, and what fails', () => {
  const localhost = (localhostRef: string) => ({ type: 'localhost', localhostRef }) as const;
  const input = {
    profile: undefined,
    isPrivileged: false,
    isEnabled: true,
    defaultProfile: 'berth-default',
    loadedProfiles: ['berth-default', 'mine'],
  };
  expect(apparmorProfile(input)).toBe('berth-default');
  expect(apparmorProfile({ ...input, isPrivileged: true })).toBeUndefined();
  expect(apparmorProfile({ ...input, isPrivileged: true, profile: localhost('localhost/mine') })).toBe(
    'mine',
  );
  expect(apparmorProfile({ ...input, profile: { type: 'unconfined', localhostRef: '' } })).toBeUndefined();
  expect(() => apparmorProfile({ ...input, profile: localhost('gone') })).toThrow(unmet);
  expect(() => apparmorProfile({ ...input, profile: localhost('') })).toThrow(invalid);
  expect(() => apparmorProfile({ ...input, profile: { type: 'unconfined', localhostRef: 'mine' } })).toThrow(
    invalid,
  );
  expect(apparmorProfile({ ...input, isEnabled: false })).toBeUndefined();
  expect(() => apparmorProfile({ ...input, isEnabled: false, profile: localhost('mine') })).toThrow(unmet);
});

test('SELinux: the level of the pod, spc_t for privileged, bad levels refused', () => {
  const options = (level: string) => ({ user: '', role: '', type: '', level });
  const input = { isEnabled: true, options: undefined, podLevel: 's0:c1,c2', isPrivileged: false };
  expect(selinuxLabels(input)).toEqual({
    process: 'system_u:system_r:container_t:s0:c1,c2',
    mount: 'system_u:object_r:container_file_t:s0:c1,c2',
  });
  expect(selinuxLabels({ ...input, isPrivileged: true })?.process).toContain(':spc_t:');
  expect(selinuxLabels({ ...input, options: options('s0-s0:c0.c1023') })?.process).toMatch(
    /:s0-s0:c0\.c1023$/,
  );
  for (const level of ['wronglevel', 's0:c1024', 's0:c1,', 's0,c1']) {
    expect(() => selinuxLabels({ ...input, options: options(level) })).toThrow(invalid);
  }
  expect(selinuxLabels({ ...input, isEnabled: false, options: options('wronglevel') })).toBeUndefined();
});

test('sysctls: of the pod yes, of the node no', () => {
  expect(
    sandboxSysctls({ 'kernel.shm_rmid_forced': '1', 'net/ipv4/conf/eth0.1/forwarding': '1' }, podNamespaces),
  ).toEqual({
    'net.ipv4.ip_unprivileged_port_start': '0',
    'net.ipv4.ping_group_range': '0 2147483647',
    'kernel.shm_rmid_forced': '1',
    'net.ipv4.conf.eth0/1.forwarding': '1',
  });
  expect(sysctlFile('net.ipv4.conf.eth0/1.forwarding')).toBe('net/ipv4/conf/eth0.1/forwarding');
  const wins = sandboxSysctls({ 'net.ipv4.ip_unprivileged_port_start': '99' }, podNamespaces);
  expect(wins['net.ipv4.ip_unprivileged_port_start']).toBe('99');
  expect(sandboxSysctls({}, { ...podNamespaces, network: 'node' })).toEqual({});
  for (const name of [
    'kernel.panic',
    'vm.swappiness',
    'net.../../kernel.panic',
    'net//ipv4',
    'net',
    'net.a//b',
  ]) {
    expect(() => sandboxSysctls({ [name]: '1' }, podNamespaces), name).toThrow(invalid);
  }
  expect(() => sandboxSysctls({ 'net.core.somaxconn': '1' }, { ...podNamespaces, network: 'node' })).toThrow(
    invalid,
  );
  expect(() => sandboxSysctls({ 'kernel.sem': '1' }, { ...podNamespaces, ipc: 'node' })).toThrow(invalid);
});

test('annotations that steer an OCI runtime do not pass, and ours win', () => {
  const annotations = {
    'run.oci.hooks.stdout': '/etc/passwd',
    'io.kubernetes.cri.sandbox-id': 'forged',
    mine: '1',
  };
  const made = containerAnnotations(sampleInput({ config: { annotations } }));
  expect(made).toMatchObject({ mine: '1', 'io.kubernetes.cri.sandbox-id': '5a4d' });
  expect(made).not.toHaveProperty(['run.oci.hooks.stdout']);
});

test('stop signals by every spelling', () => {
  const numbers = [
    'SIGTERM',
    'term',
    '9',
    'SIGRTMIN+3',
    'RTMAX-2',
    'SIGRTMINPLUS15',
    'SIGRTMAXMINUS14',
    'SIGRTMIN',
  ];
  expect(numbers.map(signalNumber)).toEqual([15, 15, 9, 37, 62, 49, 50, 34]);
  for (const bad of ['', 'SIGNOPE', '0', '65', 'RTMIN+99', 'RTMIN-1', '-9', 'toString']) {
    expect(() => signalNumber(bad), bad).toThrow(invalid);
  }
  expect(resolveStopSignal('', '')).toBe('SIGTERM');
  expect(resolveStopSignal('', '3')).toBe('SIGQUIT');
  expect(resolveStopSignal('usr1', '3')).toBe('SIGUSR1');
  expect(resolveStopSignal('', 'nonsense')).toBe('SIGTERM');
  expect(resolveStopSignal('', 'RTMIN+3')).toBe('SIGRTMIN+3');
  expect(() => resolveStopSignal('nonsense', '')).toThrow(invalid);
});
