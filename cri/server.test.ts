import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RuntimeError } from '#base/errors.ts';
import { encode } from '#proto/codec.ts';
import type { ContainerConfigInit } from '#proto/generated/cri.ts';
import type { ContainerId } from '#runtime/container/config.ts';
import { ContainerEvents } from './events.ts';
import { criHandlers } from './handlers.ts';
import { CriServer } from './server.ts';
import { CriClient } from './testing/client.ts';
import { type FakeServices, fakeServices } from './testing/fake-services.ts';
import { containerRecord, idOf, sandboxRecord } from './testing/records.ts';

const log = pino({ level: 'silent' });
let dir: string;
let socket: string;
let services: FakeServices;
let events: ContainerEvents;
let server: CriServer;
let client: CriClient;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'berth-cri-'));
  socket = join(dir, 'berth.sock');
  services = fakeServices();
  events = new ContainerEvents(services, { maxQueued: 20 });
  server = new CriServer({ handlers: criHandlers(services, events), log });
  server.readiness.open();
  await server.listen({ path: socket, mode: 0o660, group: 0 });
  client = new CriClient(socket);
});

afterEach(async () => {
  client.close();
  events.close();
  await server.drain(0);
  rmSync(dir, { recursive: true, force: true });
});

const forever = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

describe('the socket', () => {
  test('has its mode, is refused while alive, and replaced when dead', async () => {
    expect(statSync(socket).mode & 0o777).toBe(0o660);
    const second = new CriServer({ handlers: criHandlers(services, events), log });
    await expect(second.listen({ path: socket, mode: 0o660, group: 0 })).rejects.toMatchObject({
      kind: 'AlreadyExists',
      message: expect.stringContaining('another daemon answers'),
    });
    const stale = join(dir, 'stale.sock');
    const holder = createServer().listen(stale);
    await new Promise((resolve) => holder.once('listening', resolve));
    // A dead socket is one that is there and refuses; a plain file refuses in the same way.
    await new Promise((resolve) => holder.close(resolve));
    writeFileSync(stale, '');
    await second.listen({ path: stale, mode: 0o600, group: 0 });
    const other = new CriClient(stale);
    expect((await other.call('Version', {})).runtime_name).toBe('berth');
    other.close();
    await second.drain(0);
    expect(existsSync(stale)).toBe(false);
  });

  test('survives garbage, half a connection and streams reset with any code', async () => {
    const raw = connect(socket).resume();
    raw.write('GET / HTTP/1.1\r\n\r\n\0\0\0\xff\xff\xff');
    await new Promise((resolve) => raw.once('close', resolve));
    services.sandboxes.stop = (_id, signal) => forever(signal);
    for (const code of [0, 2, 8]) {
      const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) });
      session.on('error', () => {});
      const stream = session.request({
        ':method': 'POST',
        ':path': '/runtime.v1.RuntimeService/StopPodSandbox',
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream.on('error', () => {});
      const body = encode('StopPodSandboxRequest', { pod_sandbox_id: 'x' });
      const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), body]);
      stream.write(frame);
      if (code === 8) stream.end();
      await expect.poll(() => server.callsInFlight > 0 || code !== 8).toBe(true);
      stream.close(code);
      await new Promise((resolve) => stream.once('close', resolve));
      session.destroy();
      await expect.poll(() => server.callsInFlight).toBe(0);
    }
    expect((await client.call('Version', {})).runtime_api_version).toBe('v1');
  });
});

