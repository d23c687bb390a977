import { expect, test } from 'vitest';
import { formatAddress, formatCidr } from '../cidr.ts';
import { parseNetworkList } from '../cni/config.ts';
import { readPluginPlan } from './plugin-plan.ts';

const read = (list: object) =>
  readPluginPlan(
    parseNetworkList(JSON.stringify({ cniVersion: '1.0.0', name: 'pods', ...list }), 'of a test'),
    'berth0',
  );

const ipam = { type: 'host-local', ranges: [[{ subnet: '10.9.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] };
const bridge = { type: 'bridge', ipam };
const withBridge = (extra: object) => read({ plugins: [{ ...bridge, ...extra }] });
const withIpam = (extra: object) => withBridge({ ipam: { type: 'host-local', ...extra } });
const withRange = (range: object) => withIpam({ ranges: [[range]] });
const withPortmap = (extra: object) => read({ plugins: [bridge, { type: 'portmap', ...extra }] });

test('defaults are those of the plugins', () => {
  const { plan, reason } = withIpam({ subnet: '10.9.0.0/24' });
  expect(reason).toBe('');
  expect(plan).toMatchObject({
    bridge: {
      bridge: 'cni0',
      mtuBytes: 1500,
      isGateway: false,
      hasHairpin: false,
      found: 'refuse',
      routes: [],
      addresses: { dir: '/var/lib/cni/networks/pods', isShared: true },
      cniVersion: '1.0.0',
    },
    masquerade: [],
    publishesPorts: false,
  });
  const [subnet] = plan!.bridge.subnets;
  const text = (value: bigint) => formatAddress({ family: 4, value });
  expect([text(subnet!.gateway.value), text(subnet!.first), text(subnet!.last)]).toEqual([
    '10.9.0.1',
    '10.9.0.1',
    '10.9.0.254',
  ]);
  const [six] = withIpam({ subnet: 'fd00::/120' }).plan!.bridge.subnets;
  expect(six!.last).toBe(six!.prefix.base + 0xffn);
});

test('everything that the plugins bridge, host-local and portmap may be told is in the plan', () => {
  const { plan } = read({
    cniVersion: '0.3.1',
    disableCheck: true,
    plugins: [
      {
        type: 'bridge',
        bridge: 'br7',
        isDefaultGateway: true,
        forceAddress: true,
        ipMasq: true,
        mtu: 1400,
        hairpinMode: true,
        promiscMode: false,
        vlan: 0,
        ipam: {
          type: 'host-local',
          dataDir: '/data',
          ranges: [
            [{ subnet: 'fd00::/64', gateway: 'fd00::5' }],
            [{ subnet: '10.9.0.0/24', rangeStart: '10.9.0.0', rangeEnd: '10.9.0.9', gateway: '10.9.0.254' }],
          ],
          routes: [{ dst: '10.10.0.0/16', gw: '10.9.0.77' }, { dst: '10.11.0.0/16' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  });
  expect(plan).toMatchObject({
    bridge: {
      bridge: 'br7',
      isGateway: true,
      found: 'replace',
      mtuBytes: 1400,
      hasHairpin: true,
      addresses: { dir: '/data/pods' },
      cniVersion: '0.3.1',
    },
    publishesPorts: true,
  });
  expect(plan!.masquerade.map(formatCidr)).toEqual(['fd00::/64', '10.9.0.0/24']);
  const routes = plan!.bridge.routes.map(({ destination, gateway }) => [
    formatCidr(destination),
    gateway && formatAddress(gateway),
  ]);
  // As in the plugin: the default routes come last, and name their gateway.
  expect(routes).toEqual([
    ['10.10.0.0/16', '10.9.0.77'],
    ['10.11.0.0/16', undefined],
    ['::/0', 'fd00::5'],
    ['0.0.0.0/0', '10.9.0.254'],
  ]);
  const [, four] = plan!.bridge.subnets;
  expect([four!.first, four!.last].map((value) => value - four!.prefix.base)).toEqual([0n, 9n]);
});

test('a range of its own stands before those of `ranges`, and a default route with a gateway is enough', () => {
  const both = withIpam({ subnet: '10.9.0.0/24', ranges: [[{ subnet: 'fd00::/64' }]] });
  expect(both.plan!.bridge.subnets.map(({ prefix }) => prefix.family)).toEqual([4, 6]);
  const routes = [{ dst: '0.0.0.0/0', gw: '10.9.0.3' }];
  const own = withBridge({ isDefaultGateway: true, ipam: { ...ipam, routes } });
  expect(own.plan!.bridge.routes).toHaveLength(1);
});

test.each([
  ['cniVersion is 0.2.0', read({ cniVersion: '0.2.0', plugins: [bridge] })],
  ['cniVersion is 1.1.0', read({ cniVersion: '1.1.0', plugins: [bridge] })],
  ['the list has the key "args"', read({ args: {}, plugins: [bridge] })],
  ['the first plugin is ptp', read({ plugins: [{ type: 'ptp', ipam }] })],
  ['the plugin firewall takes part', read({ plugins: [bridge, { type: 'firewall' }] })],
  ['the plugin bandwidth', read({ plugins: [bridge, { type: 'portmap' }, { type: 'bandwidth' }] })],
  ['the plugin portmap', read({ plugins: [bridge, { type: 'portmap' }, { type: 'portmap' }] })],
  ['is that of the default network', withBridge({ bridge: 'berth0' })],
  ['bridge "" is no name', withBridge({ bridge: '' })],
  ['bridge "a/b" is no name', withBridge({ bridge: 'a/b' })],
  ['bridge "1234567890123456" is no name', withBridge({ bridge: '1234567890123456' })],
  ['bridge has the key "vlanTrunk"', withBridge({ vlanTrunk: [] })],
  ['bridge has the key "ipmasq"', withBridge({ ipmasq: true })],
  ['bridge has the key "dns"', withBridge({ dns: { nameservers: ['1.1.1.1'] } })],
  ['bridge has the key "args"', withBridge({ args: { cni: { ips: ['10.9.0.3'] } } })],
  ['bridge has promiscMode true', withBridge({ promiscMode: true })],
  ['bridge has vlan 7', withBridge({ vlan: 7 })],
  ['bridge has macspoofchk true', withBridge({ macspoofchk: true })],
  ['bridge has disableContainerInterface true', withBridge({ disableContainerInterface: true })],
  ['bridge asks for the capability mac', withBridge({ capabilities: { mac: true } })],
  ['ipMasq is neither', withBridge({ ipMasq: 'true' })],
  ['mtu 60 is not between', withBridge({ mtu: 60 })],
  [
    'mtu 1200 is not between 1280',
    withBridge({ mtu: 1200, ipam: { ...ipam, ranges: [[{ subnet: 'fd00::/64' }]], routes: [] } }),
  ],
  ['ipam is not an object', withBridge({ ipam: undefined })],
  ['ipam is of the type "dhcp"', withBridge({ ipam: { type: 'dhcp' } })],
  ['ipam has the key "resolvConf"', withIpam({ subnet: '10.9.0.0/24', resolvConf: '/etc/resolv.conf' })],
  ['ipam has no subnet', withIpam({})],
  ['ipam has a range without a subnet', withIpam({ rangeStart: '10.9.0.3' })],
  ['a family has several', withIpam({ subnet: '10.9.0.0/24', ranges: [[{ subnet: '10.8.0.0/24' }]] })],
  ['not just one range', withIpam({ ranges: [[{ subnet: '10.9.0.0/24' }, { subnet: '10.8.0.0/24' }]] })],
  ['not just one range', withIpam({ ranges: [[]] })],
  ['ranges is not a list', withIpam({ ranges: { subnet: '10.9.0.0/24' } })],
  ['dataDir "x" is not absolute', withIpam({ subnet: '10.9.0.0/24', dataDir: 'x' })],
  ['subnet "10.9.0.1/24" is no prefix', withRange({ subnet: '10.9.0.1/24' })],
  ['is too small', withRange({ subnet: '10.9.0.0/31' })],
  ['does not lie in it', withRange({ subnet: '10.9.0.0/24', gateway: '10.8.0.1' })],
  ['does not lie in it', withRange({ subnet: '10.9.0.0/24', rangeStart: '10.9.0.9', rangeEnd: '10.9.0.8' })],
  ['rangeStart "x" is no address', withRange({ subnet: '10.9.0.0/24', rangeStart: 'x' })],
  ['a range has the key "x"', withRange({ subnet: '10.9.0.0/24', x: 1 })],
  ['a route has the key "mtu"', withIpam({ subnet: '10.9.0.0/24', routes: [{ dst: '0.0.0.0/0', mtu: 1 }] })],
  ['dst "10.1.2.3/16" is no prefix', withIpam({ subnet: '10.9.0.0/24', routes: [{ dst: '10.1.2.3/16' }] })],
  ['a family without addresses', withIpam({ subnet: '10.9.0.0/24', routes: [{ dst: '::/0' }] })],
  [
    'a gateway outside',
    withIpam({ subnet: '10.9.0.0/24', routes: [{ dst: '10.1.0.0/16', gw: '10.8.0.1' }] }),
  ],
  // The plugin fails at the second route; it is left to say so.
  ['several routes lead to 0.0.0.0/0', withBridge({ isDefaultGateway: true })],
  ['portmap has snat false', withPortmap({ snat: false })],
  ['portmap has masqAll true', withPortmap({ masqAll: true })],
  ['portmap has the key "conditionsV4"', withPortmap({ conditionsV4: ['-i', 'eth0'] })],
  ['portmap has the key "backend"', withPortmap({ backend: 'nftables' })],
  ['portmap asks for the capability x', withPortmap({ capabilities: { portMappings: true, x: true } })],
])('the plugins run: %s', (expected, { plan, reason }) => {
  expect(plan).toBeUndefined();
  expect(reason).toContain(expected);
});
