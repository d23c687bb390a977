import { describe, expect, test } from 'vitest';
import { parseSpecification } from './parse.ts';
import { requestedCdiDevices } from './requested-devices.ts';
import { readTextForm } from './text-form.ts';

const edits = { env: ['A=1'] };
const file = (more: object = {}) => ({
  cdiVersion: '0.3.0',
  kind: 'vendor.com/net',
  devices: [{ name: 'eth0', containerEdits: edits }],
  ...more,
});
const withEdits = (containerEdits: object, cdiVersion = '1.1.0') =>
  file({ cdiVersion, devices: [{ name: 'eth0', containerEdits }] });

describe('a file is refused', () => {
  test.each<[string, unknown, string | RegExp]>([
    ['that is no object', [], 'the file is not an object'],
    ['of an unknown version', file({ cdiVersion: '0.2.0' }), /^cdiVersion 0.2.0 is none of/],
    ['with a field that nobody knows', file({ cdiDevices: [] }), 'unknown field "cdiDevices"'],
    ['with a kind that is none', file({ kind: 'vendor.com/net/x' }), 'is not vendor/class'],
    ['with a class that starts with a digit', file({ kind: 'vendor.com/0net' }), 'is not vendor/class'],
    ['without devices', file({ devices: [] }), 'it defines no devices'],
    ['with one device twice', file({ devices: [...file().devices, ...file().devices] }), 'defined twice'],
    ['with a device that changes nothing', withEdits({}), 'device eth0 has no containerEdits'],
    ['with a bad variable', withEdits({ env: ['=x'] }), 'containerEdits.env holds "=x"'],
    ['with a relative device', withEdits({ deviceNodes: [{ path: 'dev/x' }] }), 'is not an absolute path'],
    ['with a bad type', withEdits({ deviceNodes: [{ path: '/dev/x', type: 'd' }] }), 'none of b, c, u, p'],
    ['with bad permissions', withEdits({ deviceNodes: [{ path: '/d', permissions: 'x' }] }), 'permissions'],
    [
      'with an unknown hook',
      withEdits({ hooks: [{ hookName: 'onStart', path: '/x' }] }),
      'not a hook of OCI',
    ],
    ['with half a mount', withEdits({ mounts: [{ hostPath: '/x' }] }), 'mounts[0].containerPath is missing'],
  ])('%s', (_name, data, expected) => {
    expect(() => parseSpecification(data)).toThrow(expected);
  });

  test.each<[string, object]>([
    ['0.4.0', withEdits({ mounts: [{ hostPath: '/x', containerPath: '/x', type: 'bind' }] }, '0.3.0')],
    ['0.5.0', withEdits({ deviceNodes: [{ path: '/dev/x', hostPath: '/dev/y' }] }, '0.4.0')],
    ['0.5.0', file({ devices: [{ name: '0', containerEdits: edits }] })],
    ['0.6.0', file({ annotations: { a: 'b' } })],
    ['0.6.0', file({ kind: 'vendor.com/net.x' })],
    ['0.7.0', withEdits({ additionalGids: [7] }, '0.6.0')],
    ['0.7.0', withEdits({ intelRdt: { closID: 'x' } }, '0.6.0')],
    ['1.1.0', withEdits({ netDevices: [{ hostInterfaceName: 'a', name: 'b' }] }, '1.0.0')],
  ])('that uses what came with %s and declares less', (version, data) => {
    expect(() => parseSpecification(data)).toThrow(`needs cdiVersion ${version}, and the file declares`);
    expect(parseSpecification({ ...data, cdiVersion: version }).devices.size).toBe(1);
  });
});

test('YAML keeps names as they are written, reads octal modes, merges anchors', async () => {
  const text = `---
cdiVersion: 0.7.0
kind: vendor.com/gpu
containerEdits:
devices:
- name: 0
  containerEdits: &one
    deviceNodes: [{path: /dev/gpu0, fileMode: 0660, permissions: r}]
- name: 0:1
  containerEdits:
    <<: *one
    additionalGids: [0, 44]
- name: on
  containerEdits: {env: [ON=yes]}
`;
  const { kind, devices } = parseSpecification(await readTextForm(text, '.yaml'));
  expect([kind, [...devices.keys()]]).toEqual(['vendor.com/gpu', ['0', '0:1', 'on']]);
  expect(devices.get('0:1')).toMatchObject({
    deviceNodes: [{ path: '/dev/gpu0', fileMode: 0o660, access: 'r' }],
    additionalGids: [44],
  });
  await expect(readTextForm('a: 1\na: 2', '.yaml')).rejects.toThrow('unique');
});

test('names come from the field and the legacy annotations, each once', () => {
  const annotations = { 'cdi.k8s.io/plugin_0': 'vendor.com/net=b,vendor.com/net=a', other: 'x/y=z' };
  expect(requestedCdiDevices({ cdiDevices: ['vendor.com/net=a'], annotations })).toEqual([
    'vendor.com/net=a',
    'vendor.com/net=b',
  ]);
  for (const bad of ['net=a', 'vendor.com/net', 'vendor.com/net=a,', '/net=a', 'vendor.com/net=-a'])
    expect(() => requestedCdiDevices({ cdiDevices: [], annotations: { 'cdi.k8s.io/x': bad } })).toThrow(
      'annotation cdi.k8s.io/x',
    );
});
