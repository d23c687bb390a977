import { describe, expect, test } from 'vitest';
import { parseCidr } from './cidr.ts';
import { normaliseResult } from './cni/result.ts';
import type { Debt } from './debts.ts';
import { pickSubnet } from './default-network.ts';
import { renderRuleset } from './firewall.ts';
import { listPublished, makePublication, refuseCollisions } from './host-ports.ts';
import { findDeviceTowards, parseIpv4Routes, parseIpv6Routes } from './host-routes.ts';
import type { PortMapping } from './pod-network.ts';

const port = (hostPort: number, hostIp = '', protocol: PortMapping['protocol'] = 'tcp'): PortMapping => ({
  protocol,
  containerPort: 80,
  hostPort,
  hostIp,
});

describe('host ports', () => {
  const holder = (mapping: PortMapping) => [{ sandboxId: 'holder', hostPorts: [mapping] } as unknown as Debt];

  test.each([
    ['the same port', port(80), port(80), true],
    ['another port', port(80), port(81), false],
    ['another protocol', port(80), port(80, '', 'udp'), false],
    ['any against one address', port(80), port(80, '192.0.2.1'), true],
    ['two addresses', port(80, '192.0.2.1'), port(80, '192.0.2.2'), false],
    ['one address, written twice', port(80, 'fd00::1'), port(80, 'fd00:0::1'), true],
    ['any of IPv4 against any of IPv6', port(80, '0.0.0.0'), port(80, '::'), false],
    ['any of IPv4 against an IPv6 address', port(80, '0.0.0.0'), port(80, 'fd00::1'), false],
    ['any of either against any of IPv6', port(80), port(80, '::'), true],
  ])('%s', (_name, wanted, held, collides) => {
    const refuse = () => refuseCollisions('new', [wanted], holder(held));
    if (collides) expect(refuse).toThrow(/held by sandbox holder/);
    else expect(refuse).not.toThrow();
  });

  test('collide within one pod too, but not with what the same sandbox held', () => {
    expect(() => refuseCollisions('new', [port(80), port(80, '127.0.0.1')], [])).toThrow(/twice/);
    expect(() => refuseCollisions('holder', [port(80)], holder(port(80)))).not.toThrow();
  });

  test('without a port of the host are nothing; out of range or with a bad address they are refused', () => {
    expect(listPublished([port(0), port(80)])).toEqual([port(80)]);
    expect(() => listPublished([port(70000)])).toThrow(/not a port number/);
    expect(() => listPublished([port(80, 'localhost')])).toThrow(/no IP address/);
  });

  const ips = normaliseResult({
    ips: [
      { address: '10.88.0.2/16', gateway: '10.88.0.1' },
      { address: 'fd00::2/64', gateway: 'fd00::1' },
    ],
  }).ips;

  test('are published for each family that the address allows', () => {
    const wanted = [port(80), port(81, '192.0.2.1'), port(82, 'fd00::9'), port(83, '0.0.0.0')];
    const { translations } = makePublication('sb', wanted, ips, 'berth0');
    expect(translations.map(({ family, hostIp, hostPort }) => [family, hostIp, hostPort])).toEqual([
      [4, '', 80],
      [6, '', 80],
      [4, '192.0.2.1', 81],
      [6, 'fd00::9', 82],
      [4, '', 83],
    ]);
    const onlyIpv4 = makePublication('sb', wanted, ips.slice(0, 1), 'berth0');
    expect(onlyIpv4.translations.map(({ hostPort }) => hostPort)).toEqual([80, 81, 83]);
  });

  test('have as neighbours the bridge, or on a routed link the pod alone', () => {
    expect(makePublication('sb', [port(80)], ips, '').neighbours[0]?.source).toBe('10.88.0.2/16');
    const routed = normaliseResult({ ips: [{ address: '10.1.0.2/32', gateway: '169.254.1.1' }] }).ips;
    expect(makePublication('sb', [port(80)], routed, '').neighbours[0]?.source).toBe('10.1.0.2');
  });

  test('with nothing to say the table goes', () => {
    expect(renderRuleset({ masquerade: [], publications: [] }, 'berth')).toBe(
      'table inet berth\ndelete table inet berth\n',
    );
  });
});

describe('routes of the host', () => {
  const ipv4 =
    parseIpv4Routes(`Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
docker0	0000580A	00000000	0001	0	0	0	0000FFFF	0	0	0
`);
  const ipv6 =
    parseIpv6Routes(`fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00440003     eth0
`);

  test('are read from the kernel', () => {
    expect(ipv4.map(({ destination, device }) => [destination, device])).toEqual([
      [parseCidr('0.0.0.0/0'), 'eth0'],
      [parseCidr('192.0.2.0/24'), 'eth0'],
      [parseCidr('10.88.0.0/16'), 'docker0'],
    ]);
    expect(ipv6.map(({ destination, isAdvertised }) => [destination, isAdvertised])).toEqual([
      [parseCidr('fd00::/64'), false],
      [parseCidr('::/0'), true],
    ]);
  });

  test('lead to a device by the longest prefix; the default route does not count', () => {
    const at = (text: string) => findDeviceTowards({ family: 4, value: parseCidr(`${text}/32`)!.base }, ipv4);
    expect(at('10.88.3.4')).toBe('docker0');
    expect(at('203.0.113.1')).toBeUndefined();
  });

  test('push the default network aside, the same way each time', () => {
    expect(pickSubnet(4, 'seed', [], 'berth0')).toEqual(parseCidr('10.88.0.0/16'));
    expect(pickSubnet(4, 'seed', ipv4, 'berth0')).toEqual(parseCidr('10.89.0.0/16'));
    expect(pickSubnet(4, 'seed', ipv4, 'docker0')).toEqual(parseCidr('10.88.0.0/16'));
    const first = pickSubnet(6, 'seed', [], 'berth0');
    expect(pickSubnet(6, 'seed', ipv6, 'berth0')).toEqual(first);
    expect(pickSubnet(6, 'other', [], 'berth0')).not.toEqual(first);
    const taken = [{ destination: first, device: 'eth0', isAdvertised: false }];
    expect(pickSubnet(6, 'seed', taken, 'berth0')).not.toEqual(first);
    const all = [{ destination: parseCidr('0.0.0.0/1')!, device: 'a', isAdvertised: false }];
    all.push({ destination: parseCidr('128.0.0.0/1')!, device: 'a', isAdvertised: false });
    expect(() => pickSubnet(4, 'seed', all, 'berth0')).toThrow(/configure one/);
  });
});
