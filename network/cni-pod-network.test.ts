import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { processStarts } from '#host/launch.ts';
import { CniPodNetwork } from './cni-pod-network.ts';
import type { PodNetworkRequest } from './pod-network.ts';
import { FixturePlugin } from './testing/fixture-plugin.ts';

let dir: string;
let first: FixturePlugin;
let second: FixturePlugin;
let open: CniPodNetwork[];

const result = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/pod' }],
  ips: [
    { address: 'fd00::5/64', interface: 0 },
    { address: '10.1.0.5/24', interface: 0 },
  ],
};

function request(sandboxId: string, extra: Partial<PodNetworkRequest> = {}): PodNetworkRequest {
  return {
    sandboxId,
    name: 'web',
    namespace: 'shop',
    uid: 'u-1',
    annotations: {},
    cgroupParent: '',
    portMappings: [],
    dns: undefined,
    netnsPath: '/nonexistent/netns',
    ...extra,
  };
}

/** A daemon of its own over the same folders: what a restart sees. */
async function start(extra: object = {}): Promise<CniPodNetwork> {
  const network = new CniPodNetwork({
    confDir: `${dir}/net.d`,
    pluginDirs: [`${dir}/none`, `${dir}/bin`],
    cacheDir: `${dir}/cni`,
    stateDir: `${dir}/state`,
    defaultNetwork: false,
    log: pino({ level: 'silent' }),
    now: () => 0,
    firewallTable: 'berth_unit_test',
    ...extra,
  });
  open.push(network);
  await network.start();
  return network;
}

function configure(cniVersion = '1.1.0', extra: object = {}): void {
  const plugins = [
    { type: 'first', mtu: 1400 },
    { type: 'second', capabilities: { portMappings: true } },
  ];
  writeFileSync(
    `${dir}/net.d/10-pods.conflist`,
    JSON.stringify({ cniVersion, name: 'pods', plugins, ...extra }),
  );
}

