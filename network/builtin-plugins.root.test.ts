/** Built-in plugins beside the real ones, with the real kernel. Forwarding stays on, as it does in use. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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
import { RouteSocket } from '#host/rtnetlink.ts';
import { auditNetwork } from './audit.ts';
import { parseNetworkList } from './cni/config.ts';
import { PluginRunner } from './cni/exec.ts';
import { deleteList } from './cni/invoke.ts';
import { CniPodNetwork, type CniPodNetworkOptions } from './cni-pod-network.ts';
import type { PodNetworkRequest, PortMapping } from './pod-network.ts';
import { addNamespace, ask, namespacePath, removeNamespace, serve, sh } from './testing/netns-peer.ts';

const table = 'berth_builtin_test';
const bridge = 'bblt0';
const upLink = 'bblt-up';
const [podA, podB, outside] = ['bblt-a', 'bblt-b', 'bblt-out'];
const [hostAddress, outsideAddress] = ['198.51.100.5', '198.51.100.6'];
const plugins = '/usr/lib/cni';

let dir: string;
let open: CniPodNetwork[];
let servers: ChildProcess[];
let names: string[];
/** What the daemons of a test said, one JSON object a line. */
let said: string[];

const optionsOf = (extra: Partial<CniPodNetworkOptions>): Omit<CniPodNetworkOptions, 'log' | 'now'> => ({
  confDir: `${dir}/net.d`,
  pluginDirs: [`${dir}/none`],
  cacheDir: `${dir}/cni`,
  stateDir: `${dir}/state`,
  defaultNetwork: false,
  builtinPlugins: true,
  firewallTable: table,
  ...extra,
});

async function start(extra: Partial<CniPodNetworkOptions> = {}): Promise<CniPodNetwork> {
  const log = pino({}, { write: (line: string) => said.push(line) });
  const network = new CniPodNetwork({ ...optionsOf(extra), log, now: Date.now });
  open.push(network);
  await network.start();
  return network;
}

/** A daemon where the option is off. */
const startOrdinary = () => start({ builtinPlugins: false, pluginDirs: [plugins] });

const idOf = (pod: string) => `sandbox-${pod}`;

const request = (pod: string, ...portMappings: PortMapping[]): PodNetworkRequest => ({
  sandboxId: idOf(pod),
  name: pod,
  namespace: 'test',
  uid: 'u',
  annotations: {},
  cgroupParent: '',
  portMappings,
  dns: undefined,
  netnsPath: namespacePath(pod),
});

const saying = (words: string) => said.filter((line) => line.includes(words));

const detach = (network: CniPodNetwork, pod: string) => network.detach(idOf(pod), namespacePath(pod));

const published = (hostPort: number): PortMapping => ({
  protocol: 'tcp',
  containerPort: 8000,
  hostPort,
  hostIp: '',
});

const dual = {
  ranges: [[{ subnet: '10.212.0.0/24' }], [{ subnet: 'fd00:212::/64' }]],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
};

function configure(keys: object = {}, ipam: object = dual, list: object = {}): string {
  mkdirSync(`${dir}/net.d`, { recursive: true });
  const text = JSON.stringify({
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge,
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ...keys,
        ipam: { type: 'host-local', dataDir: `${dir}/ipam`, ...ipam },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
    ...list,
  });
  writeFileSync(`${dir}/net.d/10-pods.conflist`, text);
  return text;
}

function addPod(name: string): string {
  names.push(name);
  addNamespace(name);
  return name;
}

function findRules(): string {
  try {
    return sh('nft', 'list', 'table', 'inet', table);
  } catch {
    return '';
  }
}

function listPorts(): string[] {
  const folder = `/sys/class/net/${bridge}/brif`;
  return existsSync(folder) ? readdirSync(folder) : [];
}

function listReservations(): string[] {
  const folder = `${dir}/ipam/pods`;
  return existsSync(folder) ? readdirSync(folder).filter((name) => /^[\da-f]+[.:]/.test(name)) : [];
}