describe('errors', () => {
  test('a kind becomes its code, with the message', async () => {
    await expect(client.call('PodSandboxStatus', { pod_sandbox_id: 'abc' })).rejects.toMatchObject({
      code: status.NOT_FOUND,
      details: 'sandbox abc does not exist',
    });
  });

  test('an integer code of a foreign error is not taken for a status', async () => {
    services.containers.start = async () => {
      throw Object.assign(new Error('helper failed'), { code: 5 });
    };
    await expect(client.call('StartContainer', { container_id: 'c' })).rejects.toMatchObject({
      code: status.INTERNAL,
      details: 'internal error: helper failed',
    });
  });

  test('a handler that rejects with nothing, or with text no header can hold, ends only its call', async () => {
    services.containers.start = () => Promise.reject(undefined);
    await expect(client.call('StartContainer', { container_id: 'c' })).rejects.toMatchObject({
      code: status.INTERNAL,
    });
    services.containers.start = () =>
      Promise.reject(new RuntimeError('Unknown', `line\nnext \ud800 ü % ${'x'.repeat(100_000)}`));
    await expect(client.call('StartContainer', { container_id: 'c' })).rejects.toMatchObject({
      code: status.UNKNOWN,
      details: expect.stringMatching(/^line\nnext \ufffd ü % x+ \.\.\. x+$/),
    });
  });

  test('bytes that are no message, a bad field and a message over 16 MiB are refused', async () => {
    await expect(client.call('Version', Buffer.from([0x0a, 0x7f, 0x41]))).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
    await expect(client.call('StopContainer', { container_id: '' })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: 'invalid request: container_id is empty',
    });
    await expect(client.call('Version', Buffer.alloc(16 * 1024 * 1024 + 1))).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    services.containers.execSync = async () => ({
      stdout: Buffer.alloc(17 << 20),
      stderr: Buffer.alloc(0),
      exitCode: 0,
    });
    await expect(client.call('ExecSync', { container_id: 'c', cmd: ['x'] })).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
  });

  test('a message just below 16 MiB passes both ways', async () => {
    services.containers.execSync = async (_id, command) => ({
      stdout: Buffer.alloc((16 << 20) - 100),
      stderr: Buffer.from(String(command.length)),
      exitCode: 0,
    });
    const cmd = Array.from({ length: 160 }, () => 'y'.repeat(100_000));
    const reply = await client.call('ExecSync', { container_id: 'c', cmd });
    expect([reply.stdout.length, reply.stderr.toString()]).toEqual([(16 << 20) - 100, '160']);
  });

  test('RPCs that are not built and RPCs that do not exist are Unimplemented', async () => {
    for (const rpc of ['ContainerStats', 'ListMetricDescriptors', 'Exec'] as const) {
      await expect(client.call(rpc, { container_id: 'c' })).rejects.toMatchObject({
        code: status.UNIMPLEMENTED,
        details: expect.stringContaining(rpc),
      });
    }
    await expect(client.collect('StreamContainerStats', {})).rejects.toMatchObject({
      code: status.UNIMPLEMENTED,
    });
    await expect(client.callUnknown('/runtime.v1.RuntimeService/NoSuchCall')).rejects.toMatchObject({
      code: status.UNIMPLEMENTED,
    });
  });
});

describe('deadlines and cancellation', () => {
  test('a passed deadline aborts with DeadlineExceeded, a cancellation with Canceled', async () => {
    const reasons: unknown[] = [];
    services.sandboxes.run = async (_config, _handler, signal) => {
      await forever(signal).catch((error) => reasons.push(error));
      throw signal.reason;
    };
    const request = { config: { metadata: { name: 'a', uid: 'b', namespace: 'c' } } };
    await expect(client.call('RunPodSandbox', request, { deadline: Date.now() + 60 })).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
    });
    await expect.poll(() => reasons.length).toBe(1);
    const cancel = new AbortController();
    const call = client.call('RunPodSandbox', request, { signal: cancel.signal });
    await expect.poll(() => server.callsInFlight).toBe(1);
    cancel.abort();
    await expect(call).rejects.toMatchObject({ code: status.CANCELLED });
    await expect.poll(() => reasons.length).toBe(2);
    expect(reasons).toMatchObject([{ kind: 'DeadlineExceeded' }, { kind: 'Canceled' }]);
  });

  test('a deadline of a month is no deadline', async () => {
    const month = Date.now() + 40 * 24 * 3_600_000;
    expect((await client.call('Version', {}, { deadline: month })).runtime_name).toBe('berth');
  });

  test('before recovery has ended only Version and Status answer; the rest waits', async () => {
    const early = new CriServer({ handlers: criHandlers(services, events), log });
    const path = join(dir, 'early.sock');
    await early.listen({ path, mode: 0o660, group: 0 });
    const other = new CriClient(path);
    await other.call('Version', {});
    await other.call('Status', {});
    await expect(other.call('ListContainers', {}, { deadline: Date.now() + 50 })).rejects.toMatchObject({
      code: status.DEADLINE_EXCEEDED,
    });
    const waiting = other.call('ListContainers', {});
    await expect.poll(() => early.callsInFlight).toBe(1);
    early.readiness.open();
    expect((await waiting).containers).toEqual([]);
    other.close();
    await early.drain(0);
  });

  test('a drain lets calls end, and gives up those that do not', async () => {
    let finish = (): void => {};
    services.containers.start = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    services.containers.stop = (_id, _timeout, signal) => forever(signal);
    const slow = client.call('StartContainer', { container_id: 'c' });
    const stuck = client.call('StopContainer', { container_id: 'c' });
    await expect.poll(() => server.callsInFlight).toBe(2);
    const drained = server.drain(200);
    finish();
    await expect(slow).resolves.toEqual({});
    await expect(stuck).rejects.toMatchObject({ code: status.UNAVAILABLE });
    await drained;
    expect(existsSync(socket)).toBe(false);
  });
});