const commands = (plugin: FixturePlugin) => plugin.listCalls().map(({ command }) => command);
const order = () =>
  [...first.listCalls(), ...second.listCalls()]
    .sort((one, other) => (one.order < other.order ? -1 : 1))
    .map(({ command, plugin }) => `${command} ${plugin}`);

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/berth-pod-network-`);
  for (const name of ['net.d', 'bin']) mkdirSync(`${dir}/${name}`);
  first = new FixturePlugin(`${dir}/bin`, 'first');
  second = new FixturePlugin(`${dir}/bin`, 'second');
  first.answer('ADD', { stdout: { ...result, step: 1 } });
  second.answer('ADD', { stdout: { ...result, step: 2 } });
  open = [];
  configure();
});

afterEach(() => {
  for (const network of open) network.stop();
  rmSync(dir, { recursive: true });
});

describe('attach', () => {
  test('runs the plugins in order, each with what the specification gives it, and no other program', async () => {
    const network = await start();
    const before = processStarts();
    const mapping = { protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIp: '' } as const;
    const attached = await network.attach(request('sb1', { portMappings: [mapping] }));
    expect(processStarts() - before).toBe(2);
    expect(attached).toEqual({ ips: ['10.1.0.5', 'fd00::5'], raw: { ...result, step: 2 } });

    const [call] = first.listCalls();
    expect(call).toMatchObject({
      command: 'ADD',
      containerId: 'sb1',
      netns: '/nonexistent/netns',
      ifName: 'eth0',
      path: `${dir}/none:${dir}/bin`,
      args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=sb1;K8S_POD_UID=u-1',
      config: { type: 'first', name: 'pods', cniVersion: '1.1.0', mtu: 1400 },
    });
    expect(call?.config).not.toHaveProperty('prevResult');
    expect(second.listCalls()[0]?.config).toMatchObject({
      prevResult: { ...result, step: 1 },
      runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' }] },
    });
  });

  test('leaves the cache that libcni knows, for root only', async () => {
    const network = await start();
    await network.attach(request('sb1'));
    const path = `${dir}/cni/results/pods-sb1-eth0`;
    const cached = JSON.parse(readFileSync(path, 'utf8'));
    expect(cached).toMatchObject({
      kind: 'cniCacheV1',
      containerId: 'sb1',
      ifName: 'eth0',
      networkName: 'pods',
      netns: '/nonexistent/netns',
      result: { step: 2 },
    });
    expect(cached.cniArgs[0]).toEqual(['IgnoreUnknown', '1']);
    expect(Buffer.from(cached.config, 'base64').toString()).toBe(
      readFileSync(`${dir}/net.d/10-pods.conflist`, 'utf8'),
    );
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${dir}/cni/results`).mode & 0o777).toBe(0o700);
  });

  test('that fails runs DEL through the whole list and leaves nothing', async () => {
    const network = await start();
    second.fail('ADD', 11, 'no address left');
    await expect(network.attach(request('sb1'))).rejects.toMatchObject({
      kind: 'Unavailable',
      message: expect.stringContaining('no address left'),
    });
    expect(order()).toEqual(['ADD first', 'ADD second', 'DEL second', 'DEL first']);
    expect(network.listDebts()).toEqual([]);
    expect(readdirSync(`${dir}/state/debts`)).toEqual([]);
  });

  test('that fails and cannot be undone stays a debt, also after a restart; the next attach pays it first', async () => {
    const network = await start();
    second.fail('ADD', 999, 'broken');
    first.fail('DEL', 999, 'busy');
    await expect(network.attach(request('sb1'))).rejects.toThrow('broken');
    expect(network.listDebts()).toEqual(['sb1']);

    const restarted = await start();
    expect(restarted.listDebts()).toEqual(['sb1']);
    first.answer('DEL', {});
    second.answer('ADD', { stdout: result });
    for (const plugin of [first, second]) plugin.clear();
    await restarted.attach(request('sb1'));
    expect(order()).toEqual(['DEL second', 'DEL first', 'ADD first', 'ADD second']);
  });

  test('is refused before anything is done for a host port that another sandbox holds', async () => {
    const network = await start();
    const portMappings = [{ protocol: 'udp', containerPort: 53, hostPort: 53, hostIp: '' }] as const;
    await network.attach(request('sb1', { portMappings }));
    first.clear();
    await expect(network.attach(request('sb2', { portMappings }))).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringContaining('53/udp is held by sandbox sb1'),
    });
    expect(first.listCalls()).toEqual([]);
    await network.detach('sb1', '');
    await network.attach(request('sb2', { portMappings }));
  });

  test('ends with the plugin and what it started when it is cancelled, and is undone', async () => {
    const network = await start();
    second.answer('ADD', { blocks: true });
    const cancel = new AbortController();
    const attached = network.attach(request('sb1'), cancel.signal);
    const refused = expect(attached).rejects.toMatchObject({ kind: 'Canceled' });
    await vi.waitFor(() => expect(commands(second)).toEqual(['ADD']));
    expect(readdirSync(`${dir}/state/debts`)).toEqual(['sb1.json']);
    const startedMs = performance.now();
    cancel.abort();
    await refused;
    // The plugin's child held its output open: ended with it, so nothing waited for it.
    expect(performance.now() - startedMs).toBeLessThan(900);
    expect(order().slice(-2)).toEqual(['DEL second', 'DEL first']);
    expect(network.listDebts()).toEqual([]);
  });

  test.each([
    ['no address', { ...result, ips: [] }, /no address/],
    ['no JSON', 'all is well', /not JSON/],
    ['nothing', '', /no result/],
  ])('with %s in the result fails and is undone', async (_name, stdout, expected) => {
    const network = await start();
    second.answer('ADD', { stdout });
    await expect(network.attach(request('sb1'))).rejects.toThrow(expected);
    expect(commands(first)).toEqual(['ADD', 'DEL']);
    expect(network.listDebts()).toEqual([]);
  });

  test('without a configuration, or with a broken one, is unavailable and says why', async () => {
    rmSync(`${dir}/net.d/10-pods.conflist`);
    const network = await start();
    await expect(network.attach(request('sb1'))).rejects.toMatchObject({ kind: 'Unavailable' });
    expect(await network.status()).toMatchObject({ isReady: false, reason: 'NetworkPluginNotReady' });
    writeFileSync(`${dir}/net.d/10-pods.conflist`, '{');
    await vi.waitFor(async () => expect((await network.status()).message).toContain('not valid JSON'));
    await expect(network.attach(request('sb1'))).rejects.toThrow('not valid JSON');
  });
});