async function expectNothingLeft(network: CniPodNetwork): Promise<void> {
  expect(network.listDebts()).toEqual([]);
  expect(readdirSync(`${dir}/state/debts`)).toEqual([]);
  expect(listReservations()).toEqual([]);
  if (existsSync(`${dir}/cni/results`)) expect(readdirSync(`${dir}/cni/results`)).toEqual([]);
  await vi.waitFor(() => expect(listPorts()).toEqual([]), 10_000);
}

function deleteBridge(): void {
  if (existsSync(`/sys/class/net/${bridge}`)) sh('ip', 'link', 'delete', bridge);
}

/** Rules that the real plugins left of pods whose namespace had gone first. */
function dropPluginRules(): void {
  for (const program of ['iptables', 'ip6tables']) {
    const rules = sh(program, '-w', '-t', 'nat', '-S', 'POSTROUTING').split('\n');
    for (const rule of rules.filter((line) => line.includes(idOf('bblt-')))) {
      const chain = rule.slice(rule.lastIndexOf(' ') + 1);
      const quiet = `${program} -w -t nat ${rule.replace(/^-A/, '-D')}; ${program} -w -t nat -F ${chain}; ${program} -w -t nat -X ${chain}`;
      sh('sh', '-c', quiet);
    }
  }
}

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/berth-builtin-`);
  open = [];
  servers = [];
  names = [];
  said = [];
  for (const name of [podA, podB]) addPod(name);
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const network of open) {
    for (const id of network.listDebts()) await network.detach(id, '').catch(() => {});
    network.stop();
  }
  for (const server of servers) server.kill('SIGKILL');
  for (const name of names) removeNamespace(name);
  for (const name of [bridge, upLink])
    if (existsSync(`/sys/class/net/${name}`)) sh('ip', 'link', 'delete', name);
  if (findRules() !== '') sh('nft', 'delete', 'table', 'inet', table);
  dropPluginRules();
  rmSync(dir, { recursive: true });
});

interface Seen {
  readonly [what: string]: unknown;
}

/** Everything that a pod and the host see of an attachment, without names and hardware addresses that are anybody's choice. */
function look(pod: string, raw: unknown): Seen {
  const inPod = (...args: string[]) => JSON.parse(sh('ip', '-n', pod, '-j', ...args));
  const addresses = (links: { addr_info: Record<string, unknown>[] }[]) =>
    links.flatMap(({ addr_info }) =>
      addr_info
        .filter(({ scope }) => scope === 'global')
        .map(({ local, prefixlen, broadcast, label }) => ({ local, prefixlen, broadcast, label })),
    );
  const sysctl = (path: string) => sh('ip', 'netns', 'exec', pod, 'cat', `/proc/sys/net/${path}`).trim();
  const text = JSON.stringify(raw)
    .replaceAll(/veth[0-9a-f]+/g, 'VETH')
    .replaceAll(/([0-9a-f]{2}:){5}[0-9a-f]{2}/g, 'MAC');
  const [port = ''] = listPorts();
  const linkFile = (link: string, file: string) =>
    readFileSync(`/sys/class/net/${link}/${file}`, 'utf8').trim();
  const folder = `${dir}/ipam/pods`;
  const [cached = ''] = readdirSync(`${dir}/cni/results`);
  const { result, ...entry } = JSON.parse(readFileSync(`${dir}/cni/results/${cached}`, 'utf8'));
  expect(result).toEqual(raw);
  return {
    result: JSON.parse(text),
    cached: [cached, entry],
    addresses: addresses(inPod('addr', 'show', 'eth0')),
    routes: inPod('route'),
    // The kernel adds those of link-local addresses in its own time.
    routes6: inPod('-6', 'route').filter(({ dst }: { dst: string }) => !dst.startsWith('fe80')),
    mtu: [inPod('link', 'show', 'eth0')[0].mtu, linkFile(port, 'mtu'), linkFile(bridge, 'mtu')],
    sysctls: ['ipv4/conf/eth0/arp_notify', 'ipv6/conf/eth0/accept_dad', 'ipv6/conf/eth0/accept_ra'].map(
      sysctl,
    ),
    bridge: addresses(JSON.parse(sh('ip', '-j', 'addr', 'show', bridge))),
    bridgeFiles: ['addr_assign_type', 'bridge/stp_state', 'bridge/ageing_time'].map((file) =>
      linkFile(bridge, file),
    ),
    acceptRa: readFileSync(`/proc/sys/net/ipv6/conf/${bridge}/accept_ra`, 'utf8').trim(),
    hairpin: linkFile(port, 'brport/hairpin_mode'),
    forwarding: readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim(),
    reserved: readdirSync(folder)
      .sort()
      .map((name) => {
        const { mode } = statSync(`${folder}/${name}`);
        return [name, (mode & 0o777).toString(8), readFileSync(`${folder}/${name}`, 'utf8')];
      }),
  };
}

const single = { subnet: '10.212.0.0/24' };

describe('beside the real plugins', () => {
  test.each([
    ['two families', {}, dual, {}],
    ['defaults', { isGateway: false, ipMasq: false, hairpinMode: false }, { ...single }, {}],
    [
      'own gateway, range and routes',
      { mtu: 1400, isDefaultGateway: true, isGateway: false },
      {
        ranges: [[{ ...single, gateway: '10.212.0.254', rangeStart: '10.212.0.7', rangeEnd: '10.212.0.9' }]],
        routes: [{ dst: '10.40.0.0/16', gw: '10.212.0.8' }, { dst: '10.41.0.0/16' }],
      },
      {},
    ],
    ['an older version', {}, { ...single, routes: [{ dst: '0.0.0.0/0' }] }, { cniVersion: '0.3.1' }],
    [
      'a range from the first to the last address',
      {},
      { ...single, rangeStart: '10.212.0.0' },
      { cniVersion: '0.4.0' },
    ],
  ])(
    '%s: pod, host, folder and cache are the same',
    async (_name, keys, ipam, list) => {
      configure(keys, ipam, list);
      const ordinary = await startOrdinary();
      const theirs = look(podA, (await ordinary.attach(request(podA))).raw);
      await detach(ordinary, podA);
      ordinary.stop();
      deleteBridge();
      rmSync(`${dir}/ipam`, { recursive: true });

      const network = await start();
      const before = processStarts();
      const { raw } = await network.attach(request(podA));
      // One program for the first pod: the masquerade rule.
      expect(processStarts() - before).toBe('ipMasq' in keys ? 0 : 1);
      expect(look(podA, raw)).toEqual(theirs);
      expect(await network.check(idOf(podA))).toBe(true);
      const started = processStarts();
      await network.attach(request(podB));
      await detach(network, podB);
      await detach(network, podA);
      expect(processStarts() - started).toBe(0);
      await expectNothingLeft(network);
    },
    30_000,
  );

  test('no two pods get one address while both reserve in one folder', async () => {
    const text = configure({}, dual);
    const network = await start();
    const own = Array.from({ length: 12 }, (_unused, index) => addPod(`bblt-n${index}`));
    const { ipam } = JSON.parse(text).plugins[0];
    const config = JSON.stringify({ cniVersion: '1.0.0', name: 'pods', type: 'bridge', ipam });
    const reserve = async (id: number) => {
      const env = {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: `other-${id}`,
        CNI_NETNS: '/none',
        CNI_IFNAME: 'eth0',
        CNI_PATH: plugins,
      };
      const child = spawn(`${plugins}/host-local`, { env, stdio: ['pipe', 'pipe', 'inherit'] });
      let answer = '';
      child.stdout.on('data', (chunk) => {
        answer += chunk;
      });
      child.stdin.end(config);
      await once(child, 'close');
      const { ips } = JSON.parse(answer) as { ips: { address: string }[] };
      return ips.map(({ address }) => address.split('/')[0]!);
    };
    const given = await Promise.all([
      ...own.flatMap((pod, index) => [
        network.attach(request(pod)).then(({ ips }) => [...ips]),
        reserve(index),
        reserve(index + 100),
      ]),
    ]);
    expect(new Set(given.flat()).size).toBe(72);
    expect(listReservations()).toHaveLength(72);
    await Promise.all(own.map((pod) => detach(network, pod)));
    const left = listReservations();
    expect(left).toHaveLength(48);
    for (const name of left) expect(readFileSync(`${dir}/ipam/pods/${name}`, 'utf8')).toMatch(/^other-/);
  }, 60_000);

  test('what one attached the other detaches, whatever the option says now, and both go on side by side', async () => {
    configure({}, { ...single, routes: [{ dst: '0.0.0.0/0' }] });
    const ordinary = await startOrdinary();
    const a = await ordinary.attach(request(podA, published(18401)));
    ordinary.stop();

    const network = await start({ pluginDirs: [plugins] });
    const b = await network.attach(request(podB, published(18402)));
    expect([a.ips, b.ips]).toEqual([['10.212.0.2'], ['10.212.0.3']]);
    servers.push(await serve(podA, 8000), await serve(podB, 8000));
    expect(await ask(podA, 'tcp', '10.212.0.3', 8000)).toBe('10.212.0.2');
    for (const port of [18401, 18402]) expect(await ask('', 'tcp', '127.0.0.1', port)).toMatch(/^\d/);
    await detach(network, podA);
    expect(sh('iptables-save', '-t', 'nat')).not.toContain('18401');
    expect(sh('iptables-save', '-t', 'nat')).not.toContain('10.212.0.2');
    expect(listReservations()).toEqual(['10.212.0.3']);
    network.stop();

    const back = await startOrdinary();
    expect(await ask('', 'tcp', '127.0.0.1', 18402)).toMatch(/^\d/);
    expect(findRules()).toContain('masquerade');
    removeNamespace(podA);
    addNamespace(podA);
    const again = await back.attach(request(podA));
    expect(again.ips).toEqual(['10.212.0.4']);
    await detach(back, podB);
    expect(findRules()).toBe('');
    await detach(back, podA);
    await expectNothingLeft(back);
  }, 60_000);

  test('the plugins detach what we attached, by what libcni’s cache says', async () => {
    configure({}, dual);
    const network = await start();
    await network.attach(request(podA, published(18403)));
    const [name = ''] = readdirSync(`${dir}/cni/results`);
    const cached = JSON.parse(readFileSync(`${dir}/cni/results/${name}`, 'utf8'));
    const list = parseNetworkList(Buffer.from(cached.config, 'base64').toString(), 'of a test');
    const attachment = {
      containerId: cached.containerId,
      netnsPath: cached.netns,
      ifName: cached.ifName,
      args: cached.cniArgs,
      capabilityArgs: cached.capabilityArgs,
    };
    const del = () =>
      deleteList(new PluginRunner([plugins]), list, attachment, cached.result, {
        timeoutMs: 10_000,
        signal: undefined,
      });
    // It misses its own masquerade rules once; all else is done by then, and the second try says so.
    await del().catch((error: Error) => expect(error.message).toContain('does not exist'));
    await del();
    expect(listReservations()).toEqual([]);
    expect(listPorts()).toEqual([]);
    await detach(network, podA);
    await expectNothingLeft(network);
  }, 30_000);
});

describe('a pod', () => {
  test('reaches its gateway, other pods, itself by its host port and the world, which sees the host', async () => {
    configure({}, { ...single, routes: [{ dst: '0.0.0.0/0' }] });
    addPod(outside);
    sh('ip', 'link', 'add', upLink, 'type', 'veth', 'peer', 'name', 'up', 'netns', outside);
    sh('ip', 'addr', 'add', `${hostAddress}/24`, 'dev', upLink);
    sh('ip', 'link', 'set', upLink, 'up');
    sh('ip', '-n', outside, 'addr', 'add', `${outsideAddress}/24`, 'dev', 'up');
    sh('ip', '-n', outside, 'link', 'set', 'dev', 'up', 'up');
    const network = await start();
    expect(await network.status()).toEqual({ isReady: true, reason: '', message: '' });
    servers.push(
      await serve(podA, 8000),
      await serve(podB, 8000),
      await serve(outside, 8000),
      await serve('', 8029),
    );
    const a = await network.attach(request(podA, published(18404)));
    const b = await network.attach(request(podB));
    expect(await ask(podA, 'tcp', '10.212.0.1', 8029, 900)).toBe(a.ips[0]);
    expect(await ask(podA, 'tcp', b.ips[0]!, 8000, 900)).toBe(a.ips[0]);
    expect(await ask('', 'tcp', a.ips[0]!, 8000, 900)).toBe('10.212.0.1');
    for (const protocol of ['tcp', 'udp'] as const)
      expect(await ask(podA, protocol, outsideAddress, 8000)).toBe(hostAddress);
    for (const from of [podA, podB, outside, ''])
      expect(await ask(from, 'tcp', hostAddress, 18404)).toMatch(/^\d/);
    expect(findRules()).toContain(
      'ip saddr 10.212.0.0/24 ip daddr != { 10.212.0.0/24, 224.0.0.0/4 } masquerade',
    );
    await detach(network, podA);
    expect(await ask('', 'tcp', hostAddress, 18404)).toBe('ECONNREFUSED');
  }, 60_000);

  test('is refused when the range is full, and gets what is given back, also by another', async () => {
    configure({}, { ...single, rangeStart: '10.212.0.4', rangeEnd: '10.212.0.5' });
    mkdirSync(`${dir}/ipam/pods`, { recursive: true });
    writeFileSync(`${dir}/ipam/pods/10.212.0.4`, 'another\r\neth0');
    const network = await start();
    expect((await network.attach(request(podA))).ips).toEqual(['10.212.0.5']);
    await expect(network.attach(request(podB))).rejects.toMatchObject({
      kind: 'ResourceExhausted',
      message: expect.stringContaining('the network pods has no free address in 10.212.0.0/24'),
    });
    expect(network.listDebts()).toEqual([idOf(podA)]);
    expect(listPorts()).toHaveLength(1);
    rmSync(`${dir}/ipam/pods/10.212.0.4`);
    expect((await network.attach(request(podB))).ips).toEqual(['10.212.0.4']);
  });

  test('is refused where the bridge has another address, unless forceAddress has it replaced', async () => {
    sh('ip', 'link', 'add', bridge, 'type', 'bridge');
    sh('ip', 'addr', 'add', '10.211.0.1/24', 'dev', bridge);
    sh('ip', 'addr', 'add', 'fd00:211::1/64', 'dev', bridge);
    configure();
    const network = await start();
    await expect(network.attach(request(podA))).rejects.toMatchObject({
      kind: 'FailedPrecondition',
      message: expect.stringContaining('10.211.0.1/24'),
    });
    await expectNothingLeft(network);
    configure({ forceAddress: true });
    await vi.waitFor(() =>
      expect(network.describe().configuration).toMatchObject({
        network: { plugins: [{ forceAddress: true }, {}] },
      }),
    );
    await network.attach(request(podA));
    const addresses = sh('ip', 'addr', 'show', bridge);
    expect(addresses).not.toContain('10.211.0.1');
    // Of IPv6 a bridge may have several.
    for (const address of ['10.212.0.1/24', 'fd00:211::1/64', 'fd00:212::1/64'])
      expect(addresses).toContain(address);
  });

  test('that a failure or a cancellation interrupts leaves nothing', async () => {
    configure();
    const network = await start();
    await expect(network.attach(request('bblt-none'))).rejects.toMatchObject({ kind: 'Internal' });
    await expectNothingLeft(network);
    vi.spyOn(RouteSocket.prototype, 'change').mockRejectedValueOnce(new Error('no memory'));
    await expect(network.attach(request(podA))).rejects.toThrow('no memory');
    const abort = new AbortController();
    const attaching = network.attach(request(podA), abort.signal);
    abort.abort();
    await expect(attaching).rejects.toMatchObject({ kind: 'Canceled' });
    await expectNothingLeft(network);
    expect((await network.attach(request(podA))).ips).toHaveLength(2);
  });
});

describe('configurations', () => {
  test('that are not understood are the plugins’, which is said once and shown', async () => {
    configure({ promiscMode: true, hairpinMode: false, ipMasq: false });
    const network = await start();
    const builtinPlugins = { isUsed: false, reason: 'bridge has promiscMode true' };
    expect(network.describe().configuration).toMatchObject({ builtinPlugins });
    expect((await network.status()).message).toContain('CNI plugin bridge is not in');
    const ordinary = await start({ pluginDirs: [plugins] });
    await ordinary.attach(request(podA));
    await ordinary.attach(request(podB));
    expect(JSON.parse(readFileSync(`${dir}/state/debts/${idOf(podA)}.json`, 'utf8')).native).toBeUndefined();
    await detach(ordinary, podA);
    await detach(ordinary, podB);
    // Two daemons, each once.
    expect(saying('bridge has promiscMode true')).toHaveLength(2);
    open = [ordinary];
  }, 30_000);

  test('that change leave old pods theirs, and a rule goes with the last pod that needs it', async () => {
    configure({}, { ...single });
    const network = await start();
    await network.attach(request(podA));
    configure({ bridge, forceAddress: true }, { subnet: '10.211.0.0/24' });
    await vi.waitFor(() => expect(saying('carried out without its plugins')).toHaveLength(2));
    expect((await network.attach(request(podB))).ips).toEqual(['10.211.0.2']);
    for (const prefix of ['10.211.0.0/24', '10.212.0.0/24']) expect(findRules()).toContain(`saddr ${prefix}`);
    await detach(network, podA);
    expect(findRules()).not.toContain('10.212.0.0/24');
    expect(findRules()).toContain('10.211.0.0/24');
    await detach(network, podB);
    rmSync(`${dir}/net.d`, { recursive: true });
    await vi.waitFor(() => expect(findRules()).toBe(''));
    expect(existsSync(`${dir}/state/builtin-masquerade.json`)).toBe(false);
  }, 30_000);

  test('need nft only for what they ask of it', async () => {
    configure();
    const blind = { programDirs: [`${dir}/none`] };
    const { isReady, message } = await (await start(blind)).status();
    expect([isReady, message]).toEqual([false, expect.stringContaining('package nftables')]);
    configure({ ipMasq: false }, dual, {
      plugins: [{ type: 'bridge', bridge, ipam: { type: 'host-local', dataDir: `${dir}/ipam`, ...single } }],
    });
    const network = await start(blind);
    expect((await network.status()).isReady).toBe(true);
    expect((await network.attach(request(podA))).ips).toHaveLength(1);
  });
});

/** Attaches in a process that kills itself before or after its n-th netlink change, or between its records. */
const killedAttach = `
const [options, request, count, moment] = JSON.parse(process.argv[1]);
const { RouteSocket } = await import(process.argv[2] + '/host/rtnetlink.ts');
const { AddressBook } = await import(process.argv[2] + '/network/native/addresses.ts');
const { CniPodNetwork } = await import(process.argv[2] + '/network/cni-pod-network.ts');
const { pino } = await import('pino');
const die = () => process.kill(process.pid, 'SIGKILL');
let changes = 0;
for (const [kind, name] of [[RouteSocket, 'change'], [AddressBook, 'reserve']]) {
  const real = kind.prototype[name];
  kind.prototype[name] = async function (...args) {
    // Cut links are removed at each start, in the background.
    if (args[0][0]?.what === 'removing the links of detached pods') return real.apply(this, args);
    changes += 1;
    const current = changes;
    if (current === count && moment === 'before') die();
    const result = await real.apply(this, args);
    if (current === count && moment === 'after') die();
    return result;
  };
}
const network = new CniPodNetwork({ ...options, log: pino({ level: 'silent' }), now: Date.now });
await network.start();
await network.attach(request);
process.exit(3);`;

describe('a daemon that is ended', () => {
  // A new bridge is made, then set up; addresses are reserved; the link is made; the pod is configured.
  test.each([1, 2, 3, 4, 5].flatMap((count) => [[count, 'before'] as const, [count, 'after'] as const]))(
    'by a kill at change %i, %s it, leaves what the next one takes back, with the option or without',
    async (count, moment) => {
      configure();
      const root = new URL('..', import.meta.url).pathname;
      const input = JSON.stringify([optionsOf({}), request(podA, published(18405)), count, moment]);
      const child = spawnSync(process.execPath, ['--input-type=module', '-e', killedAttach, input, root], {
        cwd: root,
        encoding: 'utf8',
      });
      expect([child.signal, child.stderr]).toEqual(['SIGKILL', '']);
      const network = await start({ builtinPlugins: moment === 'before' });
      expect(network.listDebts()).toEqual([idOf(podA)]);
      await detach(network, podA);
      await expectNothingLeft(network);
      if (moment === 'before') expect((await network.attach(request(podA))).ips).toHaveLength(2);
      else expect(findRules()).toBe('');
    },
  );

  test('has its rules again at the next start, and those of no pod are taken away', async () => {
    configure();
    const network = await start();
    await network.attach(request(podA, published(18406)));
    network.stop();
    sh('nft', 'delete', 'table', 'inet', table);
    const next = await start();
    for (const text of ['saddr 10.212.0.0/24', 'saddr fd00:212::/64', '18406'])
      expect(findRules()).toContain(text);
    await detach(next, podA);
    next.stop();
    expect(findRules()).toContain('masquerade');
    const off = await start({ builtinPlugins: false });
    expect(findRules()).toBe('');
    await expectNothingLeft(off);
  });

  test('is audited: rules that are missing, rules and addresses that are nobody’s', async () => {
    configure({}, { ...single });
    const id = 'a'.repeat(64);
    const network = await start();
    const { raw } = await network.attach({ ...request(podA, published(18408)), sandboxId: id });
    network.stop();
    const audit = async (isThere = true) => {
      const pod = { id, isReady: true, isChanging: false, netnsPath: namespacePath(podA), cniResult: raw };
      const found = await auditNetwork({
        pods: isThere ? [pod] : [],
        ...{
          stateDir: `${dir}/state`,
          confDir: `${dir}/net.d`,
          cacheDir: `${dir}/cni`,
          netnsDir: '/var/run/netns',
        },
        firewallTable: table,
      });
      return found.map(({ kind, what, path }) => [kind, what, path.split('/').at(-1)!.split(' ').at(-1)]);
    };
    expect(await audit()).toEqual([]);
    sh('nft', 'flush', 'chain', 'inet', table, 'pod_masquerade');
    expect(await audit()).toEqual([['missing', 'packet rule', 'pods']]);
    await (await start()).detach(id, namespacePath(podA));
    await vi.waitFor(() => expect(listPorts()).toEqual([]), 10_000);
    expect(await audit(false)).toEqual([]);
    writeFileSync(`${dir}/ipam/pods/10.212.0.9`, `${id}\r\neth0`);
    configure({ ipMasq: false }, { ...single });
    expect(await audit(false)).toEqual([
      ['leak', 'address', '10.212.0.9'],
      ['leak', 'packet rule', '24'],
    ]);
    rmSync(`${dir}/ipam/pods/10.212.0.9`);
  });

  test('by a reboot pays from its records, whether the option is still on or not', async () => {
    configure();
    for (const builtinPlugins of [true, false]) {
      const network = await start();
      await network.attach(request(podA, published(18407)));
      network.stop();
      removeNamespace(podA);
      deleteBridge();
      sh('nft', 'delete', 'table', 'inet', table);
      const next = await start({ builtinPlugins });
      await next.detach(idOf(podA), '');
      await expectNothingLeft(next);
      expect(findRules()).not.toContain('18407');
      next.stop();
      addNamespace(podA);
    }
    expect(findRules()).toBe('');
  });

  test('and whose record is damaged is paid by the sandbox’s id, where there are no plugins', async () => {
    configure();
    const network = await start();
    await network.attach(request(podA));
    network.stop();
    writeFileSync(`${dir}/state/debts/${idOf(podA)}.json`, '');
    const next = await start();
    await detach(next, podA);
    await expectNothingLeft(next);
    // And without libcni's cache, by the present configuration.
    await next.attach(request(podB));
    next.stop();
    writeFileSync(`${dir}/state/debts/${idOf(podB)}.json`, '{');
    rmSync(`${dir}/cni`, { recursive: true });
    const last = await start();
    await detach(last, podB);
    await expectNothingLeft(last);
  });
});
