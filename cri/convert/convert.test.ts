import { describe, expect, test } from 'vitest';
import { isRuntimeError } from '#base/errors.ts';
import { decode, encode } from '#proto/codec.ts';
import type { ContainerConfigInit, PodSandboxConfigInit } from '#proto/generated/cri.ts';
import { containerConfig, containerRecord, sandboxRecord } from '../testing/records.ts';
import { toContainerConfig } from './container-config.ts';
import { encodedContainer, encodedContainerStatus, toContainerStatus } from './container-status.ts';
import { encodedImage, toCredentials } from './image.ts';
import { fromMount } from './mount.ts';
import { fromResources, toResources } from './resources.ts';
import { toSandboxConfig } from './sandbox-config.ts';
import { encodedSandbox, toSandboxStatus } from './sandbox-status.ts';
import { signalName, signalNumber } from './signal.ts';

const metadata = { name: 'pod', uid: 'u-1', namespace: 'ns', attempt: 2 };

/** Through the wire, as a client's message comes. */
function sandbox(change: PodSandboxConfigInit) {
  return toSandboxConfig(decode('PodSandboxConfig', encode('PodSandboxConfig', { metadata, ...change })));
}

function container(change: ContainerConfigInit) {
  const base = { metadata: { name: 'main' }, image: { image: 'busybox' } };
  return toContainerConfig(decode('ContainerConfig', encode('ContainerConfig', { ...base, ...change })));
}

function problemOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isRuntimeError(error, 'InvalidArgument')) return error.message.replace('invalid request: ', '');
    throw error;
  }
  return 'accepted';
}