describe('detach', () => {
  test('uses the configuration and result of ADD, whatever the folder says by now', async () => {
    const network = await start();
    await network.attach(request('sb1'));
    writeFileSync(
      `${dir}/net.d/10-pods.conflist`,
      '{"cniVersion":"1.0.0","name":"new","plugins":[{"type":"third"}]}',
    );
    const restarted = await start();
    expect(restarted.listDebts()).toEqual(['sb1']);
    for (const plugin of [first, second]) plugin.clear();
    await restarted.detach('sb1', '/nonexistent/netns');
    expect(order()).toEqual(['DEL second', 'DEL first']);
    // The namespace is gone: the variable is there and empty.
    expect(first.listCalls()[0]).toMatchObject({
      netns: '',
      config: { name: 'pods', prevResult: { step: 2 } },
    });
    expect(restarted.listDebts()).toEqual([]);
    expect(readdirSync(`${dir}/cni/results`)).toEqual([]);
  });

  test('stops at a plugin that fails, keeps the debt, and can be repeated', async () => {
    const network = await start();
    await network.attach(request('sb1'));
    second.fail('DEL', 999, 'busy');
    await expect(network.detach('sb1', '')).rejects.toMatchObject({ kind: 'Internal' });
    expect(commands(first)).toEqual(['ADD']);
    second.fail('DEL', 999, 'open /run/netns/pod: no such file or directory');
    await network.detach('sb1', '');
    expect(commands(first)).toEqual(['ADD', 'DEL']);
    await network.detach('sb1', '');
    expect(commands(first)).toEqual(['ADD', 'DEL']);
  });

  test('of a sandbox never attached does nothing', async () => {
    const network = await start();
    await network.detach('stranger', '/nonexistent/netns');
    expect(order()).toEqual([]);
  });

  test('finds its way by the cache when the debt is lost, and by the folder when its record is damaged', async () => {
    const network = await start();
    await network.attach(request('sb1'));
    await network.attach(request('sb2'));
    rmSync(`${dir}/state/debts/sb1.json`);
    writeFileSync(`${dir}/state/debts/sb2.json`, '');
    rmSync(`${dir}/cni/results/pods-sb2-eth0`);
    const restarted = await start();
    expect(restarted.listDebts()).toEqual(['sb2']);
    first.clear();
    await restarted.detach('sb1', '');
    await restarted.detach('sb2', '');
    expect(first.listCalls().map(({ containerId }) => containerId)).toEqual(['sb1', 'sb2']);
    expect(restarted.listDebts()).toEqual([]);
  });

  test('gives plugins of a version before 0.4.0 no previous result', async () => {
    configure('0.3.1');
    const network = await start();
    await network.attach(request('sb1'));
    first.clear();
    await network.detach('sb1', '');
    expect(first.listCalls()[0]?.config).not.toHaveProperty('prevResult');
  });
});

