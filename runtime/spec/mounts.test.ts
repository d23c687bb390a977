import { expect, test } from 'vitest';
import type { ResolvedMount } from './inputs.ts';
import { containerMounts } from './mounts.ts';
import { effectiveNamespaces } from './namespaces.ts';
import { sampleInput } from './testing/sample-input.ts';

function mount(containerPath: string, more: Partial<ResolvedMount> = {}): ResolvedMount {
  return {
    containerPath,
    hostPath: `/host${containerPath}`,
    isReadonly: false,
    isRecursiveReadonly: false,
    propagation: 'private',
    uidMappings: [],
    gidMappings: [],
    ...more,
  };
}

function build(mounts: readonly ResolvedMount[], host: { hasRecursiveReadonly?: boolean } = {}) {
  const input = sampleInput({ host });
  const { namespaces } = input.config.security;
  return containerMounts({ ...input, mounts, effective: effectiveNamespaces(namespaces, namespaces) });
}

test('a request of the same path replaces the base mount', () => {
  const sources = build([mount('//etc/./hosts/')])
    .filter(({ destination }) => destination === '/etc/hosts')
    .map(({ source }) => source);
  expect(sources).toEqual(['/host//etc/./hosts/']);
});

test('a request of /dev or /sys drops what would be mounted below', () => {
  const destinations = build([mount('/dev'), mount('/sys'), mount('/dev/mine')]).map((m) => m.destination);
  expect(destinations.filter((path) => /^\/(dev|sys)/.test(path))).toEqual(['/dev', '/sys', '/dev/mine']);
});

test('parents come first, and equals in the order of the request', () => {
  const destinations = build([mount('/b/c/d'), mount('/z'), mount('/b/a'), mount('/b')]).map(
    (m) => m.destination,
  );
  const ours = destinations.filter((path) => /^\/[bz]/.test(path));
  expect(ours).toEqual(['/z', '/b', '/b/a', '/b/c/d']);
});

test.each([
  ['no container path', mount(''), {}, /no container path/],
  ['the root', mount('/..'), {}, /root file system/],
  ['rro without ro', mount('/a', { isRecursiveReadonly: true }), {}, /must be read-only/],
  [
    'rro with propagation',
    mount('/a', { isReadonly: true, isRecursiveReadonly: true, propagation: 'hostToContainer' }),
    {},
    /private propagation/,
  ],
  [
    'rro without support',
    mount('/a', { isReadonly: true, isRecursiveReadonly: true }),
    { hasRecursiveReadonly: false },
    /^RROUnsupported/,
  ],
])('%s is refused', (_, requested, host, message) => {
  expect(() => build([requested], host)).toThrow(
    expect.objectContaining({ kind: 'InvalidArgument', message: expect.stringMatching(message) }),
  );
});
