/**
 * Requests that are wrong in one place each, with the status they must get. `OK` where the interface wants an unknown
 * thing to be no error (CRI: stopping and removing are idempotent, a filter that fits nothing gives an empty list).
 */
import { status } from '@grpc/grpc-js';
import type {
  ContainerConfigInit,
  LinuxContainerSecurityContextInit,
  LinuxSandboxSecurityContextInit,
  MessageInits,
  MountInit,
  PodSandboxConfigInit,
} from '#proto/generated/cri.ts';
import type { methods, RpcName } from '../method.ts';

type Init<K extends RpcName> = MessageInits[(typeof methods)[K]['requestType']];

export interface BadRequest {
  readonly rpc: RpcName;
  readonly what: string;
  readonly request: Init<RpcName>;
  /** The acceptable status. */
  readonly code: status;
}

/** What there is to be wrong about. */
export interface Scene {
  readonly image: string;
  /** A ready sandbox without privileges or a shared PID namespace. */
  readonly sandboxId: string;
  /** One running and one created container in it. */
  readonly runningId: string;
  readonly createdId: string;
}

const { OK, INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION } = status;

export const unknownId = 'f'.repeat(64);
/** Stands in a request where bytes that are not UTF-8 shall be. */
export const placeholder = 'ill-formed-text';

const longText = 'x'.repeat(5000);
const hugeText = 'x'.repeat(2 * 1024 * 1024);
const metadata = { name: 'bad', uid: 'bad', namespace: 'bad', attempt: 0 };

function each<K extends RpcName>(
  rpc: K,
  cases: Readonly<Record<string, readonly [Init<K>, status]>>,
): BadRequest[] {
  return Object.entries(cases).map(([what, [request, code]]) => ({ rpc, what, request, code }));
}

/** The ways in which an id can be wrong; an unknown one gets `unknown`. */
function badIds<K extends RpcName>(rpc: K, unknown: status, make: (id: string) => Init<K>): BadRequest[] {
  return each(rpc, {
    'an empty id': [make(''), INVALID_ARGUMENT],
    'an unknown id': [make(unknownId), unknown],
    'an id with a slash': [make('../../etc'), INVALID_ARGUMENT],
    'an id with a NUL character': [make('a\0'), INVALID_ARGUMENT],
    'an id of five thousand characters': [make(longText), INVALID_ARGUMENT],
  });
}

