import { expect, test } from 'vitest';
import { NamespaceMode, Protocol } from '#proto/generated/cri.ts';
import { containerFlags } from './container-flags.ts';
import { parseMount, parseVolume } from './mount-flags.ts';
import { parseCommandWords } from './parse.ts';
import { toPodRequest } from './pod-request.ts';
import { parsePort, parsePorts } from './port-flags.ts';

function request(...words: string[]) {
  const { flags, args } = parseCommandWords(words, {
    flags: containerFlags,
    stopsAtFirstArgument: true,
    arguments: [{ name: 'IMAGE' }, { name: 'WORD', repeatable: true }],
  });
  return toPodRequest({
    flags,
    name: 'calm_jetty',
    image: args[0]!,
    command: args.slice(1),
    environment: { HERE: 'value', EMPTY: '' },
    envFiles: [],
    workingDir: '/work',
    logRoot: '/var/lib/berth/logs',
    removeOnExit: false,
  });
}

test('a plain container is confined as people expect, and its pod is named and labelled', () => {
  const { sandbox, container } = request('debian', 'ls', '-l');
  expect(sandbox).toMatchObject({
    metadata: { name: 'calm_jetty', uid: 'calm_jetty', namespace: 'berth' },
    log_directory: '/var/lib/berth/logs/calm_jetty',
    labels: { 'dev.berth/managed-by': 'berth-cli', 'dev.berth/on-exit': 'stop' },
  });
  expect(container).toMatchObject({ args: ['ls', '-l'], tty: false, stdin: false, stop_signal: 0 });
  expect(container.command).toBeUndefined();
  expect(container.linux?.security_context).toMatchObject({
    privileged: false,
    seccomp: { profile_type: 0 },
    masked_paths: expect.arrayContaining(['/proc/kcore']),
    namespace_options: { network: NamespaceMode.POD, pid: NamespaceMode.CONTAINER },
  });
});

test("an entry point replaces the image's, and an empty one means none", () => {
  expect(request('--entrypoint', '/bin/sh', 'debian', '-c', 'x').container).toMatchObject({
    command: ['/bin/sh'],
    args: ['-c', 'x'],
  });
  expect(request('--entrypoint=', 'debian', 'ls').container).toMatchObject({ command: ['ls'] });
});

test('limits are those of the kernel', () => {
  expect(request('-m', '1g', '--memory-swap', '2g', '--cpus', '1.5', 'x').container.linux?.resources).toEqual(
    {
      memory_limit_in_bytes: 1n << 30n,
      memory_swap_limit_in_bytes: 2n << 30n,
      cpu_period: 100_000n,
      cpu_quota: 150_000n,
    },
  );
  expect(() => request('--cpus', '0', 'x')).toThrow('--cpus must be more than 0');
});

test('variables come from flags, and by name from here', () => {
  const envs = request('-e', 'A=1=2', '-e', 'HERE', '-e', 'EMPTY', '-e', 'ABSENT', '-e', 'A=3', 'x').container
    .envs;
  expect(envs?.map(({ key, value }) => `${key}=${Buffer.from(value!)}`)).toEqual([
    'A=3',
    'HERE=value',
    'EMPTY=',
  ]);
});