describe('replies', () => {
  test('lists join kept bytes, follow every change, and filter', async () => {
    services.sandboxRecords.push(sandboxRecord('a1'), sandboxRecord('b2', { state: 'notReady', ips: [] }));
    services.containerRecords.push(
      containerRecord('c1', { sandboxId: services.sandboxRecords[0]!.id }),
      containerRecord('c2', { state: 'exited', sandboxId: services.sandboxRecords[1]!.id }),
      containerRecord('c3', { state: 'creating' }),
    );
    const { items } = await client.call('ListPodSandbox', {});
    expect(items.map(({ id, state }) => [id, state])).toEqual([
      [idOf('a1'), 0],
      [idOf('b2'), 1],
    ]);
    expect(items[0]).toMatchObject({
      labels: { app: 'web' },
      annotations: { note: '' },
      created_at: 1_700_000_000_000_000_001n,
    });
    const ids = async (filter: object) =>
      (await client.call('ListContainers', { filter })).containers.map(({ id }) => id[1]);
    expect(await ids({})).toEqual(['1', '2']);
    expect(await ids({ id: 'c2' })).toEqual(['2']);
    expect(await ids({ pod_sandbox_id: 'a', state: { state: 1 } })).toEqual(['1']);
    expect(await ids({ state: { state: 0 } })).toEqual([]);
    expect(await ids({ label_selector: { toString: 'x' } })).toEqual([]);
    services.containerRecords[1] = { ...services.containerRecords[1]!, state: 'running' };
    expect(await ids({ state: { state: 1 } })).toEqual(['1', '2']);
  });

  test('a streamed list has each item once, over several messages', async () => {
    const annotations = { big: 'x'.repeat(100_000) };
    for (let index = 0; index < 12; index += 1) {
      const base = containerRecord(`${index}f`);
      services.containerRecords.push({ ...base, config: { ...base.config, annotations } });
    }
    const messages = await client.collect('StreamContainers', {});
    expect(messages.length).toBeGreaterThan(2);
    const ids = messages.flatMap(({ containers }) => containers.map(({ id }) => id));
    expect(ids).toEqual(services.containerRecords.map(({ id }) => id));
    expect(await client.collect('StreamPodSandboxes', {})).toEqual([]);
  });

  test('statuses say what the kubelet reads', async () => {
    services.sandboxRecords.push(sandboxRecord('a'));
    services.containerRecords.push(containerRecord('c'));
    const pod = await client.call('PodSandboxStatus', { pod_sandbox_id: 'a', verbose: true });
    expect(pod.status?.network).toEqual({ ip: '10.88.0.2', additional_ips: [{ ip: 'fd00::2' }] });
    expect(pod.status?.linux?.namespaces?.options).toMatchObject({ network: 0, pid: 1, ipc: 0 });
    expect(pod.containers_statuses.map(({ id }) => id)).toEqual([idOf('c')]);
    expect(pod.timestamp).toBeGreaterThan(0n);
    expect(JSON.parse(pod.info.info!)).toMatchObject({ cniResult: { cniVersion: '1.0.0' } });
    const container = await client.call('ContainerStatus', { container_id: 'c', verbose: true });
    expect(container.status).toMatchObject({
      state: 1,
      image_id: 'sha256:2',
      stop_signal: 23,
      image: { user_specified_image: 'busybox' },
    });
    expect(JSON.parse(container.info.info!)).toMatchObject({ pid: 7 });
    const { stdout, stderr, exit_code } = await client.call('ExecSync', { container_id: 'c', cmd: ['x'] });
    expect([stdout.toString(), [...stderr], exit_code]).toEqual(['out', [0xff], 3]);
  });

  test('a pod status has the newest container of a name first, as the kubelet wants it with evented PLEG', async () => {
    services.sandboxRecords.push(sandboxRecord('a'));
    for (const [digits, createdAtNs] of [
      ['c', 2n],
      ['e', 3n],
      ['d', 1n],
    ] as const)
      services.containerRecords.push(containerRecord(digits, { createdAtNs }));
    const { containers_statuses } = await client.call('PodSandboxStatus', { pod_sandbox_id: 'a' });
    expect(containers_statuses.map(({ id }) => id)).toEqual(['e', 'c', 'd'].map(idOf));
  });

  test('Status tells conditions, handlers with the default one, and where state is', async () => {
    const reply = await client.call('Status', { verbose: true });
    expect(reply.status?.conditions).toEqual([
      { type: 'RuntimeReady', status: true, reason: '', message: '' },
      { type: 'NetworkReady', status: false, reason: 'NetworkPluginNotReady', message: 'no configuration' },
    ]);
    expect(reply.runtime_handlers.map(({ name, features }) => [name, features?.user_namespaces])).toEqual([
      ['', true],
      ['crun', true],
      ['runc', false],
    ]);
    expect(JSON.parse(reply.info.config!)).toEqual({ stateDir: '/run/berth', a: 1 });
    expect(reply.info.lastCNILoadStatus).toBe('nothing there');
    expect((await client.call('RuntimeConfig', {})).linux?.cgroup_driver).toBe(1);
  });

  test('an image that is absent is an empty status', async () => {
    expect((await client.call('ImageStatus', { image: { image: 'none' } })).image).toBeUndefined();
  });

  test('a container may not ask for more than its sandbox has', async () => {
    services.sandboxRecords.push(sandboxRecord('a'));
    const create = (config: ContainerConfigInit) =>
      client.call('CreateContainer', {
        pod_sandbox_id: 'a',
        config: { metadata: { name: 'x' }, image: { image: 'i' }, ...config },
      });
    expect((await create({})).container_id).toBe(idOf('c'));
    await expect(create({ linux: { security_context: { privileged: true } } })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('privileged'),
    });
  });

  test('a container that says nothing of namespaces has those of its sandbox', async () => {
    const sandbox = sandboxRecord('a');
    const namespaces = { ...sandbox.config.security.namespaces, pid: 'container' } as const;
    const security = { ...sandbox.config.security, namespaces };
    services.sandboxRecords.push({ ...sandbox, config: { ...sandbox.config, security } });
    const pids: string[] = [];
    services.containers.create = async (_sandbox, { security: { namespaces: given } }) => {
      pids.push(given.pid);
      return idOf('c') as ContainerId;
    };
    const config = { metadata: { name: 'x' }, image: { image: 'i' } };
    await client.call('CreateContainer', { pod_sandbox_id: 'a', config: { ...config, linux: {} } });
    const linux = { security_context: { namespace_options: { pid: 0 } } };
    await client.call('CreateContainer', { pod_sandbox_id: 'a', config: { ...config, linux } });
    expect(pids).toEqual(['container', 'pod']);
  });

  test('a grace of centuries becomes the longest that a timer holds', async () => {
    const timeouts: number[] = [];
    services.containers.stop = async (_id, timeoutMs) => {
      timeouts.push(timeoutMs);
    };
    for (const timeout of [-1n, 0n, 30n, 9_223_372_036_854_775_807n]) {
      await client.call('StopContainer', { container_id: 'c', timeout });
    }
    expect(timeouts).toEqual([0, 0, 30_000, 2_147_483_000]);
  });
});