function badSandboxes(): BadRequest[] {
  const make = (change: PodSandboxConfigInit): readonly [Init<'RunPodSandbox'>, status] => [
    { config: { metadata, ...change } },
    INVALID_ARGUMENT,
  ];
  const secure = (security_context: LinuxSandboxSecurityContextInit) => make({ linux: { security_context } });
  const range = { host_id: 100_000, container_id: 0, length: 65_536 };
  return each('RunPodSandbox', {
    'no config': [{}, INVALID_ARGUMENT],
    'no metadata': [{ config: {} }, INVALID_ARGUMENT],
    'an empty name': make({ metadata: { ...metadata, name: '' } }),
    'an empty uid': make({ metadata: { ...metadata, uid: '' } }),
    'an empty namespace': make({ metadata: { ...metadata, namespace: '' } }),
    'a name with a slash': make({ metadata: { ...metadata, name: '../up' } }),
    'a name of five thousand characters': make({ metadata: { ...metadata, name: longText } }),
    'a host name with a blank': make({ hostname: 'two words' }),
    'a host name of 65 characters': make({ hostname: 'h'.repeat(65) }),
    'a relative log folder': make({ log_directory: 'logs' }),
    'a log folder with ..': make({ log_directory: '/var/log/../../etc' }),
    'a log folder of five thousand characters': make({ log_directory: `/${longText}` }),
    'a DNS server of two lines': make({ dns_config: { servers: ['1.1.1.1\nsearch evil'] } }),
    'a port past 65535': make({ port_mappings: [{ container_port: 80, host_port: 70_000 }] }),
    'a negative port': make({ port_mappings: [{ container_port: -1, host_port: 80 }] }),
    'an unknown protocol': make({ port_mappings: [{ protocol: 9, container_port: 80, host_port: 80 }] }),
    'a host address that is none': make({
      port_mappings: [{ container_port: 80, host_port: 80, host_ip: '300.1.1.1' }],
    }),
    'labels of two mebibytes': make({ labels: { a: hugeText } }),
    'annotations of two mebibytes': make({ annotations: { a: hugeText } }),
    'a cgroup parent with ..': make({ linux: { cgroup_parent: '/../../escape' } }),
    'a sysctl of the whole node': make({ linux: { sysctls: { 'kernel.panic': '1' } } }),
    'a sysctl that climbs': make({ linux: { sysctls: { 'net.ipv4/../../kernel/panic': '1' } } }),
    'a CPU period of an hour': make({ linux: { resources: { cpu_period: 3_600_000_000n } } }),
    'a shared network that is none': secure({ namespace_options: { network: 1 } }),
    'an unknown namespace mode': secure({ namespace_options: { pid: 7 } }),
    'a target without a container': secure({ namespace_options: { pid: 3, target_id: 'x' } }),
    'a user namespace without ranges': secure({ namespace_options: { userns_options: { mode: 0 } } }),
    'a user namespace of two ranges': secure({
      namespace_options: { userns_options: { mode: 0, uids: [range, range], gids: [range] } },
    }),
    'a user namespace past the last id': secure({
      namespace_options: {
        userns_options: { mode: 0, uids: [{ ...range, host_id: 4_294_967_000 }], gids: [range] },
      },
    }),
    'a group without a user': secure({ run_as_group: { value: 5n } }),
    'a negative user': secure({ run_as_user: { value: -1n } }),
    'a user past 2^31': secure({ run_as_user: { value: 2n ** 40n } }),
    'an unknown kind of seccomp profile': secure({ seccomp: { profile_type: 9 } }),
    'a seccomp profile without a file': secure({ seccomp: { profile_type: 2 } }),
    'an SELinux level of two words': secure({ selinux_options: { level: 's0 s1' } }),
    'an unknown handler': [{ config: { metadata }, runtime_handler: 'absent' }, NOT_FOUND],
    'a handler with a slash': [{ config: { metadata }, runtime_handler: '/bin/sh' }, INVALID_ARGUMENT],
  });
}