describe('PodSandboxConfig', () => {
  test('a full request keeps everything, labels and annotations byte for byte', () => {
    const labels = { 'io.kubernetes.pod.name': 'pod', empty: '', ['__proto__']: 'x', ключ: '\u{1F600} "\n' };
    const config = sandbox({
      hostname: 'pod-1',
      log_directory: '/var/log/pods/ns_pod_u-1',
      dns_config: {
        servers: ['10.96.0.10', 'fe80::1%eth0'],
        searches: ['ns.svc.cluster.local'],
        options: ['ndots:5'],
      },
      port_mappings: [
        { protocol: 1, container_port: 53, host_port: 5353, host_ip: '::1' },
        { container_port: 0 },
      ],
      labels,
      annotations: labels,
      linux: {
        cgroup_parent: '/kubepods/podu-1',
        sysctls: {
          'net.ipv4.ip_forward': '1',
          'kernel.shmmax': '68719476736',
          'net/ipv4/conf/eth0.100/forwarding': '0',
        },
        overhead: { cpu_shares: 10n },
        security_context: {
          namespace_options: {
            network: 0,
            pid: 1,
            ipc: 0,
            userns_options: {
              mode: 0,
              uids: [{ host_id: 65536, length: 65536 }],
              gids: [{ host_id: 65536, length: 65536 }],
            },
          },
          run_as_user: { value: 0n },
          supplemental_groups: [1n, 2n],
          seccomp: { profile_type: 0 },
        },
      },
    });
    expect({ ...config.labels }).toEqual({ ...labels });
    expect(Object.keys(config.labels)).toContain('__proto__');
    expect(config.metadata).toEqual(metadata);
    expect(config.security.namespaces).toEqual({
      network: 'pod',
      pid: 'container',
      ipc: 'pod',
      targetId: '',
      userns: {
        uids: [{ hostId: 65536, containerId: 0, length: 65536 }],
        gids: [{ hostId: 65536, containerId: 0, length: 65536 }],
      },
    });
    expect(config.security).toMatchObject({
      runAsUser: 0,
      runAsGroup: undefined,
      supplementalGroups: [1, 2],
    });
    expect(config.security.seccomp).toEqual({ type: 'runtimeDefault', localhostRef: '' });
    expect(config.security.apparmor).toBeUndefined();
    expect(config.portMappings[0]).toEqual({
      protocol: 'udp',
      containerPort: 53,
      hostPort: 5353,
      hostIp: '::1',
    });
    expect([config.overhead?.cpuShares, config.resources]).toEqual([10, undefined]);
    expect(JSON.parse(JSON.stringify(config))).toMatchObject({ hostname: 'pod-1' });
  });

  test('nothing at all in linux means namespaces shared by the pod; no dns_config is not an empty one', () => {
    const config = sandbox({});
    expect(config.security.namespaces).toMatchObject({
      network: 'pod',
      pid: 'pod',
      ipc: 'pod',
      userns: undefined,
    });
    expect([config.dns, sandbox({ dns_config: {} }).dns]).toEqual([
      undefined,
      { servers: [], searches: [], options: [] },
    ]);
  });

  test('the deprecated seccomp string counts only without the message', () => {
    const seccomp = (context: object) => sandbox({ linux: { security_context: context } }).security.seccomp;
    expect(seccomp({ seccomp_profile_path: 'docker/default' })).toEqual({
      type: 'runtimeDefault',
      localhostRef: '',
    });
    expect(seccomp({ seccomp_profile_path: 'localhost//etc/p.json' })).toEqual({
      type: 'localhost',
      localhostRef: '/etc/p.json',
    });
    expect(seccomp({ seccomp_profile_path: 'nonsense', seccomp: { profile_type: 1 } })).toEqual({
      type: 'unconfined',
      localhostRef: '',
    });
    expect(seccomp({})).toBeUndefined();
  });

  const security = (security_context: object): PodSandboxConfigInit => ({ linux: { security_context } });
  const userns = (userns_options: object): PodSandboxConfigInit =>
    security({ namespace_options: { userns_options } });
  const whole = [{ length: 65536 }];
  test.each<[string, PodSandboxConfigInit]>([
    ['config.metadata is missing', { metadata: undefined }],
    ['config.metadata.uid is empty', { metadata: { name: 'a', namespace: 'b' } }],
    ['config.metadata.name must not contain slashes', { metadata: { ...metadata, name: 'a/b' } }],
    [
      'config.metadata.namespace is longer than 253 bytes',
      { metadata: { ...metadata, namespace: 'ü'.repeat(127) } },
    ],
    ['config.metadata.name contains a NUL', { metadata: { ...metadata, name: 'a\0' } }],
    ['config.hostname is longer than 64 bytes', { hostname: 'h'.repeat(65) }],
    ['config.hostname is no host name', { hostname: 'a\nb' }],
    ['config.log_directory must be an absolute path', { log_directory: 'logs' }],
    ['config.log_directory must not contain ".."', { log_directory: '/var/log/../../etc' }],
    [
      'config.dns_config.searches[1] must be one word',
      { dns_config: { searches: ['ok', 'a\nnameserver 6.6.6.6'] } },
    ],
    ['config.port_mappings[0].container_port must be', { port_mappings: [{ host_port: 80 }] }],
    [
      'config.port_mappings[0].host_port must be',
      { port_mappings: [{ host_port: 70_000, container_port: 1 }] },
    ],
    [
      'config.port_mappings[0].protocol has the unknown value 9',
      { port_mappings: [{ protocol: 9, container_port: 1 }] },
    ],
    [
      'config.port_mappings[0].host_ip is no IP address',
      { port_mappings: [{ container_port: 1, host_ip: 'localhost' }] },
    ],
    ['config.annotations is larger than', { annotations: { a: 'x'.repeat(1_100_000) } }],
    ['config.linux.sysctls[a.b] must be one line', { linux: { sysctls: { 'a.b': '1\n2' } } }],
    ['config.linux.cgroup_parent must not contain ".."', { linux: { cgroup_parent: '/a/../..' } }],
    ['config.linux.security_context.run_as_group must not', security({ run_as_group: { value: 1n } })],
    ['config.linux.security_context.run_as_user must be', security({ run_as_user: { value: -1n } })],
    [
      'config.linux.security_context.supplemental_groups[1]',
      security({ supplemental_groups: [1n, 2n ** 40n] }),
    ],
    [
      'config.linux.security_context.seccomp.localhost_ref is empty',
      security({ seccomp: { profile_type: 2 } }),
    ],
    [
      'config.linux.security_context.seccomp.localhost_ref must be empty',
      security({ seccomp: { localhost_ref: '/x' } }),
    ],
    ['config.linux.security_context.seccomp.profile_type has', security({ seccomp: { profile_type: 7 } })],
    [
      'config.linux.security_context.seccomp_profile_path must be',
      security({ seccomp_profile_path: 'localhost/' }),
    ],
    [
      'config.linux.security_context.namespace_options.network must',
      security({ namespace_options: { network: 1 } }),
    ],
    [
      'config.linux.security_context.namespace_options.pid must',
      security({ namespace_options: { pid: 3, target_id: 'x' } }),
    ],
    ['config.linux.security_context.namespace_options.ipc has', security({ namespace_options: { ipc: 12 } })],
    [
      'config.linux.security_context.namespace_options.userns_options.mode',
      userns({ mode: 1, uids: whole, gids: whole }),
    ],
    [
      'config.linux.security_context.namespace_options.userns_options.uids must have',
      userns({ uids: [...whole, ...whole], gids: whole }),
    ],
    [
      'config.linux.security_context.namespace_options.userns_options.gids must have',
      userns({ uids: whole }),
    ],
    [
      'config.linux.security_context.namespace_options.userns_options.uids[0].container_id',
      userns({ uids: [{ container_id: 1, length: 2 }], gids: whole }),
    ],
    [
      'config.linux.security_context.namespace_options.userns_options.uids[0].host_id',
      userns({ uids: [{ host_id: 4294967295, length: 2 }], gids: whole }),
    ],
    ['config.linux.resources.cpu_quota must be', { linux: { resources: { cpu_quota: 2n ** 60n } } }],
  ])('%s', (problem, change) => {
    expect(problemOf(() => sandbox(change))).toContain(problem);
  });
});