test('ports and volumes as docker writes them; what cannot be meant so is refused with a way', () => {
  expect(parsePort('127.0.0.1:8080:80/udp')).toEqual({
    host_ip: '127.0.0.1',
    host_port: 8080,
    container_port: 80,
    protocol: Protocol.UDP,
  });
  expect(parsePort('[::1]:1:2')).toMatchObject({ host_ip: '::1', host_port: 1, container_port: 2 });
  expect(parsePorts('80')).toMatchObject([{ host_port: 0, container_port: 80, protocol: Protocol.TCP }]);
  expect(parsePorts('127.0.0.1::53/udp')).toMatchObject([
    { host_ip: '127.0.0.1', host_port: 0, container_port: 53, protocol: Protocol.UDP },
  ]);
  expect(parsePorts('8000-8001:90-91')).toMatchObject([
    { host_port: 8000, container_port: 90 },
    { host_port: 8001, container_port: 91 },
  ]);
  for (const wrong of ['1-3:1-2', '3-1', '1:', ':']) expect(() => parsePorts(wrong)).toThrow('--publish');
  for (const wrong of ['80', '0:80', '80:70000', 'a:80', '1:2/icmp'])
    expect(() => parsePort(wrong)).toThrow('--publish');
  expect(parseVolume('./data:/data:ro,rslave')).toEqual({
    kind: 'folder',
    source: './data',
    target: '/data',
    options: { readonly: true, propagation: 1 },
  });
  expect(parseVolume('data:/data')).toMatchObject({ kind: 'named', name: 'data' });
  expect(parseVolume('/data')).toEqual({ kind: 'anonymous', target: '/data' });
  expect(() => parseVolume('data')).toThrow('is not SOURCE:PATH');
  expect(() => parseVolume('a b:/data')).toThrow('neither a path nor a name');
  expect(() => parseVolume('/a:/b:sync')).toThrow('the option "sync" is not known');
  expect(() => request('-p', '1:2', '--network', 'host', 'x')).toThrow('--publish says nothing');
  expect(() => request('--restart', 'always', 'x')).toThrow('starts no container again by itself');
});

test('names that are no folders or hosts are refused', () => {
  expect(() => request('--security-opt', 'nonsense', 'x')).toThrow('"nonsense" is not known');
  expect(() => request('--stop-signal', 'SIGWRONG', 'x')).toThrow('no name of a signal');
  expect(request('--stop-signal', 'quit', 'x').container.stop_signal).toBeGreaterThan(0);
  expect(
    request('--cap-drop', 'all', '--cap-add', 'CAP_net_raw', 'x').container.linux?.security_context
      ?.capabilities,
  ).toEqual({
    add_capabilities: ['NET_RAW'],
    drop_capabilities: ['ALL'],
  });
});

test('what the CRI has no field for travels in annotations, and mistakes are told before', () => {
  const { sandbox, container } = request(
    ...['--tmpfs', '/run:size=1m', '--mount', 'type=tmpfs,target=/t,tmpfs-mode=700', '--init'],
    ...['--ulimit', 'nofile=10:20', '--ulimit', 'core=unlimited', '--add-host', 'db:10.0.0.7'],
    ...['--shm-size', '1m', '--stop-timeout', '3', '--oom-score-adj', '500', '--userns', '100000', 'x'],
  );
  expect(container.annotations).toMatchObject({
    'dev.berth/tmpfs': '{"/t":"mode=700","/run":"size=1m"}',
    'dev.berth/ulimits': '{"nofile":[10,20],"core":[-1,-1]}',
    'dev.berth/init': 'true',
    'dev.berth/stop-seconds': '3',
  });
  expect(sandbox.annotations).toMatchObject({
    'dev.berth/hosts': '["10.0.0.7 db"]',
    'dev.berth/shm-size': '1048576',
  });
  expect(container.linux?.resources?.oom_score_adj).toBe(500n);
  expect(sandbox.linux?.security_context?.namespace_options?.userns_options?.uids).toEqual([
    { host_id: 100_000, container_id: 0, length: 65_536 },
  ]);
  for (const wrong of [
    ['--ulimit', 'nofile=20:10'],
    ['--add-host', 'db'],
    ['--add-host', 'h:host-gateway'],
    ['--userns', 'keep-id'],
    ['--tmpfs', 'run'],
    ['--oom-score-adj', '2000'],
  ])
    expect(() => request(...wrong, 'x')).toThrow(wrong[0]);
});

test('mounts in the long form mean what the short ones do', () => {
  expect(parseMount('type=bind,src=./a,dst=/b,ro,bind-propagation=rslave')).toEqual({
    kind: 'folder',
    source: './a',
    target: '/b',
    options: { readonly: true, propagation: 1 },
  });
  expect(parseMount('source=data,target=/data')).toMatchObject({ kind: 'named', name: 'data' });
  expect(parseMount('type=volume,target=/data')).toEqual({ kind: 'anonymous', target: '/data' });
  for (const wrong of ['target=data', 'type=nfs,target=/x', 'type=bind,target=/x', 'size=1,target=/x'])
    expect(() => parseMount(wrong)).toThrow('--mount');
});