function badContainers({ image, sandboxId }: Scene): BadRequest[] {
  const base = { metadata: { name: 'bad' }, image: { image } };
  const make = (
    change: ContainerConfigInit,
    code = INVALID_ARGUMENT,
  ): readonly [Init<'CreateContainer'>, status] => [
    { pod_sandbox_id: sandboxId, config: { ...base, ...change } },
    code,
  ];
  const secure = (security_context: LinuxContainerSecurityContextInit, code = INVALID_ARGUMENT) =>
    make({ linux: { security_context } }, code);
  const mount = (change: MountInit) =>
    make({ mounts: [{ host_path: '/tmp', container_path: '/mnt', ...change }] });
  return [
    ...badIds('CreateContainer', NOT_FOUND, (pod_sandbox_id) => ({ pod_sandbox_id, config: base })),
    ...each('CreateContainer', {
      'no config': [{ pod_sandbox_id: sandboxId }, INVALID_ARGUMENT],
      'no metadata': [{ pod_sandbox_id: sandboxId, config: { image: { image } } }, INVALID_ARGUMENT],
      'no image': [{ pod_sandbox_id: sandboxId, config: { metadata: { name: 'bad' } } }, INVALID_ARGUMENT],
      'an empty name': make({ metadata: { name: '' } }),
      'an image that is not here': make({ image: { image: 'registry.k8s.io/absent:1' } }, NOT_FOUND),
      'an image that is no reference': make({ image: { image: 'Not A Reference' } }),
      'a NUL character in the command': make({ command: ['sh', '-c', 'a\0b'] }),
      'an argument longer than the kernel takes': make({ args: ['x'.repeat(200_000)] }),
      'a program that is no path of anything': make({ command: [''] }),
      'a relative working folder': make({ working_dir: 'here' }),
      'a variable without a name': make({ envs: [{ key: '', value: Buffer.from('x') }] }),
      'a variable whose name has an equals sign': make({ envs: [{ key: 'A=B', value: Buffer.from('x') }] }),
      'a variable that is not UTF-8': make({ envs: [{ key: 'A', value: Buffer.from([0xff]) }] }),
      'a log path that climbs': make({ log_path: '../../etc/x' }),
      'an absolute log path': make({ log_path: '/etc/x' }),
      'a mount without a target': mount({ container_path: '' }),
      'a mount without a source': mount({ host_path: '' }),
      'a mount of a relative path': mount({ host_path: 'etc' }),
      'a mount at a relative path': mount({ container_path: 'etc' }),
      'a source of five thousand characters': mount({ host_path: `/${longText}` }),
      'an unknown propagation': mount({ propagation: 9 }),
      'recursive read-only that is writable': mount({ recursive_read_only: true }),
      'an image and a path at once': mount({ image: { image } }),
      'a folder of an image without image': mount({ image_sub_path: 'etc' }),
      'a folder that climbs out of an image': mount({
        host_path: '',
        image: { image },
        image_sub_path: '../x',
      }),
      'a mount option that is none': mount({ mount_options: ['quick'] }),
      'a mount option that takes a ban away': mount({ mount_options: ['exec'] }),
      'a mount option that is another field': mount({ readonly: true, mount_options: ['rw'] }),
      'two mount options in one': mount({ mount_options: ['noexec,suid'] }),
      'a mount option twice': mount({ mount_options: ['noexec', 'noexec'] }),
      'mount options that contradict': mount({ mount_options: ['noatime', 'relatime'] }),
      'a mount option of an image that is none': mount({
        host_path: '',
        image: { image },
        mount_options: ['bind'],
      }),
      'a checkpoint archive that is not there': make({ image: { image: '/no/such/point.tar' } }, NOT_FOUND),
      'a file that is no checkpoint archive': make({ image: { image: '/etc/passwd' } }, status.UNIMPLEMENTED),
      'ten thousand mounts and one': make({
        mounts: Array.from({ length: 10_001 }, (_, index) => ({
          host_path: '/tmp',
          container_path: `/m${index}`,
        })),
      }),
      'a device without a path': make({ devices: [{ container_path: '/dev/x' }] }),
      'a device with unknown permissions': make({
        devices: [{ host_path: '/dev/null', permissions: 'rwx' }],
      }),
      'a file that is no device': make({ devices: [{ host_path: '/etc/passwd' }] }),
      'a CDI device without a vendor': make({ CDI_devices: [{ name: 'gpu' }] }),
      'a stop signal that is none': make({ stop_signal: 999 }),
      'labels of two mebibytes': make({ labels: { a: hugeText } }),
      'a CPU period of 5 microseconds': make({ linux: { resources: { cpu_period: 5n } } }),
      'a CPU list of words': make({ linux: { resources: { cpuset_cpus: 'all' } } }),
      'negative shares': make({ linux: { resources: { cpu_shares: -1n } } }),
      'memory past what is exact': make({ linux: { resources: { memory_limit_in_bytes: 2n ** 60n } } }),
      'an OOM score of 5000': make({ linux: { resources: { oom_score_adj: 5000n } } }),
      'huge pages of no size': make({
        linux: { resources: { hugepage_limits: [{ page_size: 'big', limit: 1n }] } },
      }),
      'a cgroup file that climbs': make({ linux: { resources: { unified: { '../x': '1' } } } }),
      'a negative user': secure({ run_as_user: { value: -1n } }),
      'a group without a user': secure({ run_as_group: { value: 5n } }),
      'a user that the image lacks': secure({ run_as_username: 'nobody-here' }),
      'a negative group': secure({ supplemental_groups: [-5n] }),
      'an unknown policy for groups': secure({ supplemental_groups_policy: 9 }),
      'a capability that is none': secure({ capabilities: { add_capabilities: ['RULE_THE_WORLD'] } }),
      'privileges that the sandbox lacks': secure({ privileged: true }),
      'the network of the node': secure({ namespace_options: { network: 2, pid: 1 } }),
      'the PID namespace of no container': secure({ namespace_options: { pid: 3 } }),
      'the PID namespace of an unknown container': secure(
        { namespace_options: { pid: 3, target_id: unknownId } },
        NOT_FOUND,
      ),
      'an unknown namespace mode': secure({ namespace_options: { ipc: 9, pid: 1 } }),
      'a seccomp profile that is not there': secure({
        seccomp: { profile_type: 2, localhost_ref: '/no/such/profile.json' },
      }),
      'a seccomp file with the default profile': secure({
        seccomp: { profile_type: 0, localhost_ref: '/x' },
      }),
      'an unknown kind of AppArmor profile': secure({ apparmor: { profile_type: 9 } }),
      'a relative masked path': secure({ masked_paths: ['proc/x'] }),
    }),
  ];
}