describe('ContainerConfig', () => {
  test('a full request keeps everything', () => {
    const config = container({
      command: ['sh', ''],
      args: ['-c', 'echo ü'],
      working_dir: '/srv',
      envs: [{ key: 'A', value: Buffer.from('ü=\n') }, { key: 'EMPTY' }],
      mounts: [
        { container_path: '/data', host_path: '/srv/data', readonly: true, recursive_read_only: true },
        { container_path: '/image', image: { image: 'sha256:1' }, image_sub_path: 'a/b', propagation: 0 },
      ],
      devices: [
        { host_path: '/dev/fuse' },
        { host_path: '/dev/null', container_path: '/dev/x', permissions: 'rw' },
      ],
      log_path: 'main/0.log',
      stop_signal: 38,
      CDI_devices: [{ name: 'vendor.com/net=eth0' }],
      linux: {
        resources: {
          memory_limit_in_bytes: 1n << 40n,
          oom_score_adj: -997n,
          unified: { 'memory.high': '1' },
        },
        security_context: {
          run_as_username: 'www',
          run_as_group: { value: 5n },
          supplemental_groups_policy: 1,
          capabilities: { add_capabilities: ['NET_ADMIN', 'CAP_SYS_TIME', 'ALL'] },
          apparmor_profile: 'localhost/my-profile',
          masked_paths: ['/proc/kcore'],
        },
      },
    });
    expect(config.envs).toEqual([
      { key: 'A', value: 'ü=\n' },
      { key: 'EMPTY', value: '' },
    ]);
    expect(config.mounts[1]).toMatchObject({
      hostPath: '',
      image: { image: 'sha256:1' },
      imageSubPath: 'a/b',
    });
    expect(config.devices).toEqual([
      { hostPath: '/dev/fuse', containerPath: '/dev/fuse', permissions: 'rwm' },
      { hostPath: '/dev/null', containerPath: '/dev/x', permissions: 'rw' },
    ]);
    expect(config).toMatchObject({
      stopSignal: 'SIGRTMIN+3',
      logPath: 'main/0.log',
      cdiDevices: ['vendor.com/net=eth0'],
    });
    expect(config.resources).toMatchObject({
      memoryLimitBytes: 2 ** 40,
      oomScoreAdj: -997,
      unified: { 'memory.high': '1' },
    });
    expect(config.security).toMatchObject({
      runAsUsername: 'www',
      runAsGroup: 5,
      supplementalGroupsPolicy: 'strict',
      apparmor: { type: 'localhost', localhostRef: 'my-profile' },
    });
  });

  const security = (security_context: object): ContainerConfigInit => ({ linux: { security_context } });
  const resources = (message: object): ContainerConfigInit => ({ linux: { resources: message } });
  test.each<[string, ContainerConfigInit]>([
    ['config.metadata is missing', { metadata: undefined }],
    ['config.metadata.name is empty', { metadata: {} }],
    ['config.image is missing', { image: undefined }],
    ['config.image.image is empty', { image: {} }],
    ['config.log_path must not contain ".."', { log_path: '../../etc/passwd' }],
    ['config.log_path must be a relative path', { log_path: '/etc/x' }],
    ['config.command[0] is longer than', { command: ['x'.repeat(131_072)] }],
    ['config.args[0] contains a NUL', { args: ['a\0b'] }],
    ['config.envs[0].key is empty', { envs: [{ value: Buffer.from('x') }] }],
    ['config.envs[0].key must not contain "="', { envs: [{ key: 'A=B' }] }],
    ['config.envs[0].value of A is not UTF-8', { envs: [{ key: 'A', value: Buffer.from([0xff]) }] }],
    ['config.working_dir must be an absolute path', { working_dir: 'srv' }],
    ['config.mounts[0].host_path is empty', { mounts: [{ container_path: '/a' }] }],
    ['config.mounts[0].container_path is empty', { mounts: [{ host_path: '/a' }] }],
    [
      'config.mounts[0].container_path must be an absolute',
      { mounts: [{ host_path: '/a', container_path: 'a' }] },
    ],
    [
      'config.mounts[0].host_path must be empty',
      { mounts: [{ container_path: '/a', host_path: '/b', image: { image: 'x' } }] },
    ],
    [
      'config.mounts[0].image_sub_path must not contain ".."',
      { mounts: [{ container_path: '/a', image: { image: 'x' }, image_sub_path: 'a/../../b' }] },
    ],
    [
      'config.mounts[0].image_sub_path must be empty',
      { mounts: [{ container_path: '/a', host_path: '/a', image_sub_path: 'a' }] },
    ],
    [
      'config.mounts[0].recursive_read_only requires readonly',
      { mounts: [{ container_path: '/a', host_path: '/a', recursive_read_only: true }] },
    ],
    [
      'config.mounts[0].recursive_read_only requires the propagation',
      {
        mounts: [
          {
            container_path: '/a',
            host_path: '/a',
            readonly: true,
            recursive_read_only: true,
            propagation: 1,
          },
        ],
      },
    ],
    [
      'config.mounts[0].propagation has the unknown value 5',
      { mounts: [{ container_path: '/a', host_path: '/a', propagation: 5 }] },
    ],
    ['config.devices[0].permissions must be', { devices: [{ host_path: '/dev/x', permissions: 'rwx' }] }],
    ['config.devices[0].host_path is empty', { devices: [{}] }],
    ['config.stop_signal has the unknown value 99', { stop_signal: 99 }],
    ['config.CDI_devices[0].name must have the form', { CDI_devices: [{ name: 'eth0' }] }],
    ['config.linux.resources.oom_score_adj must be', resources({ oom_score_adj: 1001n })],
    ['config.linux.resources.cpu_period must be', resources({ cpu_period: 10n })],
    ['config.linux.resources.memory_limit_in_bytes must be', resources({ memory_limit_in_bytes: 2n ** 62n })],
    ['config.linux.resources.cpuset_cpus must be', resources({ cpuset_cpus: '0;1' })],
    ['config.linux.resources.unified has a key', resources({ unified: { '../memory.max': '1' } })],
    [
      'config.linux.resources.hugepage_limits[0].page_size',
      resources({ hugepage_limits: [{ page_size: 'big' }] }),
    ],
    ['config.linux.security_context.run_as_group must not', security({ run_as_group: { value: 1n } })],
    [
      'config.linux.security_context.capabilities.drop_capabilities[0]',
      security({ capabilities: { drop_capabilities: ['a b'] } }),
    ],
    [
      'config.linux.security_context.namespace_options.target_id',
      security({ namespace_options: { pid: 3 } }),
    ],
    [
      'config.linux.security_context.supplemental_groups_policy has',
      security({ supplemental_groups_policy: 3 }),
    ],
    ['config.linux.security_context.readonly_paths[0] must be', security({ readonly_paths: ['proc'] })],
  ])('%s', (problem, change) => {
    expect(problemOf(() => container(change))).toContain(problem);
  });

  test('no message says the value of an environment variable', () => {
    expect(
      problemOf(() => container({ envs: [{ key: 'A', value: Buffer.from('s3cret\0') }] })),
    ).not.toContain('s3cret');
  });
});

