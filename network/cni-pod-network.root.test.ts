/** With the real plugins, real namespaces and the host's own packet rules. Forwarding stays on, as it does in use. */
import type { ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { processStarts } from '#host/launch.ts';
import { CniPodNetwork, type CniPodNetworkOptions } from './cni-pod-network.ts';
import { defaultNetworkOptions } from './default-network.ts';
import type { PodNetworkRequest, PortMapping } from './pod-network.ts';
import { FixturePlugin } from './testing/fixture-plugin.ts';
import { addNamespace, ask, namespacePath, removeNamespace, serve, sh } from './testing/netns-peer.ts';

const table = 'berth_root_test';
const bridge = 'btest0';
const cniBridge = 'btest1';
const podA = 'btest-a';
const podB = 'btest-b';
const outside = 'btest-out';
const hostAddress = '198.51.100.1';
const outsideAddress = '198.51.100.2';
const hostAddress6 = '2001:db8:51::1';
const outsideAddress6 = '2001:db8:51::2';

let dir: string;
let open: CniPodNetwork[];
let servers: ChildProcess[];

async function start(extra: Partial<CniPodNetworkOptions> = {}): Promise<CniPodNetwork> {
  const network = new CniPodNetwork({
    confDir: `${dir}/net.d`,
    pluginDirs: [`${dir}/bin`, '/usr/lib/cni'],
    cacheDir: `${dir}/cni`,
    stateDir: `${dir}/state`,
    defaultNetwork: { ...defaultNetworkOptions, bridge },
    log: pino({ level: 'silent' }),
    now: Date.now,
    firewallTable: table,
    ...extra,
  });
  open.push(network);
  await network.start();
  return network;
}

function request(pod: string, ...portMappings: PortMapping[]): PodNetworkRequest {
  return {
    sandboxId: `sandbox-${pod}`,
    name: pod,
    namespace: 'test',
    uid: 'u',
    annotations: {},
    cgroupParent: '',
    portMappings,
    dns: undefined,
    netnsPath: namespacePath(pod),
  };
}

const detach = (network: CniPodNetwork, pod: string) => network.detach(`sandbox-${pod}`, namespacePath(pod));

const published = (hostPort: number, protocol: PortMapping['protocol'], hostIp = ''): PortMapping => ({
  protocol,
  containerPort: 8000,
  hostPort,
  hostIp,
});

function findRules(): string {
  try {
    return sh('nft', 'list', 'table', 'inet', table);
  } catch {
    return '';
  }
}

/** Veths on a bridge; other tests of this machine have their own. */
const listPorts = (name: string): string[] => {
  const folder = `/sys/class/net/${name}/brif`;
  return existsSync(folder) ? readdirSync(folder) : [];
};
const isLink = (name: string) => existsSync(`/sys/class/net/${name}`);

function listReservations(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => name !== 'lock' && !name.startsWith('last_reserved'));
}

/** A namespace that is another machine to the pods: it has a route to the host's address only. */
function addOutside(): void {
  addNamespace(outside);
  sh('ip', 'link', 'add', 'btest-up', 'type', 'veth', 'peer', 'name', 'up', 'netns', outside);
  for (const [device, where, ipv4, ipv6] of [
    ['btest-up', [], hostAddress, hostAddress6],
    ['up', ['-n', outside], outsideAddress, outsideAddress6],
  ] as const) {
    sh('ip', ...where, 'addr', 'add', `${ipv4}/24`, 'dev', device);
    sh('ip', ...where, 'addr', 'add', `${ipv6}/64`, 'dev', device, 'nodad');
    sh('ip', ...where, 'link', 'set', 'dev', device, 'up');
  }
}

