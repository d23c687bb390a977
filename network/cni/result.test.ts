import { describe, expect, test } from 'vitest';
import { parsePluginAnswer } from './exec.ts';
import { listPodIps, normaliseResult, orderByPreference } from './result.ts';

const results: Record<string, unknown> = {
  '0.2.0': {
    cniVersion: '0.2.0',
    ip4: { ip: '10.1.0.5/24', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0' }] },
    ip6: { ip: 'fd00::5/64', gateway: 'fd00::1' },
    dns: {},
  },
  '0.4.0': {
    cniVersion: '0.4.0',
    interfaces: [{ name: 'cni0' }, { name: 'veth1' }, { name: 'eth0', sandbox: '/run/netns/a' }],
    ips: [
      { version: '4', address: '10.1.0.5/24', gateway: '10.1.0.1', interface: 2 },
      { version: '6', address: 'fd00::5/64', gateway: 'fd00::1', interface: 2 },
    ],
  },
  '1.0.0': {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'eth0', sandbox: '/run/netns/a' }],
    ips: [
      { address: '10.1.0.5/24', gateway: '10.1.0.1', interface: 0 },
      { address: 'fd00::5/64', gateway: 'fd00::1' },
    ],
    routes: [{ dst: '0.0.0.0/0' }],
  },
  '1.1.0': {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1450, sandbox: '/run/netns/a', pciID: '' }],
    ips: [
      { address: '10.1.0.5/24', gateway: '10.1.0.1', interface: 0 },
      { address: 'fd00::5/64', gateway: 'fd00::1', interface: 0 },
    ],
    routes: [{ dst: '0.0.0.0/0', mtu: 1400, scope: 0 }],
  },
};

describe('results of every version', () => {
  test.each(Object.entries(results))('%s gives the same addresses', (_version, raw) => {
    const ips = listPodIps(normaliseResult(raw), 'eth0');
    expect(ips.map(({ address, prefix, gateway, family }) => ({ address, prefix, gateway, family }))).toEqual(
      [
        { address: '10.1.0.5', prefix: 24, gateway: '10.1.0.1', family: 4 },
        { address: 'fd00::5', prefix: 64, gateway: 'fd00::1', family: 6 },
      ],
    );
  });

  test.each([
    [null],
    ['text'],
    [[]],
    [{ ips: [{ address: 'not an address' }] }],
    [{ ips: [{ address: '10.0.0.1' }] }],
    [{ ip4: {} }],
  ])('%j is refused', (raw) => {
    expect(() => normaliseResult(raw)).toThrow(/CNI result/);
  });
});

describe('the addresses of a pod', () => {
  const result = normaliseResult({
    interfaces: [
      { name: 'eth0' },
      { name: 'eth0', sandbox: '/run/netns/a' },
      { name: 'net1', sandbox: '/run/netns/a' },
    ],
    ips: [
      { address: 'fd00::5/64', interface: 1 },
      { address: '192.0.2.9/24', interface: 0 },
      { address: '10.9.0.5/24', interface: 2 },
      { address: '10.1.0.5/24', interface: 1 },
      { address: '10.1.0.5/24', interface: 1 },
    ],
  });

  test("are those of the pod's interface, each once", () => {
    expect(listPodIps(result, 'eth0').map((ip) => ip.address)).toEqual(['fd00::5', '10.1.0.5']);
  });

  test.each([
    ['ipv4', ['10.1.0.5', 'fd00::5']],
    ['ipv6', ['fd00::5', '10.1.0.5']],
    ['cni', ['fd00::5', '10.1.0.5']],
  ] as const)('ordered for %s', (preference, expected) => {
    const ips = orderByPreference(listPodIps(result, 'eth0'), preference);
    expect(ips.map((ip) => ip.address)).toEqual(expected);
  });

  test('keep their order when the preferred family is absent', () => {
    const single = normaliseResult({ ips: [{ address: 'fd00::5/64' }] });
    expect(orderByPreference(listPodIps(single, 'eth0'), 'ipv4')[0]?.address).toBe('fd00::5');
  });
});

describe('what is no result', () => {
  test.each([
    ['a prefix too long', '{"ips":[{"address":"10.1.0.5/33"}]}'],
    ['one too long for IPv6', '{"ips":[{"address":"fd00::5/129"}]}'],
    ['a prefix of four hundred digits', `{"ips":[{"address":"10.1.0.5/${'9'.repeat(400)}"}]}`],
    ['an address of many levels', `{"ips":[{"address":${'['.repeat(20_000)}${']'.repeat(20_000)}}]}`],
    ['a level too many', `{"ips":[{"address":"10.1.0.5/16"}],"x":${'['.repeat(65)}${']'.repeat(65)}}`],
    ['words', 'no JSON'],
  ])('is refused: %s', (_what, text) => {
    expect(() => normaliseResult(parsePluginAnswer(text, 'CNI plugin p ADD'))).toThrow(
      expect.objectContaining({ kind: 'Internal', message: expect.stringMatching(/^CNI [^\n]{1,300}$/) }),
    );
  });
});