function badImages(): BadRequest[] {
  const bad = (rpc: 'ImageStatus' | 'PullImage' | 'RemoveImage'): BadRequest[] =>
    each(rpc, {
      'no image': [{}, INVALID_ARGUMENT],
      'an empty reference': [{ image: { image: '' } }, INVALID_ARGUMENT],
      'a reference with blanks': [{ image: { image: 'Not A Reference' } }, INVALID_ARGUMENT],
      'a reference with a NUL character': [{ image: { image: 'a\0b' } }, INVALID_ARGUMENT],
      'a digest that is none': [{ image: { image: 'registry.k8s.io/a@sha256:12' } }, INVALID_ARGUMENT],
      'a reference of five thousand characters': [{ image: { image: longText } }, INVALID_ARGUMENT],
    });
  return [
    ...bad('ImageStatus'),
    ...bad('PullImage'),
    ...bad('RemoveImage'),
    ...each('ImageStatus', { 'an unknown image': [{ image: { image: 'registry.k8s.io/absent:1' } }, OK] }),
    ...each('RemoveImage', { 'an unknown image': [{ image: { image: 'registry.k8s.io/absent:1' } }, OK] }),
    ...each('PullImage', {
      'an unknown image': [{ image: { image: 'registry.k8s.io/absent:1' } }, status.UNKNOWN],
      'credentials that are no base64': [
        { image: { image: 'registry.k8s.io/absent:1' }, auth: { auth: '%%%' } },
        INVALID_ARGUMENT,
      ],
      'a password of two mebibytes': [
        { image: { image: 'registry.k8s.io/absent:1' }, auth: { username: 'a', password: hugeText } },
        INVALID_ARGUMENT,
      ],
    }),
    ...(['ListImages', 'StreamImages'] as const).flatMap((rpc) =>
      each(rpc, {
        'an unknown image': [{ filter: { image: { image: 'registry.k8s.io/absent:1' } } }, OK],
        'a reference of five thousand characters': [
          { filter: { image: { image: longText } } },
          INVALID_ARGUMENT,
        ],
      }),
    ),
  ];
}

function badLists(): BadRequest[] {
  return [
    ...(['ListPodSandbox', 'StreamPodSandboxes'] as const).flatMap((rpc) =>
      each(rpc, {
        'an unknown id': [{ filter: { id: unknownId } }, OK],
        'an unknown state': [{ filter: { state: { state: 9 } } }, INVALID_ARGUMENT],
      }),
    ),
    ...(['ListContainers', 'StreamContainers'] as const).flatMap((rpc) =>
      each(rpc, {
        'an unknown id': [{ filter: { id: unknownId } }, OK],
        'an unknown sandbox': [{ filter: { pod_sandbox_id: unknownId } }, OK],
        'an unknown state': [{ filter: { state: { state: 9 } } }, INVALID_ARGUMENT],
      }),
    ),
    ...(
      ['ListContainerStats', 'StreamContainerStats', 'ListPodSandboxStats', 'StreamPodSandboxStats'] as const
    ).flatMap((rpc) => each(rpc, { 'an unknown id': [{ filter: { id: unknownId } }, OK] })),
  ];
}