/** `ipMasq` is on by request only: the plugin leaves its rule behind when the namespace goes before DEL. */
function configureBridge(extraPlugins: object[] = [], ipMasq = false): void {
  mkdirSync(`${dir}/net.d`, { recursive: true });
  const ipam = {
    type: 'host-local',
    dataDir: `${dir}/ipam`,
    ranges: [[{ subnet: '10.215.0.0/24' }]],
    routes: [{ dst: '0.0.0.0/0' }],
  };
  const plugin = {
    type: 'bridge',
    bridge: cniBridge,
    isGateway: true,
    hairpinMode: true,
    ipMasq,
    ipam,
  };
  const list = { cniVersion: '1.0.0', name: 'pods', plugins: [plugin, ...extraPlugins] };
  writeFileSync(`${dir}/net.d/10-pods.conflist`, JSON.stringify(list));
}

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/berth-network-`);
  mkdirSync(`${dir}/bin`);
  open = [];
  servers = [];
  addNamespace(podA);
  addNamespace(podB);
});

afterEach(async () => {
  for (const network of open) {
    for (const id of network.listDebts()) await network.detach(id, '');
    network.stop();
  }
  for (const server of servers) server.kill('SIGKILL');
  for (const name of [podA, podB, outside]) removeNamespace(name);
  for (const name of [bridge, cniBridge, 'btest-up']) if (isLink(name)) sh('ip', 'link', 'delete', name);
  if (findRules() !== '') sh('nft', 'delete', 'table', 'inet', table);
  rmSync(dir, { recursive: true });
});

describe('a CNI configuration with the real plugins', () => {
  const natRules = () => sh('iptables-save', '-t', 'nat');

  test('attaches and leaves nothing behind', async () => {
    configureBridge([{ type: 'portmap', capabilities: { portMappings: true } }], true);
    const network = await start();
    expect(await network.status()).toMatchObject({ isReady: true });
    const { ips } = await network.attach(request(podA, published(18080, 'tcp')));
    expect(ips).toEqual(['10.215.0.2']);
    expect(sh('ip', '-n', podA, '-4', 'addr', 'show', 'eth0')).toContain('10.215.0.2/24');
    expect(natRules()).toContain('18080');
    // The list's own plugin publishes ports: Berth writes no rules.
    expect(findRules()).toBe('');

    await detach(network, podA);
    expect(listPorts(cniBridge)).toEqual([]);
    expect(listReservations(`${dir}/ipam/pods`)).toEqual([]);
    expect(natRules()).not.toContain('18080');
    expect(natRules()).not.toContain('10.215.0.2');
    expect(readdirSync(`${dir}/cni/results`)).toEqual([]);
    expect(network.listDebts()).toEqual([]);
  });

  test('undoes the bridge when a later plugin fails, and attaches the same sandbox on a second try', async () => {
    const breaker = new FixturePlugin(`${dir}/bin`, 'breaker', ['1.0.0']);
    breaker.fail('ADD', 100, 'not today');
    configureBridge([{ type: 'breaker' }]);
    const network = await start();
    await expect(network.attach(request(podA))).rejects.toThrow('not today');
    expect(listPorts(cniBridge)).toEqual([]);
    expect(listReservations(`${dir}/ipam/pods`)).toEqual([]);
    expect(network.listDebts()).toEqual([]);

    breaker.answer('ADD', { stdout: { cniVersion: '1.0.0', ips: [{ address: '10.215.0.9/24' }] } });
    expect((await network.attach(request(podA))).ips).toEqual(['10.215.0.9']);
  });

  test('detaches after the namespace is gone, by another daemon, from the record alone', async () => {
    configureBridge();
    const network = await start();
    await network.attach(request(podA));
    expect(listReservations(`${dir}/ipam/pods`)).toEqual(['10.215.0.2']);
    expect(await network.check(`sandbox-${podA}`)).toBe(true);
    network.stop();
    removeNamespace(podA);
    rmSync(`${dir}/net.d`, { recursive: true });
    const restarted = await start({ defaultNetwork: false });
    expect(restarted.listDebts()).toEqual([`sandbox-${podA}`]);
    await detach(restarted, podA);
    expect(listReservations(`${dir}/ipam/pods`)).toEqual([]);
    expect(restarted.listDebts()).toEqual([]);
  });

  test('with a routed veth and no port plugin, Berth publishes the ports', async () => {
    mkdirSync(`${dir}/net.d`);
    const ipam = {
      type: 'host-local',
      dataDir: `${dir}/ipam`,
      subnet: '10.215.1.0/24',
      routes: [{ dst: '0.0.0.0/0' }],
    };
    writeFileSync(
      `${dir}/net.d/10-routed.conf`,
      JSON.stringify({ cniVersion: '0.4.0', name: 'routed', type: 'ptp', ipMasq: false, ipam }),
    );
    const network = await start();
    const { ips } = await network.attach(request(podA, published(18081, 'tcp')));
    servers.push(await serve(podA, 8000));
    expect(await ask('', 'tcp', ips[0]!, 8000)).toBe('10.215.1.1');
    expect(await ask('', 'tcp', '127.0.0.1', 18081)).not.toMatch(/timeout|E[A-Z]+/);
    await detach(network, podA);
    expect(findRules()).toBe('');
  });
});

describe('the default network', () => {
  test('serves two families, reaches the host, other pods and the world, and takes no program per pod', async () => {
    addOutside();
    const network = await start();
    expect(await network.status()).toEqual({ isReady: true, reason: '', message: '' });
    const a = await network.attach(request(podA));
    expect(a.ips).toHaveLength(2);
    expect(a.ips[0]).toMatch(/^10\.\d+\.0\.2$/);
    expect(a.ips[1]).toMatch(/^fd/);
    const before = processStarts();
    const b = await network.attach(request(podB));
    expect(listPorts(bridge)).toHaveLength(2);
    expect(processStarts() - before).toBe(0);

    servers.push(await serve(podB, 8000), await serve(outside, 8000), await serve('', 8009));
    const gateway = sh('ip', '-n', podA, 'route', 'show', 'default').split(' ')[2]!;
    const gateway6 = sh('ip', '-n', podA, '-6', 'route', 'show', 'default').split(' ')[2]!;
    expect(await ask(podA, 'tcp', gateway, 8009)).toBe(a.ips[0]);
    expect(await ask(podA, 'tcp', b.ips[0]!, 8000)).toBe(a.ips[0]);
    expect(await ask(podA, 'tcp', b.ips[1]!, 8000)).toBe(a.ips[1]);
    expect(await ask(podA, 'tcp', gateway6, 8009)).toBe(a.ips[1]);
    // The outside has no route back to pods: answers show that it saw the host's address.
    expect(await ask(podA, 'tcp', outsideAddress, 8000)).toBe(hostAddress);
    expect(await ask(podA, 'udp', outsideAddress, 8000)).toBe(hostAddress);
    expect(await ask(podA, 'tcp', outsideAddress6, 8000)).toBe(hostAddress6);

    for (const server of servers.splice(0)) server.kill('SIGKILL');
    for (const pod of [podA, podB]) {
      await detach(network, pod);
      removeNamespace(pod);
    }
    await vi.waitFor(() => expect(listPorts(bridge)).toEqual([]), 5_000);
    expect(listReservations(`${dir}/state/ipam/berth`)).toEqual([]);
    expect(readdirSync(`${dir}/state/debts`)).toEqual([]);
  }, 60_000);

  test('gives way to a CNI configuration, is still paid by its old pods, and goes with the last of them', async () => {
    const network = await start();
    await network.attach(request(podA));
    expect(findRules()).toContain('masquerade');
    configureBridge();
    await vi.waitFor(async () =>
      expect(network.describe().configuration).toMatchObject({ isDefaultNetwork: false }),
    );
    expect((await network.attach(request(podB))).ips).toEqual(['10.215.0.2']);
    expect(isLink(bridge)).toBe(true);

    await detach(network, podA);
    expect(listReservations(`${dir}/state/ipam/berth`)).toEqual([]);
    expect(isLink(bridge)).toBe(false);
    expect(findRules()).toBe('');
    await detach(network, podB);

    rmSync(`${dir}/net.d`, { recursive: true });
    await vi.waitFor(async () =>
      expect(network.describe().configuration).toMatchObject({ isDefaultNetwork: true }),
    );
    removeNamespace(podA);
    addNamespace(podA);
    expect((await network.attach(request(podA))).ips).toHaveLength(2);
  }, 60_000);

  test.each([
    ['before', 'kill -9 $$', true],
    ['after', 'nft "$@"; kill -9 $$', false],
  ])(
    'a death while it gives way, %s its packet rules are gone, leaves none to the next start',
    async (_when, death, hasRules) => {
      const dying = `${dir}/nft-dies`;
      const stand = `[ ! -e ${dying} ] || { mv ${dying} ${dying}.now; ${death}; }\nexec nft "$@"`;
      writeFileSync(`${dir}/bin/nft`, `#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n${stand}\n`, {
        mode: 0o755,
      });
      const network = await start({ programDirs: [`${dir}/bin`] });
      await network.attach(request(podA));
      await detach(network, podA);
      writeFileSync(dying, '');
      configureBridge();
      await vi.waitFor(() => expect(existsSync(`${dying}.now`)).toBe(true), 5_000);
      await vi.waitFor(() => expect(findRules() !== '').toBe(hasRules), 5_000);
      expect(isLink(bridge)).toBe(false);
      // It tells the next start of the rules for as long as they may be there.
      expect(existsSync(`${dir}/state/default-network.json`)).toBe(true);
      network.stop();

      await start();
      expect(findRules()).toBe('');
      expect(existsSync(`${dir}/state/default-network.json`)).toBe(false);
    },
  );

  test('keeps its prefixes and rules across a restart, and gives back an address that no sandbox owns', async () => {
    const network = await start();
    const { ips } = await network.attach(request(podA));
    const reservation = `${dir}/state/ipam/berth`;
    const orphan = ips[0]!.replace(/2$/, '77');
    writeFileSync(`${reservation}/${orphan}`, 'nobody\r\neth0');
    sh('nft', 'delete', 'table', 'inet', table);
    network.stop();

    const restarted = await start();
    expect(findRules()).toContain('masquerade');
    expect(listReservations(reservation).sort()).toEqual([...ips].sort());
    const next = await restarted.attach(request(podB));
    expect(next.ips[0]?.split('.').slice(0, 3)).toEqual(ips[0]?.split('.').slice(0, 3));
  });

  test("takes the node's pod prefix once it has no pods", async () => {
    const network = await start();
    await network.attach(request(podA));
    network.setPodCidr('10.214.3.0/24,fd00:214:3::/64');
    expect((await network.attach(request(podB))).ips[0]).not.toMatch(/^10\.214\./);
    for (const pod of [podA, podB]) {
      await detach(network, pod);
      removeNamespace(pod);
    }
    addNamespace(podA);
    expect((await network.attach(request(podA))).ips).toEqual(['10.214.3.2', 'fd00:214:3::2']);
    expect(findRules()).toContain('10.214.3.0/24');
    expect(sh('ip', '-4', 'addr', 'show', bridge)).not.toContain('10.88.');
  });

  test('needs no CNI plugin, and is not ready without nft, which it names', async () => {
    const network = await start({ pluginDirs: [`${dir}/bin`] });
    expect(await network.status()).toEqual({ isReady: true, reason: '', message: '' });
    expect((await network.attach(request(podA))).ips).toHaveLength(2);
    const { isReady, message } = await (await start({ programDirs: [`${dir}/bin`] })).status();
    expect(isReady).toBe(false);
    expect(message).toContain('package nftables');
  });
});