describe('replies', () => {
  test('mounts and resources of a status are those of the request', () => {
    const mounts = [
      {
        container_path: '/log',
        host_path: '/var/log/x',
        readonly: false,
        selinux_relabel: true,
        propagation: 2,
        uidMappings: [{ host_id: 1, container_id: 0, length: 5 }],
      },
      {
        container_path: '/img',
        image: { image: 'sha256:1', user_specified_image: 'x' },
        image_sub_path: 'a',
        readonly: true,
      },
    ];
    const config = container({ mounts });
    const bytes = encode('ContainerConfig', { mounts: config.mounts.map(fromMount) });
    expect(bytes).toEqual(encode('ContainerConfig', { mounts }));
    const resources = {
      cpu_period: 100_000n,
      cpu_quota: -1n,
      memory_swap_limit_in_bytes: -1n,
      hugepage_limits: [{ page_size: '2MB', limit: 4n }],
      cpuset_cpus: '0-1',
    };
    const decoded = decode('LinuxContainerResources', encode('LinuxContainerResources', resources));
    expect(
      decode(
        'LinuxContainerResources',
        encode('LinuxContainerResources', fromResources(toResources(decoded, 'r'))),
      ),
    ).toEqual(decoded);
  });

  test('an exited container tells how; an unset resources message stays absent', () => {
    const status = toContainerStatus(
      containerRecord('c', {
        state: 'exited',
        exitCode: 137,
        reason: 'OOMKilled',
        finishedAtNs: 9n,
        config: containerConfig(),
      }),
    );
    expect(status).toMatchObject({ state: 2, exit_code: 137, reason: 'OOMKilled', finished_at: 9n });
    expect(status.resources).toBeUndefined();
  });

  test('a sandbox that is not ready shows no address; unknown and initializing ones are not ready', () => {
    for (const state of ['notReady', 'unknown', 'initializing'] as const) {
      expect(toSandboxStatus(sandboxRecord('a', { state }))).toMatchObject({ state: 1, network: { ip: '' } });
    }
  });

  test('bytes are kept per record object', () => {
    const pod = sandboxRecord('a');
    const box = containerRecord('c');
    expect(encodedSandbox(pod)).toBe(encodedSandbox(pod));
    expect(encodedContainer(box)).toBe(encodedContainer(box));
    expect(encodedContainerStatus(box)).not.toBe(encodedContainerStatus({ ...box }));
  });

  test('every signal keeps its number through its name', () => {
    for (let number = 1; number <= 65; number += 1)
      expect(signalNumber(signalName(number, 'f'))).toBe(number);
    expect([signalName(0, 'f'), signalNumber('SIGNONE'), signalName(51, 'f')]).toEqual([
      '',
      0,
      'SIGRTMAX-14',
    ]);
  });

  test('the user of an image is a uid or a name', () => {
    const image = (user: string) =>
      decode(
        'Image',
        encodedImage({
          id: 'sha256:1' as never,
          repoTags: [],
          repoDigests: [],
          sizeBytes: 1,
          isPinned: false,
          rawConfig: '{}',
          chainId: undefined,
          config: {
            user,
            env: [],
            entrypoint: [],
            command: [],
            workingDir: '',
            volumes: [],
            stopSignal: '',
            labels: {},
          },
        }),
      );
    expect([image('1000:50').uid?.value, image('1000').username]).toEqual([1000n, '']);
    expect([image('www:1').uid, image('www:1').username]).toEqual([undefined, 'www']);
    expect([image('').uid, image('').username]).toEqual([undefined, '']);
  });

  test('an auth message without any value is no credentials', () => {
    expect(toCredentials(decode('AuthConfig', Buffer.alloc(0)))).toBeUndefined();
    expect(toCredentials(decode('AuthConfig', encode('AuthConfig', { registry_token: 't' })))).toMatchObject({
      registryToken: 't',
    });
  });
});