function badUpdates({ sandboxId, runningId, createdId }: Scene): BadRequest[] {
  const resources = {
    'a CPU period of 5 microseconds': { cpu_period: 5n },
    'a CPU list of words': { cpuset_cpus: 'all' },
    'an OOM score of 5000': { oom_score_adj: 5000n },
    'memory past what is exact': { memory_limit_in_bytes: 2n ** 60n },
    'a cgroup file that climbs': { unified: { '../x': '1' } },
  };
  const wrong = Object.entries(resources);
  return [
    ...badIds('UpdateContainerResources', NOT_FOUND, (container_id) => ({
      container_id,
      linux: { cpu_shares: 2n },
    })),
    ...each('UpdateContainerResources', { 'no resources': [{ container_id: runningId }, INVALID_ARGUMENT] }),
    ...[runningId, createdId].flatMap((container_id) =>
      wrong.map(([what, linux]): BadRequest => {
        return {
          rpc: 'UpdateContainerResources',
          what,
          request: { container_id, linux },
          code: INVALID_ARGUMENT,
        };
      }),
    ),
    ...badIds('UpdatePodSandboxResources', NOT_FOUND, (pod_sandbox_id) => ({ pod_sandbox_id })),
    ...wrong.map(([what, linux]): BadRequest => {
      const request = { pod_sandbox_id: sandboxId, resources: linux };
      return { rpc: 'UpdatePodSandboxResources', what, request, code: INVALID_ARGUMENT };
    }),
    ...[
      '10.0.0.0',
      '10.0.0.0/33',
      'fd00::/129',
      'somewhere',
      '10.0.0.0/8,',
      '10.0.0.0/8;rm',
      '0.0.0.0/16',
      '127.0.0.0/8',
      '224.0.0.0/4',
      'ff00::/8',
      '::/0',
    ].map(
      (pod_cidr): BadRequest => ({
        rpc: 'UpdateRuntimeConfig',
        what: `the subnet ${pod_cidr}`,
        request: { runtime_config: { network_config: { pod_cidr } } },
        code: INVALID_ARGUMENT,
      }),
    ),
  ];
}

function badStreams({ sandboxId, runningId, createdId }: Scene): BadRequest[] {
  const streams = { stdin: false, stdout: true, stderr: true, tty: false };
  const cmd = ['true'];
  return [
    ...badIds('ExecSync', NOT_FOUND, (container_id) => ({ container_id, cmd })),
    ...badIds('Exec', NOT_FOUND, (container_id) => ({ container_id, cmd, ...streams })),
    ...badIds('Attach', NOT_FOUND, (container_id) => ({ container_id, ...streams })),
    ...badIds('PortForward', NOT_FOUND, (pod_sandbox_id) => ({ pod_sandbox_id, port: [80] })),
    ...each('ExecSync', {
      'no command': [{ container_id: runningId }, INVALID_ARGUMENT],
      'an empty program': [{ container_id: runningId, cmd: [''] }, INVALID_ARGUMENT],
      'a NUL character': [{ container_id: runningId, cmd: ['sh', 'a\0b'] }, INVALID_ARGUMENT],
      'an argument longer than the kernel takes': [
        { container_id: runningId, cmd: ['x'.repeat(200_000)] },
        INVALID_ARGUMENT,
      ],
      'a hundred thousand arguments': [
        { container_id: runningId, cmd: Array.from({ length: 100_000 }, () => 'x') },
        INVALID_ARGUMENT,
      ],
      'a container that does not run': [{ container_id: createdId, cmd }, FAILED_PRECONDITION],
    }),
    ...each('Exec', {
      'no command': [{ container_id: runningId, ...streams }, INVALID_ARGUMENT],
      'no stream': [{ container_id: runningId, cmd }, INVALID_ARGUMENT],
      'errors of a terminal': [{ container_id: runningId, cmd, ...streams, tty: true }, INVALID_ARGUMENT],
      'a container that does not run': [{ container_id: createdId, cmd, ...streams }, FAILED_PRECONDITION],
    }),
    ...each('Attach', {
      'no stream': [{ container_id: runningId }, INVALID_ARGUMENT],
      'errors of a terminal': [{ container_id: runningId, ...streams, tty: true }, INVALID_ARGUMENT],
      // Nothing is missed by a client who is there before it is started.
      'a container that is not started yet': [{ container_id: createdId, ...streams }, OK],
    }),
    ...each('PortForward', {
      'port zero': [{ pod_sandbox_id: sandboxId, port: [0] }, INVALID_ARGUMENT],
      'a negative port': [{ pod_sandbox_id: sandboxId, port: [-1] }, INVALID_ARGUMENT],
      'a port past 65535': [{ pod_sandbox_id: sandboxId, port: [80, 65_536] }, INVALID_ARGUMENT],
      'a thousand ports and one': [
        { pod_sandbox_id: sandboxId, port: Array.from({ length: 1001 }, () => 80) },
        INVALID_ARGUMENT,
      ],
    }),
  ];
}