describe('host ports', () => {
  test('answer over loopback, the host address, from outside and from the pods themselves; then they are gone', async () => {
    addOutside();
    const network = await start();
    const a = await network.attach(
      request(podA, published(18090, 'tcp'), published(18090, 'udp'), published(18091, 'tcp', hostAddress)),
    );
    await network.attach(request(podB));
    servers.push(await serve(podA, 8000));
    const failure = /timeout|^E[A-Z]+/;
    for (const protocol of ['tcp', 'udp'] as const) {
      expect(await ask('', protocol, '127.0.0.1', 18090)).not.toMatch(failure);
      expect(await ask('', protocol, hostAddress, 18090)).not.toMatch(failure);
      expect(await ask(outside, protocol, hostAddress, 18090)).toBe(outsideAddress);
      expect(await ask(podB, protocol, hostAddress, 18090)).not.toMatch(failure);
      expect(await ask(podA, protocol, hostAddress, 18090)).not.toMatch(failure);
    }
    await vi.waitFor(
      async () => expect(await ask('', 'tcp', hostAddress6, 18090, 500)).not.toMatch(failure),
      10_000,
    );
    expect(await ask(outside, 'tcp', hostAddress6, 18090)).toBe(outsideAddress6);
    expect(await ask(podA, 'tcp', hostAddress6, 18090)).not.toMatch(failure);
    // Only on the address that was asked for.
    expect(await ask(outside, 'tcp', hostAddress, 18091)).toBe(outsideAddress);
    expect(await ask('', 'tcp', '127.0.0.1', 18091)).toBe('ECONNREFUSED');
    // route_localnet does not open the host's loopback to pods.
    servers.push(await serve('', 8009));
    sh(
      'ip',
      '-n',
      podB,
      'route',
      'add',
      '127.0.0.53/32',
      'via',
      sh('ip', '-n', podB, 'route', 'show', 'default').split(' ')[2]!,
    );
    sh('ip', 'netns', 'exec', podB, 'sysctl', '-qw', 'net.ipv4.conf.all.route_localnet=1');
    sh('ip', '-n', podB, 'route', 'delete', 'table', 'local', '127.0.0.0/8', 'dev', 'lo');
    expect(await ask(podB, 'tcp', '127.0.0.53', 8009)).toBe('timeout');

    await expect(
      network.attach({ ...request(podB, published(18090, 'tcp')), sandboxId: 'other' }),
    ).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringContaining(`held by sandbox sandbox-${podA}`),
    });

    await detach(network, podA);
    expect(await ask('', 'tcp', '127.0.0.1', 18090)).toBe('ECONNREFUSED');
    expect(findRules()).not.toContain('18090');
    expect(findRules()).not.toContain(a.ips[0]!);
  }, 90_000);

  test('come back after a restart and a flushed ruleset, and leave after another restart', async () => {
    const network = await start();
    await network.attach(request(podA, published(18092, 'tcp')));
    servers.push(await serve(podA, 8000));
    network.stop();
    sh('nft', 'delete', 'table', 'inet', table);
    expect(await ask('', 'tcp', '127.0.0.1', 18092)).toBe('ECONNREFUSED');
    const restarted = await start();
    expect(await ask('', 'tcp', '127.0.0.1', 18092)).not.toMatch(/timeout|E[A-Z]+/);
    restarted.stop();

    const last = await start();
    await detach(last, podA);
    expect(findRules()).not.toContain('18092');
    expect(listReservations(`${dir}/state/ipam/berth`)).toEqual([]);
  }, 60_000);

  test('of an attach that failed are gone, also where nft was killed when it had written them', async () => {
    const dying = `${dir}/nft-dies`;
    const stand = `[ ! -e ${dying} ] || { rm ${dying}; nft "$@"; kill -9 $$; }\nexec nft "$@"`;
    writeFileSync(`${dir}/bin/nft`, `#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n${stand}\n`, {
      mode: 0o755,
    });
    const network = await start({ programDirs: [`${dir}/bin`] });
    await network.attach(request(podB));
    writeFileSync(dying, '');
    await expect(network.attach(request(podA, published(18094, 'tcp')))).rejects.toThrow('signal 9');
    expect(existsSync(dying)).toBe(false);
    expect(findRules()).not.toContain('18094');
    expect(findRules()).toContain('masquerade');
    expect(network.listDebts()).toEqual([`sandbox-${podB}`]);
  });

  test('are served by the new pod at once where a UDP flow had an old one', async () => {
    const network = await start();
    const { ips } = await network.attach(request(podA, published(18093, 'udp')));
    servers.push(await serve(podA, 8000));
    // One socket that keeps its port: its flow outlives the first pod in the connection table.
    const { createSocket } = await import('node:dgram');
    const socket = createSocket('udp4');
    const askOnce = () =>
      new Promise<string>((resolve) => {
        socket.once('message', (message) => resolve(message.toString()));
        socket.send('hello', 18093, '127.0.0.1');
        setTimeout(() => resolve('timeout'), 1500);
      });
    try {
      expect(await askOnce()).not.toBe('timeout');
      servers.splice(0)[0]!.kill('SIGKILL');
      await detach(network, podA);
      removeNamespace(podA);
      const next = await network.attach(request(podB, published(18093, 'udp')));
      expect(next.ips[0]).not.toBe(ips[0]);
      servers.push(await serve(podB, 8000));
      expect(await askOnce()).not.toBe('timeout');
    } finally {
      socket.close();
    }
  }, 60_000);

  test('stand side by side while pods come and go', async () => {
    const network = await start();
    const names = Array.from({ length: 6 }, (_unused, index) => `btest-n${index}`);
    for (const name of names) addNamespace(name);
    try {
      await Promise.all(
        names.map((name, index) => network.attach(request(name, published(18100 + index, 'tcp')))),
      );
      const gone = names.slice(0, 3);
      await Promise.all([
        ...gone.map((name) => detach(network, name)),
        network.attach(request(podA, published(18110, 'tcp'))),
      ]);
      const rules = findRules();
      for (const port of [18103, 18104, 18105, 18110]) expect(rules).toContain(String(port));
      for (const port of [18100, 18101, 18102]) expect(rules).not.toContain(String(port));
      expect(listReservations(`${dir}/state/ipam/berth`)).toHaveLength(8);
    } finally {
      for (const id of network.listDebts()) await network.detach(id, '');
      for (const name of names) removeNamespace(name);
    }
    expect(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim()).toBe('1');
  }, 60_000);
});
