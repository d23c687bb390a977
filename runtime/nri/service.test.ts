/** The server's side of NRI against plugins that say exactly what they are told to. `conformance/nri` has real ones. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FakeNode } from '#conformance/nri/testing/fake-node.ts';
import { Nri } from './service.ts';
import { type Answers, answer, hasMore, RawPlugin } from './testing/raw-plugin.ts';

let folder: string;
let path: string;
let node: FakeNode;
let nri: Nri;
const plugins: RawPlugin[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nri-'));
  path = join(folder, 'nri.sock');
  node = new FakeNode();
  nri = new Nri({
    socketPath: path,
    pluginDir: join(folder, 'none'),
    configDir: join(folder, 'none'),
    registrationTimeoutMs: 300,
    requestTimeoutMs: 300,
    runtimeVersion: '1',
    host: node,
    log: pino({ level: 'silent' }),
  });
  await nri.start();
});

afterEach(async () => {
  for (const plugin of plugins.splice(0)) plugin.socket.destroy();
  await nri.close();
  rmSync(folder, { recursive: true });
});

function open(answers?: Answers): RawPlugin {
  const plugin = new RawPlugin(path, answers);
  plugins.push(plugin);
  return plugin;
}

async function takePart(plugin: RawPlugin): Promise<void> {
  await plugin.register('raw');
  await expect.poll(() => plugin.called).toContain('Synchronize');
  await nri.during(async () => {});
}

it('stops containers that a plugin wants gone, in an answer and unasked', async () => {
  const pod = await node.runPod(nri, 'shop');
  for (const name of ['one', 'two']) await node.create(nri, pod, name);
  const [one, two] = ['one', 'two'].map((name) => node.of(name).id as string);
  const plugin = open({
    CreateContainer: () =>
      answer('CreateContainerResponse', { evict: [{ container_id: one, reason: 'room' }] }),
  });
  await takePart(plugin);
  await node.create(nri, pod, 'three');
  expect(node.evicted).toStrictEqual(['one']);
  const { status } = await plugin.call('UpdateContainers', 'UpdateContainersRequest', {
    evict: [{ container_id: two, reason: 'more room' }, { container_id: 'unknown' }],
  });
  expect(status?.code).toBe(0);
  expect(node.evicted).toStrictEqual(['one', 'two']);
});

it.each([
  ['says nothing', () => {}],
  ['breaks the frames', (plugin: RawPlugin) => plugin.socket.write(Buffer.alloc(64, 0xff))],
  [
    'breaks a message',
    (plugin: RawPlugin) =>
      plugin.send({ connection: 2, streamId: 1, type: 1, body: Buffer.from([0x0a, 0xff, 0xff, 0xff, 0x0f]) }),
  ],
  [
    'calls without end',
    (plugin: RawPlugin) => {
      for (let index = 0; index < 1000; index += 1)
        void plugin.call('UpdateContainers', 'UpdateContainersRequest', {});
    },
  ],
])('lets go of a plugin that %s', async (_title, act) => {
  const plugin = open();
  act(plugin);
  await plugin.closed;
  await node.runPod(nri, 'shop');
});

it.each([
  [
    'subscribes to events that do not exist',
    { Configure: () => answer('ConfigureResponse', { events: 1 << 20 }) },
  ],
  ['does not answer when it is configured', { Configure: () => undefined }],
  ['does not answer when it is told what exists', { Synchronize: () => undefined }],
])('does not take in a plugin that %s', async (_title, answers) => {
  const plugin = open(answers);
  await plugin.register('raw');
  await plugin.closed;
  await node.runPod(nri, 'shop');
  expect(plugin.called).not.toContain('RunPodSandbox');
});

it('does not take in a plugin that would miss containers', async () => {
  const pod = await node.runPod(nri, 'shop');
  for (let index = 0; index < 5; index += 1) {
    const spec = await node.create(nri, pod, `big${index}`);
    const args = [`${index}`.repeat(1 << 20)];
    node.specs.set(node.of(`big${index}`).id, { ...spec, process: { ...spec.process, args } });
  }
  const parts: boolean[] = [];
  const plugin = open({
    Synchronize: (payload) => {
      parts.push(hasMore(payload));
      return answer('SynchronizeResponse', { more: false });
    },
  });
  await plugin.register('raw');
  await plugin.closed;
  expect(parts).toStrictEqual([true]);
});

it('answers a method it does not have, and a second registration of a plugin changes nothing', async () => {
  const plugin = open();
  await takePart(plugin);
  const { status } = await plugin.call('Frobnicate', 'Empty', {});
  expect(status).toStrictEqual({ code: 12, message: 'there is no method Frobnicate' });
  await plugin.register('other', '99');
  await node.runPod(nri, 'shop');
  expect(plugin.called).toContain('RunPodSandbox');
});