function badCheckpoints({ image, sandboxId, runningId, createdId }: Scene): BadRequest[] {
  const save = (change: Init<'CheckpointPod'>, code = INVALID_ARGUMENT) =>
    [
      { pod_sandbox_id: sandboxId, output_path: '/proc/self/task', container_ids: [runningId], ...change },
      code,
    ] as const;
  const container = { metadata: { name: 'bad' }, image: { image } };
  const restore = (change: Init<'RestorePod'>, code = INVALID_ARGUMENT) =>
    [
      { checkpoint_path: '/proc/self', config: { metadata }, container_configs: [container], ...change },
      code,
    ] as const;
  return [
    ...each('CheckpointContainer', {
      'a relative place': [{ container_id: runningId, location: 'x.tar' }, INVALID_ARGUMENT],
      'no place': [{ container_id: runningId }, INVALID_ARGUMENT],
      'a place with ..': [{ container_id: runningId, location: '/tmp/../etc/x.tar' }, INVALID_ARGUMENT],
      'a place in a folder that is not there': [
        { container_id: runningId, location: '/no/such/folder/x.tar' },
        INVALID_ARGUMENT,
      ],
      'a place that is a folder': [{ container_id: runningId, location: '/tmp' }, INVALID_ARGUMENT],
      'a place of five thousand characters': [
        { container_id: runningId, location: `/${longText}` },
        INVALID_ARGUMENT,
      ],
      'a container that does not run': [
        { container_id: createdId, location: '/tmp/x.tar' },
        FAILED_PRECONDITION,
      ],
    }),
    ...badIds('CheckpointPod', NOT_FOUND, (pod_sandbox_id) => ({
      pod_sandbox_id,
      output_path: '/tmp',
      container_ids: [runningId],
    })),
    ...each('CheckpointPod', {
      'no folder': save({ output_path: '' }),
      'a relative folder': save({ output_path: 'here' }),
      'a folder with ..': save({ output_path: '/tmp/../etc' }),
      'a folder that is not there': save({ output_path: '/no/such/folder' }),
      'a file for a folder': save({ output_path: '/etc/passwd' }),
      'a folder that is not empty': save({ output_path: '/etc' }),
      'no containers': save({ container_ids: [] }),
      'a container twice': save({ container_ids: [runningId, runningId] }),
      'an empty container id': save({ container_ids: [''] }),
      'an unknown container': save({ container_ids: [unknownId] }, NOT_FOUND),
      'a container that does not run': save({ container_ids: [createdId] }, FAILED_PRECONDITION),
      'an unknown option': save({ options: { 'leave-running': 'false' } }),
      'an option without a name': save({ options: { '': '' } }),
    }),
    ...each('RestorePod', {
      'no checkpoint': restore({ checkpoint_path: '' }),
      'a relative checkpoint': restore({ checkpoint_path: 'here' }),
      'a checkpoint with ..': restore({ checkpoint_path: '/tmp/../etc' }),
      'a checkpoint that is not there': restore({ checkpoint_path: '/no/such/folder' }),
      'a folder that is no checkpoint': restore({}),
      'a file for a folder': restore({ checkpoint_path: '/etc/passwd' }),
      'no config': restore({ config: undefined }),
      'no metadata': restore({ config: {} }),
      'no containers': restore({ container_configs: [] }),
      'a container without a name': restore({
        container_configs: [{ ...container, metadata: { name: '' } }],
      }),
      'a container without an image': restore({ container_configs: [{ metadata: { name: 'bad' } }] }),
      'a name twice': restore({ container_configs: [container, container] }),
      'a container of more privilege than its pod': restore({
        container_configs: [{ ...container, linux: { security_context: { privileged: true } } }],
      }),
      'an unknown option': restore({ options: { fast: 'true' } }),
      'an unknown handler': restore({ runtime_handler: 'absent' }, NOT_FOUND),
      'a handler with a slash': restore({ runtime_handler: '/bin/sh' }),
    }),
  ];
}

