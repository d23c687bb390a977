/** The default network's own way to attach pods, with the real kernel; see also ../cni-pod-network.root.test.ts. */
import { type ChildProcess, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { pinNamespaces, unpinNamespace } from '#host/namespaces.ts';
import { RouteSocket } from '#host/rtnetlink.ts';
import { ResultCache } from '../cni/cache.ts';
import { parseNetworkList } from '../cni/config.ts';
import { PluginRunner } from '../cni/exec.ts';
import { addList } from '../cni/invoke.ts';
import { CniPodNetwork, type CniPodNetworkOptions } from '../cni-pod-network.ts';
import { defaultNetworkOptions } from '../default-network.ts';
import type { PodNetworkRequest } from '../pod-network.ts';
import { addNamespace, ask, namespacePath, removeNamespace, serve, sh } from '../testing/netns-peer.ts';

const bridge = 'bnat0';
const table = 'berth_native_test';
/** Fixed: two daemons that choose at the same moment would choose the same. */
const prefixes = { ipv4Subnet: '10.213.0.0/24', ipv6Subnet: 'fd00:213::/64' };
const podA = 'bnat-a';
const podB = 'bnat-b';
const podC = 'bnat-c';

let dir: string;
let open: CniPodNetwork[];
let servers: ChildProcess[];

const optionsOf = (extra: object): Omit<CniPodNetworkOptions, 'log' | 'now'> => ({
  confDir: `${dir}/net.d`,
  pluginDirs: [`${dir}/none`],
  cacheDir: `${dir}/cni`,
  stateDir: `${dir}/state`,
  defaultNetwork: { ...defaultNetworkOptions, bridge, ...prefixes, ...extra },
  firewallTable: table,
});

async function start(extra: object = {}): Promise<CniPodNetwork> {
  const network = new CniPodNetwork({
    ...optionsOf(extra),
    log: pino({ level: 'silent' }),
    now: Date.now,
  });
  open.push(network);
  await network.start();
  return network;
}

const idOf = (pod: string) => `sandbox-${pod}`;

const request = (pod: string, netnsPath = namespacePath(pod)): PodNetworkRequest => ({
  sandboxId: idOf(pod),
  name: pod,
  namespace: 'test',
  uid: 'u',
  annotations: {},
  cgroupParent: '',
  portMappings: [],
  dns: undefined,
  netnsPath,
});

const detach = (network: CniPodNetwork, pod: string) => network.detach(idOf(pod), namespacePath(pod));

function listPorts(): string[] {
  const folder = `/sys/class/net/${bridge}/brif`;
  return existsSync(folder) ? readdirSync(folder) : [];
}

function listReservations(): string[] {
  const folder = `${dir}/state/ipam/berth`;
  return existsSync(folder) ? readdirSync(folder).filter((name) => /^[\da-f]+[.:]/.test(name)) : [];
}

/** Nothing of a pod is left, in the files at once and in the kernel in a moment. */
async function expectNothingLeft(network: CniPodNetwork): Promise<void> {
  expect(network.listDebts()).toEqual([]);
  expect(readdirSync(`${dir}/state/debts`)).toEqual([]);
  expect(listReservations()).toEqual([]);
  await vi.waitFor(() => expect(listPorts()).toEqual([]), 10_000);
}

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/berth-native-`);
  open = [];
  servers = [];
  for (const name of [podA, podB, podC]) addNamespace(name);
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const network of open) {
    for (const id of network.listDebts()) await network.detach(id, '');
    network.stop();
  }
  for (const server of servers) server.kill('SIGKILL');
  for (const name of [podA, podB, podC]) removeNamespace(name);
  if (existsSync(`/sys/class/net/${bridge}`)) sh('ip', 'link', 'delete', bridge);
  try {
    sh('nft', 'delete', 'table', 'inet', table);
  } catch {
    // the test wrote no rules
  }
  rmSync(dir, { recursive: true });
});

describe('a pod', () => {
  test('is connected in both families as soon as it is attached, both ways, and described as CNI describes it', async () => {
    const network = await start();
    servers.push(await serve(podA, 8000), await serve(podB, 8000), await serve('', 8019));
    const a = await network.attach(request(podA));
    const b = await network.attach(request(podB));
    const gateways = ['10.213.0.1', sh('ip', '-n', podA, '-6', 'route', 'show', 'default').split(' ')[2]!];
    // A first packet that is lost is sent again after a second: each answer comes before that.
    const answers = await Promise.all([
      ...b.ips.map((ip) => ask(podA, 'tcp', ip, 8000, 900)),
      ...gateways.map((ip) => ask(podA, 'tcp', ip, 8019, 900)),
      ...a.ips.map((ip) => ask('', 'tcp', ip, 8000, 900)),
    ]);
    expect(answers).toEqual([...a.ips, ...a.ips, ...gateways]);
    expect(await network.check(idOf(podA))).toBe(true);

    const mac = (...where: string[]) => /link\/ether (\S+)/.exec(sh('ip', ...where))?.[1];
    const [, hostEnd] = (a.raw as { interfaces: { name: string }[] }).interfaces;
    expect(a.raw).toEqual({
      cniVersion: '1.0.0',
      interfaces: [
        { name: bridge, mac: mac('link', 'show', bridge) },
        { name: hostEnd!.name, mac: mac('link', 'show', hostEnd!.name) },
        { name: 'eth0', mac: mac('-n', podA, 'link', 'show', 'eth0'), sandbox: namespacePath(podA) },
      ],
      ips: [
        { address: '10.213.0.2/24', gateway: gateways[0], interface: 2 },
        { address: `${a.ips[1]}/64`, gateway: gateways[1], interface: 2 },
      ],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
      dns: {},
    });
    expect(readFileSync(`/sys/class/net/${hostEnd!.name}/brport/hairpin_mode`, 'utf8').trim()).toBe('1');

    sh('ip', '-n', podA, 'addr', 'del', '10.213.0.2/24', 'dev', 'eth0');
    await expect(network.check(idOf(podA))).rejects.toThrow('10.213.0.2');
  }, 30_000);

  test('leaves nothing when it is detached, also while its namespace lives on, and can come back at once', async () => {
    const network = await start();
    await network.attach(request(podA));
    await network.attach(request(podB));
    await detach(network, podA);
    // Cut off at once, whatever the kernel takes to remove the link.
    const [b] = JSON.parse(sh('ip', '-j', '-n', podB, '-4', 'addr', 'show', 'eth0'))[0].addr_info;
    expect(await ask(podA, 'tcp', b.local, 8000, 500)).toMatch(/timeout|E[A-Z]+/);
    expect((await network.attach(request(podA))).ips).toHaveLength(2);

    await detach(network, podA);
    await detach(network, podA);
    removeNamespace(podB);
    await network.detach(idOf(podB), '');
    await expectNothingLeft(network);
    expect(sh('ip', '-n', podA, 'link')).not.toContain('eth0');
  }, 30_000);

  test('whose namespace cannot be entered is not attached, and leaves nothing', async () => {
    const network = await start();
    await expect(network.attach(request('bnat-none'))).rejects.toMatchObject({ kind: 'Internal' });
    await expectNothingLeft(network);
  });

  test('with a user namespace of its own is attached all the same', async () => {
    const paths = { netPath: `${dir}/net`, user: `${dir}/user` };
    const ids = [{ containerId: 0, hostId: 200_000, length: 65_536 }];
    const programs = { unshare: '/usr/bin/unshare', nsenter: '/usr/bin/nsenter', sh: '/bin/sh' };
    await pinNamespaces(
      {
        netPath: paths.netPath,
        user: { path: paths.user, uids: ids, gids: ids },
        hostname: '',
        sysctls: {},
      },
      programs,
      new AbortController().signal,
    );
    try {
      const network = await start();
      const { ips } = await network.attach(request(podA, paths.netPath));
      const links = sh('nsenter', `--net=${paths.netPath}`, 'ip', 'addr');
      expect(links).toMatch(/lo: <LOOPBACK,UP/);
      for (const ip of ips) expect(links).toContain(ip);
      await network.detach(idOf(podA), paths.netPath);
    } finally {
      for (const path of Object.values(paths)) unpinNamespace(path);
    }
  });

  test('has IPv6 although a sysctl of it turns that off, and none where the network has no IPv6', async () => {
    sh('ip', 'netns', 'exec', podA, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
    const network = await start();
    const { ips } = await network.attach(request(podA));
    expect(sh('ip', '-n', podA, '-6', 'addr', 'show', 'eth0')).toContain(ips[1]);
    await detach(network, podA);
    network.stop();

    const ipv4 = await start({ ipv6Subnet: '' });
    expect((await ipv4.attach(request(podB))).ips).toEqual([expect.stringMatching(/^10\.213\.0\./)]);
    expect(sh('ip', '-n', podB, '-6', 'route', 'show', 'default')).toBe('');
  });
});

describe('addresses', () => {
  test('run out with an error that says so; the next one given back is the next one used', async () => {
    // Network, gateway and broadcast take three of eight.
    const network = await start({ ipv4Subnet: '10.213.0.0/29' });
    const fill = ['d', 'e', 'f'].map((letter) => `bnat-${letter}`);
    for (const name of fill) addNamespace(name);
    try {
      const given: (string | undefined)[] = [];
      for (const pod of [podA, ...fill, podB]) given.push((await network.attach(request(pod))).ips[0]);
      expect(given).toEqual([2, 3, 4, 5, 6].map((last) => `10.213.0.${last}`));
      const refused = network.attach(request(podC));
      await expect(refused).rejects.toMatchObject({
        kind: 'ResourceExhausted',
        message: expect.stringContaining('10.213.0.0/29'),
      });
      expect(network.listDebts()).not.toContain(idOf(podC));
      expect(listPorts()).toHaveLength(5);
      await detach(network, fill[0]!);
      expect((await network.attach(request(podC))).ips[0]).toBe('10.213.0.3');
    } finally {
      for (const name of fill) removeNamespace(name);
    }
  }, 30_000);

  test('are not given again at once, also not by the next daemon', async () => {
    const network = await start();
    expect((await network.attach(request(podA))).ips[0]).toBe('10.213.0.2');
    await network.attach(request(podC));
    await detach(network, podA);
    expect((await network.attach(request(podA))).ips[0]).toBe('10.213.0.4');
    await detach(network, podA);
    network.stop();
    const restarted = await start();
    const { ips } = await restarted.attach(request(podB));
    expect(ips[0]).toBe('10.213.0.5');
    expect(ips[1]).toMatch(/::5$/);
  });

  test('are never the same for two pods that are attached side by side', async () => {
    const network = await start();
    const names = Array.from({ length: 12 }, (_unused, index) => `bnat-n${index}`);
    for (const name of names) addNamespace(name);
    try {
      const attached = await Promise.all(names.map((name) => network.attach(request(name))));
      expect(new Set(attached.flatMap(({ ips }) => ips)).size).toBe(24);
      expect(listPorts()).toHaveLength(12);
      await Promise.all(names.map((name) => detach(network, name)));
      await expectNothingLeft(network);
    } finally {
      for (const name of names) removeNamespace(name);
    }
  }, 30_000);
});

/** Attaches in a process that kills itself before or after its n-th netlink change. */
const killedAttach = `
const [options, request, count, moment] = JSON.parse(process.argv[1]);
const { RouteSocket } = await import(process.argv[2] + '/host/rtnetlink.ts');
const { CniPodNetwork } = await import(process.argv[2] + '/network/cni-pod-network.ts');
const { pino } = await import('pino');
const change = RouteSocket.prototype.change;
let changes = 0;
const die = () => process.kill(process.pid, 'SIGKILL');
RouteSocket.prototype.change = async function (list) {
  // Links that were cut are removed at each start, in the background.
  if (list[0].what === 'removing the links of detached pods') return change.call(this, list);
  changes += 1;
  if (changes === count && moment === 'before') die();
  await change.call(this, list);
  if (changes === count && moment === 'after') die();
};
const network = new CniPodNetwork({ ...options, log: pino({ level: 'silent' }), now: Date.now });
await network.start();
await network.attach(request);
process.exit(3);`;

describe('a daemon that is killed while it attaches', () => {
  // On a new bridge: it is made, then set up; the link is made, then the pod is configured.
  test.each([
    [1, 'before'],
    [1, 'after'],
    [3, 'before'],
    [3, 'after'],
    [4, 'after'],
  ])('at change %i, %s it, leaves what the next one takes back', async (count, moment) => {
    const root = new URL('../..', import.meta.url).pathname;
    const input = JSON.stringify([optionsOf({}), request(podA), count, moment]);
    const script = ['--input-type=module', '-e', killedAttach, input, root];
    const child = spawnSync(process.execPath, script, { cwd: root, encoding: 'utf8' });
    expect([child.signal, child.stderr]).toEqual(['SIGKILL', '']);

    const network = await start();
    expect(network.listDebts()).toEqual(Number(count) < 3 ? [] : [idOf(podA)]);
    expect(listReservations()).toHaveLength(network.listDebts().length * 2);
    for (const id of network.listDebts()) await network.detach(id, namespacePath(podA));
    expect((await network.attach(request(podA))).ips).toHaveLength(2);
    await detach(network, podA);
    await expectNothingLeft(network);
  });
});

test('links that a killed daemon had cut off are removed by the next start', async () => {
  const network = await start();
  await network.attach(request(podA));
  await detach(network, podA);
  network.stop();
  expect(listPorts()).toHaveLength(1);
  await start();
  await vi.waitFor(() => expect(listPorts()).toEqual([]), 10_000);
});

test('a record that is damaged is paid by the sandbox’s id alone', async () => {
  const network = await start();
  await network.attach(request(podA));
  writeFileSync(`${dir}/state/debts/${idOf(podA)}.json`, '');
  const restarted = await start();
  expect(restarted.listDebts()).toEqual([idOf(podA)]);
  await detach(restarted, podA);
  await expectNothingLeft(restarted);
  open = [restarted];
});

test('a failure of the kernel is undone and told with its words', async () => {
  const network = await start();
  await network.attach(request(podA));
  vi.spyOn(RouteSocket.prototype, 'change').mockRejectedValueOnce(new Error('no memory'));
  await expect(network.attach(request(podB))).rejects.toThrow('no memory');
  expect(network.listDebts()).toEqual([idOf(podA)]);
  expect((await network.attach(request(podB))).ips).toHaveLength(2);
});

describe('what an older Berth made with the CNI plugins', () => {
  /** Attaches as the older one did: the plugins run, the record says nothing of its own way. */
  async function attachByPlugins(pod: string, config: string): Promise<string> {
    const debt = {
      sandboxId: idOf(pod),
      networkName: 'berth',
      isDefault: true,
      config,
      ifName: 'eth0',
      netnsPath: namespacePath(pod),
      args: [],
      capabilityArgs: {},
      hostPorts: [],
      portPublisher: 'berth',
      createdAtMs: 1,
    };
    writeFileSync(`${dir}/state/debts/${idOf(pod)}.json`, JSON.stringify(debt));
    const attachment = { ...debt, containerId: idOf(pod) };
    const runner = new PluginRunner(['/usr/lib/cni']);
    const limits = { timeoutMs: 10_000, signal: undefined };
    const list = parseNetworkList(config, 'of a test');
    const result = await addList(runner, list, attachment as never, limits);
    new ResultCache(`${dir}/cni`).write({ ...attachment, result } as never);
    return (result as { ips: { address: string }[] }).ips[0]!.address.split('/')[0]!;
  }

  test('goes on, its bridge is adopted, its addresses count, and its pods are detached without the plugins', async () => {
    // One attach and detach show the configuration; then everything is made by plugins, the bridge too.
    const first = await start();
    await first.attach(request(podA));
    const { config } = JSON.parse(readFileSync(`${dir}/state/debts/${idOf(podA)}.json`, 'utf8'));
    await detach(first, podA);
    first.stop();
    removeNamespace(podA);
    addNamespace(podA);
    sh('ip', 'link', 'delete', bridge);
    const old = await attachByPlugins(podA, config);
    sh('ip', 'addr', 'add', '10.213.99.1/24', 'dev', bridge);
    const before = sh('ip', 'link', 'show', bridge).split(':')[0];

    const network = await start();
    const { ips } = await network.attach(request(podB));
    expect(ips[0]).not.toBe(old);
    expect(sh('ip', 'link', 'show', bridge).split(':')[0]).toBe(before);
    expect(sh('ip', '-4', 'addr', 'show', bridge)).not.toContain('10.213.99.1');
    servers.push(await serve(podA, 8000));
    expect(await ask(podB, 'tcp', old, 8000)).toBe(ips[0]);

    await detach(network, podA);
    await detach(network, podB);
    removeNamespace(podA);
    await expectNothingLeft(network);
  }, 30_000);

  test('and what we make, the older one can detach', async () => {
    const network = await start();
    await network.attach(request(podA));
    const { config } = JSON.parse(readFileSync(`${dir}/state/debts/${idOf(podA)}.json`, 'utf8'));
    const [plugin] = parseNetworkList(config, 'of a test').plugins;
    await new PluginRunner(['/usr/lib/cni']).call({
      plugin: plugin!.type,
      command: 'DEL',
      attachment: {
        containerId: idOf(podA),
        netnsPath: namespacePath(podA),
        ifName: 'eth0',
        args: [],
        capabilityArgs: {},
      },
      config: { ...plugin!.raw, name: 'berth', cniVersion: '1.0.0' },
      timeoutMs: 10_000,
      signal: undefined,
    });
    expect(listReservations()).toEqual([]);
    expect(listPorts()).toEqual([]);
  });
});
