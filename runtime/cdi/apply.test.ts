import { expect, test } from 'vitest';
import { buildContainerSpec } from '../spec/container-spec.ts';
import { podNamespaces, type SampleVariation, sampleInput } from '../spec/testing/sample-input.ts';
import { type HostDeviceNumbers, withCdiEdits } from './apply.ts';
import { parseSpecification } from './parse.ts';

const hostNodes: Readonly<Record<string, HostDeviceNumbers>> = {
  '/dev/gpu0': { type: 'c', major: 195, minor: 3 },
  '/dev/disk': { type: 'b', major: 8, minor: 1 },
  '/dev/pipe': { type: 'p', major: 0, minor: 0 },
};
const options = {
  hasIdmappedMounts: true,
  lookUpDevice: (path: string) => {
    const found = hostNodes[path];
    if (!found) throw new Error(`no ${path}`);
    return found;
  },
};

function edited(containerEdits: object, variation: SampleVariation = {}) {
  const data = { cdiVersion: '1.0.0', kind: 'v.com/c', devices: [{ name: 'd', containerEdits }] };
  const edits = parseSpecification(data).devices.get('d');
  const spec = buildContainerSpec(sampleInput(variation));
  return { before: spec, spec: withCdiEdits(spec, edits ? [edits] : [], options) };
}

test('variables take the place of those with their name', () => {
  const { spec, before } = edited({ env: ['LANG=de', 'GPU=0', 'GPU=a=b'] });
  expect(before.process.env).toContain('LANG=C');
  expect(spec.process.env).toEqual([
    ...before.process.env.map((entry) => (entry === 'LANG=C' ? 'LANG=de' : entry)),
    'GPU=a=b',
  ]);
});

test('device nodes: open numbers from the host, owner of the process, access to the cgroup', () => {
  const deviceNodes = [
    { path: '/dev/gpu0' },
    { path: '/dev/alias', hostPath: '/dev/gpu0', permissions: 'none', uid: 0, fileMode: 0o600 },
    { path: '/dev/given', type: 'u', major: 5, minor: 9, permissions: 'rw' },
    { path: '/dev/pipe', type: 'p' },
    { path: '/dev/disk', major: 0 },
  ];
  const user = { uid: 1000, gid: 7, additionalGids: [7], home: '/' };
  const { spec, before } = edited({ deviceNodes, additionalGids: [0, 44, 7] }, { input: { user } });
  const owner = { uid: 1000, gid: 7 };
  expect(spec.linux.devices).toEqual([
    { path: '/dev/gpu0', type: 'c', major: 195, minor: 3, ...owner },
    { path: '/dev/alias', type: 'c', major: 195, minor: 3, uid: 0, gid: 7, fileMode: 0o600 },
    { path: '/dev/given', type: 'u', major: 5, minor: 9, ...owner },
    { path: '/dev/pipe', type: 'p', ...owner },
    { path: '/dev/disk', type: 'b', major: 8, minor: 1, ...owner },
  ]);
  const rules = spec.linux.resources.devices?.slice(before.linux.resources.devices?.length);
  expect(rules?.map((rule) => `${rule.type} ${rule.major}:${rule.minor} ${rule.access}`)).toEqual([
    'c 195:3 rwm',
    'c 195:3 ',
    'c 5:9 rw',
    'b 8:1 rwm',
  ]);
  expect(spec.process.user.additionalGids).toEqual([7, 44]);
});

test('a node that the host does not have, or has of another type, is an error', () => {
  expect(() => edited({ deviceNodes: [{ path: '/dev/gone' }] })).toThrow('no /dev/gone');
  expect(() => edited({ deviceNodes: [{ path: '/dev/gpu0', type: 'b' }] })).toThrow(
    'device node /dev/gpu0 is to be of type b, but /dev/gpu0 is of type c',
  );
});

test('mounts replace the one at their path and come behind their parents', () => {
  const { spec, before } = edited({
    mounts: [
      { hostPath: '/h/hosts', containerPath: '/etc/./hosts', options: ['ro', 'bind'] },
      { hostPath: '/h/lib', containerPath: '/a/b/c/lib' },
      { hostPath: 'tmpfs', containerPath: '/a', type: 'tmpfs', options: ['size=1m'] },
    ],
  });
  expect(spec.mounts).toHaveLength(before.mounts.length + 2);
  expect(spec.mounts.filter(({ destination }) => /^\/(a|etc\/hosts)/.test(destination))).toEqual([
    { destination: '/a', type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] },
    { destination: '/etc/hosts', type: 'bind', source: '/h/hosts', options: ['ro', 'bind'] },
    { destination: '/a/b/c/lib', type: 'bind', source: '/h/lib', options: ['rbind'] },
  ]);
});

test('in a user namespace files keep their ids, and a node with another path is bound', () => {
  const userns = {
    mode: 'pod' as const,
    uids: [{ hostId: 65536, containerId: 0, length: 65536 }],
    gids: [{ hostId: 65536, containerId: 0, length: 65536 }],
  };
  const namespaces = { ...podNamespaces, userns };
  const { spec } = edited(
    {
      mounts: [{ hostPath: '/h/lib', containerPath: '/lib/x' }],
      deviceNodes: [{ path: '/dev/alias', hostPath: '/dev/gpu0' }, { path: '/dev/gpu0' }],
    },
    {
      security: { namespaces },
      sandboxSecurity: { namespaces },
      input: { paths: { ...sampleInput().paths, usernsPath: '/run/berth/ns/5a4d/user' } },
    },
  );
  const mapping = [{ containerID: 0, hostID: 65536, size: 65536 }];
  expect(spec.mounts.find(({ destination }) => destination === '/lib/x')).toMatchObject({
    options: ['rbind', 'idmap'],
    uidMappings: mapping,
    gidMappings: mapping,
  });
  expect(spec.mounts.find(({ destination }) => destination === '/dev/alias')?.source).toBe('/dev/gpu0');
  expect(spec.linux.devices?.map(({ path }) => path)).toEqual(['/dev/gpu0']);
});

test('hooks are handed on', () => {
  const hook = { hookName: 'createRuntime', path: '/bin/x', args: ['x', '1'], env: ['A=b'], timeout: 5 };
  const { spec } = edited({ hooks: [hook, { ...hook, timeout: 0 }] });
  const { hookName: _, timeout, ...made } = hook;
  expect(spec.hooks).toEqual({ createRuntime: [{ ...made, timeout }, made] });
});
