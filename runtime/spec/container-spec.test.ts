import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildContainerSpec } from './container-spec.ts';
import type { ResolvedMount } from './inputs.ts';
import { noResources } from './resources.ts';
import { buildSandboxInitSpec } from './sandbox-init-spec.ts';
import {
  nodeNamespaces,
  podNamespaces,
  sampleHostFacts,
  sampleInput,
  sampleSandboxConfig,
} from './testing/sample-input.ts';

const testdata = join(import.meta.dirname, 'testdata');

const plainMount: ResolvedMount = {
  containerPath: '/data',
  hostPath: '/srv/data',
  isReadonly: false,
  isRecursiveReadonly: false,
  propagation: 'private',
  uidMappings: [],
  gidMappings: [],
};

const podUserns = {
  uids: [{ hostId: 65536, containerId: 0, length: 65536 }],
  gids: [{ hostId: 65536, containerId: 0, length: 65536 }],
};

const runtimeDefault = { type: 'runtimeDefault', localhostRef: '' } as const;

const specs = {
  plain: () => buildContainerSpec(sampleInput()),
  privileged: () =>
    buildContainerSpec(
      sampleInput({
        security: { isPrivileged: true, seccomp: runtimeDefault },
        sandboxSecurity: { isPrivileged: true },
        input: {
          devices: [{ device: { path: '/dev/fuse', type: 'c', major: 10, minor: 229 }, access: 'rwm' }],
        },
      }),
    ),
  'host-namespaces': () =>
    buildContainerSpec(
      sampleInput({
        security: { namespaces: nodeNamespaces },
        sandboxSecurity: { namespaces: nodeNamespaces },
      }),
    ),
  'user-namespace-on-host-network': () => {
    const namespaces = { ...podNamespaces, network: 'node', userns: podUserns } as const;
    const input = sampleInput({ security: { namespaces }, sandboxSecurity: { namespaces } });
    return buildContainerSpec({
      ...input,
      paths: { ...input.paths, usernsPath: '/run/berth/ns/5a4d/user' },
      mounts: [{ ...plainMount, ...{ uidMappings: podUserns.uids, gidMappings: podUserns.gids } }],
    });
  },
  hardened: () =>
    buildContainerSpec(
      sampleInput({
        config: {
          command: ['/bin/app'],
          args: ['-v'],
          hasTty: true,
          envs: [{ key: 'LANG', value: 'en' }],
          resources: {
            ...noResources,
            cpuShares: 512,
            cpuQuota: 50000,
            cpuPeriod: 100000,
            memoryLimitBytes: 67108864,
            oomScoreAdj: 900,
            unified: { 'memory.high': '60000000' },
          },
        },
        security: {
          readonlyRootfs: true,
          noNewPrivs: true,
          seccomp: runtimeDefault,
          capabilities: { add: ['NET_BIND_SERVICE'], drop: ['ALL'], addAmbient: [] },
        },
        host: { cgroupDriver: 'systemd' },
        sandbox: { cgroupParent: '/kubepods.slice/kubepods-pod7d1f.slice' },
        input: {
          defaultPidsLimit: 100,
          user: { uid: 1000, gid: 1000, additionalGids: [1000, 2000], home: '/' },
        },
      }),
    ),
  'cgroup-v1-with-mounts': () =>
    buildContainerSpec(
      sampleInput({
        host: { cgroupVersion: 1 },
        input: {
          mounts: [
            { ...plainMount, containerPath: '/data/deep', propagation: 'bidirectional' },
            { ...plainMount, isReadonly: true, isRecursiveReadonly: true },
            { ...plainMount, containerPath: '/etc/hosts', hostPath: '/var/lib/kubelet/hosts' },
          ],
        },
      }),
    ),
  'sandbox-init': () =>
    buildSandboxInitSpec({
      sandboxId: '5a4d',
      config: sampleSandboxConfig({ sandboxSecurity: { namespaces: { ...podNamespaces, pid: 'pod' } } }),
      host: sampleHostFacts(),
      paths: sampleInput().paths,
      rootfsPath: '/run/berth/sandboxes/5a4d/rootfs',
      initPath: '/usr/bin/catatonit',
      localhostSeccompProfile: undefined,
    }),
};

describe('whole specs are as reviewed (GOLDEN=1 rewrites testdata)', () => {
  test.each(Object.entries(specs))('%s', (name, build) => {
    const path = join(testdata, `${name}.json`);
    const spec = build();
    if (process.env.GOLDEN === '1') writeFileSync(path, `${JSON.stringify(spec, null, 2)}\n`);
    expect(spec).toStrictEqual(JSON.parse(readFileSync(path, 'utf8')));
  });
});

test('a privileged container needs a privileged sandbox', () => {
  expect(() => buildContainerSpec(sampleInput({ security: { isPrivileged: true } }))).toThrow(
    expect.objectContaining({ kind: 'InvalidArgument' }),
  );
});

test('the seccomp profile widens with the capabilities that are really granted', () => {
  const withAdmin = (boundingCapabilities: readonly string[]) => {
    const capabilities = { add: ['SYS_ADMIN'], drop: [], addAmbient: [] };
    const spec = buildContainerSpec(
      sampleInput({ security: { seccomp: runtimeDefault, capabilities }, host: { boundingCapabilities } }),
    );
    return spec.linux.seccomp?.syscalls?.some((rule) => rule.names.includes('mount'));
  };
  expect(withAdmin(['CAP_SYS_ADMIN'])).toBe(true);
  expect(withAdmin(['CAP_CHOWN'])).toBe(false);
});