describe('GetContainerEvents', () => {
  test('every client gets every event in order with the state of the pod; late ones get what nobody was told', async () => {
    const pod = sandboxRecord('a');
    const container = containerRecord('c');
    services.sandboxRecords.push(pod);
    services.announce({ type: 'created', subjectId: pod.id, sandboxId: pod.id, atNs: 5n });
    const first = client.collect('GetContainerEvents', {}, (messages) => messages.length === 3);
    await expect.poll(() => server.callsInFlight).toBe(1);
    const second = client.collect('GetContainerEvents', {}, (messages) => messages.length === 2);
    await expect.poll(() => server.callsInFlight).toBe(2);
    services.containerRecords.push(container);
    services.announce({ type: 'started', subjectId: container.id, sandboxId: pod.id, atNs: 6n });
    services.containerRecords.length = 0;
    services.sandboxRecords.length = 0;
    services.announce({ type: 'deleted', subjectId: pod.id, sandboxId: pod.id, atNs: 7n });
    const seen = (await first).map((event) => [
      event.container_event_type,
      event.container_id,
      event.pod_sandbox_status?.state,
      event.containers_statuses.length,
    ]);
    expect(seen).toEqual([
      [0, pod.id, 0, 0],
      [1, container.id, 0, 1],
      [3, pod.id, 1, 0],
    ]);
    expect((await second).map(({ created_at }) => created_at)).toEqual([6n, 7n]);
    await expect.poll(() => server.callsInFlight).toBe(0);
  });

  test('a client that falls behind is cut off, and all are when the daemon ends', async () => {
    const pod = sandboxRecord('a');
    services.sandboxRecords.push(pod);
    const behind = client.collect('GetContainerEvents', {});
    await expect.poll(() => server.callsInFlight).toBe(1);
    for (let index = 0; index < 30; index += 1) {
      services.announce({ type: 'started', subjectId: pod.id, sandboxId: pod.id, atNs: BigInt(index) });
    }
    await expect(behind).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
    const ended = client.collect('GetContainerEvents', {});
    await expect.poll(() => server.callsInFlight).toBe(1);
    events.close();
    await expect(ended).rejects.toMatchObject({ code: status.UNAVAILABLE });
  });
});