/** Every wrong request, for a daemon with the scene on it. */
export function badRequests(scene: Scene): BadRequest[] {
  return [
    ...badSandboxes(),
    ...badIds('StopPodSandbox', OK, (pod_sandbox_id) => ({ pod_sandbox_id })),
    ...badIds('RemovePodSandbox', OK, (pod_sandbox_id) => ({ pod_sandbox_id })),
    ...badIds('PodSandboxStatus', NOT_FOUND, (pod_sandbox_id) => ({ pod_sandbox_id })),
    ...badIds('PodSandboxStats', NOT_FOUND, (pod_sandbox_id) => ({ pod_sandbox_id })),
    ...badContainers(scene),
    ...badIds('StartContainer', NOT_FOUND, (container_id) => ({ container_id })),
    ...each('StartContainer', { 'one that runs': [{ container_id: scene.runningId }, FAILED_PRECONDITION] }),
    ...badIds('StopContainer', OK, (container_id) => ({ container_id, timeout: 2n ** 62n })),
    ...badIds('RemoveContainer', OK, (container_id) => ({ container_id })),
    ...badIds('ContainerStatus', NOT_FOUND, (container_id) => ({ container_id })),
    ...badIds('ContainerStats', NOT_FOUND, (container_id) => ({ container_id })),
    ...badIds('ReopenContainerLog', NOT_FOUND, (container_id) => ({ container_id })),
    ...each('ReopenContainerLog', {
      'one that does not run': [{ container_id: scene.createdId }, FAILED_PRECONDITION],
    }),
    ...badIds('CheckpointContainer', NOT_FOUND, (container_id) => ({ container_id, location: '/tmp/x.tar' })),
    ...badCheckpoints(scene),
    ...badUpdates(scene),
    ...badStreams(scene),
    ...badLists(),
    ...badImages(),
  ];
}

/** Requests with the placeholder in a text, which the test overwrites with bytes that are not UTF-8. */
export function placeholderRequests({ image, sandboxId, runningId }: Scene): Omit<BadRequest, 'code'>[] {
  const container = (change: ContainerConfigInit): Init<'CreateContainer'> => ({
    pod_sandbox_id: sandboxId,
    config: { metadata: { name: 'bad' }, image: { image }, ...change },
  });
  const requests: readonly (readonly [RpcName, string, Init<RpcName>])[] = [
    ['RunPodSandbox', 'the name', { config: { metadata: { ...metadata, name: placeholder } } }],
    ['RunPodSandbox', 'the log folder', { config: { metadata, log_directory: `/tmp/${placeholder}` } }],
    ['RunPodSandbox', 'the key of a label', { config: { metadata, labels: { [placeholder]: 'x' } } }],
    [
      'RunPodSandbox',
      'the cgroup parent',
      { config: { metadata, linux: { cgroup_parent: `/${placeholder}` } } },
    ],
    [
      'CreateContainer',
      'the source of a mount',
      container({
        mounts: [{ host_path: `/tmp/${placeholder}`, container_path: '/mnt' }],
      }),
    ],
    [
      'CreateContainer',
      'the target of a mount',
      container({
        mounts: [{ host_path: '/tmp', container_path: `/${placeholder}` }],
      }),
    ],
    ['CreateContainer', 'the log path', container({ log_path: placeholder })],
    ['CreateContainer', 'the working folder', container({ working_dir: `/${placeholder}` })],
    ['CreateContainer', 'the command', container({ command: [placeholder] })],
    ['CheckpointContainer', 'the place', { container_id: runningId, location: `/tmp/${placeholder}` }],
    [
      'CheckpointPod',
      'the place',
      { pod_sandbox_id: sandboxId, output_path: `/tmp/${placeholder}`, container_ids: [runningId] },
    ],
    ['RestorePod', 'the place', { checkpoint_path: `/tmp/${placeholder}`, config: { metadata } }],
    ['ExecSync', 'the command', { container_id: runningId, cmd: ['touch', `/tmp/${placeholder}`] }],
    ['StopContainer', 'the id', { container_id: placeholder }],
    ['StopPodSandbox', 'the id', { pod_sandbox_id: placeholder }],
    ['PullImage', 'the reference', { image: { image: placeholder } }],
    ['RemoveImage', 'the reference', { image: { image: placeholder } }],
    ['ListContainers', 'the filter', { filter: { id: placeholder } }],
    ['UpdateRuntimeConfig', 'the subnet', { runtime_config: { network_config: { pod_cidr: placeholder } } }],
  ];
  return requests.map(([rpc, what, request]) => ({ rpc, what, request }));
}
