import { expect, test } from 'vitest';
import { checkSandboxNamespaces, effectiveNamespaces, namespaceList } from './namespaces.ts';
import { nodeNamespaces, podNamespaces } from './testing/sample-input.ts';

const paths = { netnsPath: '/n', ipcnsPath: '/i', utsnsPath: '/u', usernsPath: '', pidnsPath: '/p' };
const invalid = expect.objectContaining({ kind: 'InvalidArgument' });
const range = { hostId: 65536, containerId: 0, length: 65536 };
const userns = { uids: [range], gids: [range] };

function list(container: typeof podNamespaces, sandbox: typeof podNamespaces, isPrivileged = false) {
  return namespaceList({
    effective: effectiveNamespaces(container, sandbox),
    paths,
    targetPidnsPath: '/t',
    isPrivileged,
    host: { cgroupVersion: 2 },
  });
}

test('each mode of the PID namespace', () => {
  const pid = (container: 'pod' | 'container' | 'target', sandbox: 'pod' | 'node') =>
    list({ ...podNamespaces, pid: container }, { ...podNamespaces, pid: sandbox }).find(
      (n) => n.type === 'pid',
    );
  expect(pid('container', 'pod')).toEqual({ type: 'pid' });
  expect(pid('pod', 'pod')).toEqual({ type: 'pid', path: '/p' });
  expect(pid('target', 'pod')).toEqual({ type: 'pid', path: '/t' });
  expect(pid('pod', 'node')).toBeUndefined();
});

test('a container of a sandbox on the node has only its own mounts and cgroup view', () => {
  expect(list(nodeNamespaces, nodeNamespaces)).toEqual([{ type: 'mount' }, { type: 'cgroup' }]);
  expect(list(nodeNamespaces, nodeNamespaces, true)).toEqual([{ type: 'mount' }]);
});

test('a container cannot leave its sandbox for the node', () => {
  expect(() => effectiveNamespaces(nodeNamespaces, podNamespaces)).toThrow(invalid);
  expect(() => effectiveNamespaces({ ...podNamespaces, pid: 'pod' }, podNamespaces)).toThrow(invalid);
  expect(() => effectiveNamespaces({ ...podNamespaces, userns }, podNamespaces)).toThrow(invalid);
});

test('a namespace that is gone is a failed precondition', () => {
  const effective = effectiveNamespaces(podNamespaces, podNamespaces);
  expect(() =>
    namespaceList({
      effective,
      paths: { ...paths, netnsPath: '' },
      targetPidnsPath: '',
      isPrivileged: false,
      host: { cgroupVersion: 1 },
    }),
  ).toThrow(expect.objectContaining({ kind: 'FailedPrecondition' }));
});

test.each([
  ['two ranges', { uids: [range, range], gids: [range] }],
  ['not from zero', { uids: [{ ...range, containerId: 1 }], gids: [{ ...range, containerId: 1 }] }],
  ['no range', { uids: [], gids: [] }],
  ['unlike ranges', { uids: [range], gids: [{ ...range, hostId: 1 }] }],
])('a user namespace with %s is refused', (_, bad) => {
  checkSandboxNamespaces({ ...podNamespaces, userns });
  expect(() => checkSandboxNamespaces({ ...podNamespaces, userns: bad })).toThrow(invalid);
});