describe('readiness and upkeep', () => {
  test('a list whose plugin is not installed is not ready, and says what to install', async () => {
    rmSync(`${dir}/bin/second`);
    const network = await start();
    const { isReady, message } = await network.status();
    expect(isReady).toBe(false);
    expect(message).toContain('second');
    expect(message).toContain('containernetworking-plugins');
  });

  test('plugins of a 1.1.0 list are asked for their status, those of an older version are not', async () => {
    second = new FixturePlugin(`${dir}/bin`, 'second', ['0.4.0', '1.0.0']);
    let nowMs = 0;
    const network = await start({ now: () => nowMs });
    expect(await network.status()).toEqual({ isReady: true, reason: '', message: '' });
    expect(order()).toEqual(['STATUS first']);
    first.fail('STATUS', 50, 'datastore away');
    expect((await network.status()).isReady).toBe(true);
    nowMs += 10_000;
    expect(await network.status()).toMatchObject({
      isReady: false,
      message: expect.stringContaining('datastore away'),
    });
  });

  test('a list of 1.0.0 is asked nothing', async () => {
    configure('1.0.0');
    const network = await start();
    const before = processStarts();
    expect((await network.status()).isReady).toBe(true);
    expect(processStarts()).toBe(before);
  });

  test('garbage collection names every known attachment, those of other tools too', async () => {
    const network = await start();
    await network.attach(request('sb1'));
    await network.attach(request('sb2'));
    const foreign = JSON.parse(readFileSync(`${dir}/cni/results/pods-sb2-eth0`, 'utf8'));
    for (const name of ['net7', 'net8'])
      writeFileSync(
        `${dir}/cni/results/pods-pm9-${name}`,
        JSON.stringify({ ...foreign, containerId: 'pm9', ifName: name }),
      );
    await network.collectGarbage();
    const [call] = first.listCalls().filter(({ command }) => command === 'GC');
    const valid = call?.config['cni.dev/valid-attachments'] as { containerID: string; ifname: string }[];
    expect(valid.map(({ containerID, ifname }) => `${containerID} ${ifname}`).toSorted()).toEqual([
      'pm9 net7',
      'pm9 net8',
      'sb1 eth0',
      'sb2 eth0',
    ]);
    expect(call?.containerId).toBe('');
  });

  test('a pod does not wait long for a plugin that never ends collecting garbage, and none is collected behind it', async () => {
    const network = await start();
    first.answer('GC', { blocks: true });
    const collected = network.collectGarbage();
    collected.catch(() => {}); // looked at below
    await vi.waitFor(() => expect(order()).toEqual(['GC first']));
    const startedMs = performance.now();
    expect((await network.attach(request('sb1'))).ips).not.toEqual([]);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    // It was at an end, and never came to the second plugin, before the pod was attached.
    expect(order().slice(0, 3)).toEqual(['GC first', 'ADD first', 'ADD second']);
    await expect(collected).rejects.toMatchObject({
      kind: 'Canceled',
      message: expect.stringContaining('after a pod was to be attached'),
    });
  });

  test('a check passes the result of ADD and reports what the plugin finds', async () => {
    const network = await start();
    await network.attach(request('sb1'));
    expect(await network.check('sb1')).toBe(true);
    expect(first.listCalls()[1]).toMatchObject({ command: 'CHECK', config: { prevResult: { step: 2 } } });
    second.fail('CHECK', 100, 'route is missing');
    await expect(network.check('sb1')).rejects.toThrow('route is missing');
    await expect(network.check('stranger')).rejects.toMatchObject({ kind: 'NotFound' });
  });

  test('a plugin that is replaced is found again', async () => {
    const network = await start();
    await network.attach(request('sb1'));
    mkdirSync(`${dir}/none`);
    rmSync(`${dir}/bin/first`);
    const moved = new FixturePlugin(`${dir}/none`, 'first');
    await network.detach('sb1', '');
    expect(commands(moved)).toEqual(['DEL']);
    expect(existsSync(`${dir}/cni/results/pods-sb1-eth0`)).toBe(false);
  });
});
