import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { capabilityArgsOf, cniArgsOf, parseBitRate } from './capabilities.ts';
import { parseNetworkList, parseSinglePlugin } from './config.ts';
import { ConfigFolder, loadFolder } from './config-folder.ts';
import { deriveConfig } from './invoke.ts';

const log = pino({ level: 'silent' });
const listOf = (name: string, extra: object = {}) =>
  JSON.stringify({ cniVersion: '1.0.0', name, plugins: [{ type: 'bridge' }], ...extra });

describe('a list', () => {
  test('keeps its plugins in order, with what they ask for', () => {
    const text = listOf('pods', {
      disableCheck: 'true',
      plugins: [
        { type: 'bridge' },
        { type: 'portmap', capabilities: { portMappings: true, bandwidth: false } },
      ],
    });
    const list = parseNetworkList(text, 'x');
    expect(list).toMatchObject({ name: 'pods', cniVersion: '1.0.0', disableCheck: true, disableGc: false });
    expect(list.plugins.map(({ type, capabilities }) => [type, [...capabilities]])).toEqual([
      ['bridge', []],
      ['portmap', ['portMappings']],
    ]);
  });

  test.each([
    ['not JSON', '{', /not valid JSON/],
    ['no name', '{"cniVersion":"1.0.0","plugins":[{"type":"a"}]}', /name/],
    ['a bad name', listOf('-pods'), /name/],
    ['no plugins', listOf('pods', { plugins: [] }), /no plugins/],
    ['a plugin without type', listOf('pods', { plugins: [{}] }), /no type/],
    ['a plugin that is a path', listOf('pods', { plugins: [{ type: '../bin/sh' }] }), /not a file name/],
    ['a plugin that is a folder', listOf('pods', { plugins: [{ type: '..' }] }), /not a file name/],
    ['a plugin with a NUL', listOf('pods', { plugins: [{ type: 'a\0b' }] }), /not a file name/],
    ['a version from the future', listOf('pods', { cniVersion: '9.0.0' }), /not supported/],
    ['an array', '[]', /not an object/],
  ])('with %s is refused', (_name, text, expected) => {
    expect(() => parseNetworkList(text, 'x')).toThrow(expected);
  });

  test('takes the newest known of several versions', () => {
    const list = parseNetworkList(listOf('pods', { cniVersions: ['0.4.0', '1.1.0', '9.0.0'] }), 'x');
    expect(list.cniVersion).toBe('1.1.0');
  });

  test('a single plugin becomes a list of one; a list in its place is refused', () => {
    const list = parseSinglePlugin('{"cniVersion":"0.3.1","name":"old","type":"ptp","mtu":9000}', 'x');
    expect(list).toMatchObject({ name: 'old', cniVersion: '0.3.1' });
    expect(list.plugins[0]?.raw.mtu).toBe(9000);
    expect(parseNetworkList(list.text, 'x')).toEqual(list);
    expect(() => parseSinglePlugin(listOf('pods'), 'x')).toThrow(/rename/);
  });
});

describe('what a plugin reads', () => {
  test('carries name and version of the list, the previous result, and only what it asks for', () => {
    const text = listOf('pods', {
      plugins: [{ type: 'portmap', name: 'mine', snat: true, capabilities: { portMappings: true } }],
    });
    const list = parseNetworkList(text, 'x');
    const config = deriveConfig(list, list.plugins[0]!, { portMappings: [1], dns: {} }, { ips: [] });
    expect(config).toMatchObject({ name: 'pods', cniVersion: '1.0.0', snat: true, prevResult: { ips: [] } });
    expect(config.runtimeConfig).toEqual({ portMappings: [1] });
    expect(deriveConfig(list, list.plugins[0]!, {}, undefined)).not.toHaveProperty('runtimeConfig');
  });

  const request = {
    sandboxId: 'a',
    name: 'p',
    namespace: 'd',
    uid: 'u',
    annotations: { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '1Gi' },
    cgroupParent: '/kubepods/x',
    portMappings: [
      { protocol: 'tcp', containerPort: 80, hostPort: 8080, hostIp: '' },
      { protocol: 'udp', containerPort: 53, hostPort: 0, hostIp: '' },
    ],
    dns: { servers: ['10.96.0.10'], searches: [], options: [] },
    netnsPath: '/run/netns/a',
  } as const;
  const capabilities = [
    'portMappings',
    'bandwidth',
    'dns',
    'cgroupPath',
    'ipRanges',
    'io.kubernetes.cri.pod-annotations',
  ];
  const all = parseNetworkList(
    listOf('pods', {
      plugins: [{ type: 'all', capabilities: Object.fromEntries(capabilities.map((name) => [name, true])) }],
    }),
    'x',
  );

  test('is made from the pod', () => {
    expect(capabilityArgsOf(request, all, ['10.244.1.0/24', 'fd00:244::/64'])).toEqual({
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' }],
      bandwidth: { ingressRate: 1e7, ingressBurst: 4294967295, egressRate: 2 ** 30, egressBurst: 4294967295 },
      dns: request.dns,
      cgroupPath: '/kubepods/x',
      ipRanges: [[{ subnet: '10.244.1.0/24' }], [{ subnet: 'fd00:244::/64' }]],
      'io.kubernetes.cri.pod-annotations': request.annotations,
    });
    expect(capabilityArgsOf(request, parseNetworkList(listOf('pods'), 'x'), [])).toEqual({});
  });

  test('has names that a plugin can be told, and no argument hidden in one', () => {
    expect(cniArgsOf(request)).toContainEqual(['K8S_POD_NAME', request.name]);
    expect(() => cniArgsOf({ ...request, name: 'web;IP=10.0.0.1' })).toThrow(/cannot be told the name/);
  });

  test.each([
    ['1k', 1000],
    ['1500', 1500],
    ['2.5M', 2_500_000],
    ['1e6', 1e6],
    ['1Ki', 1024],
    ['1P', 1e15],
  ])('a rate of %s is %i bits', (text, expected) => {
    expect(parseBitRate(text, 'x')).toBe(expected);
  });

  test.each(['', '10', '1E', '10MB', '-1M', '1 M', '900m'])('a rate of %j is refused', (text) => {
    expect(() => parseBitRate(text, 'x')).toThrow(/annotation x/);
  });
});

describe('the folder', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(`${tmpdir()}/berth-cni-`);
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  test('offers lists before single plugins, by name, passing over what is invalid', () => {
    writeFileSync(`${dir}/00-a.conf`, '{"cniVersion":"1.0.0","name":"single","type":"ptp"}');
    writeFileSync(`${dir}/10-b.conflist`, '{broken');
    writeFileSync(`${dir}/20-c.conflist`, listOf('second'));
    writeFileSync(`${dir}/30-d.conflist`, listOf('third'));
    writeFileSync(`${dir}/00-e.conflist~`, listOf('backup'));
    const content = loadFolder(dir);
    expect(content.chosen?.list.name).toBe('second');
    expect(content.lastError).toContain('10-b.conflist');
  });

  test('of loopback alone, or absent, holds no candidate', () => {
    const none = { chosen: undefined, hasCandidates: false, lastError: '' };
    expect(loadFolder(`${dir}/absent`)).toEqual(none);
    writeFileSync(`${dir}/99-loopback.conf`, '{"cniVersion":"1.0.0","name":"lo","type":"loopback"}');
    expect(loadFolder(dir)).toEqual(none);
    writeFileSync(`${dir}/10-x.conf`, '{');
    expect(loadFolder(dir)).toMatchObject({ chosen: undefined, hasCandidates: true });
  });

  test('is followed as it appears, changes, breaks, goes and comes back', async () => {
    const path = `${dir}/etc/cni/net.d`;
    const changes = vi.fn();
    const folder = new ConfigFolder(path, log, changes);
    const name = () => folder.content.chosen?.list.name;
    folder.start();
    try {
      expect(name()).toBeUndefined();
      mkdirSync(path, { recursive: true });
      writeFileSync(`${path}/10-a.conflist`, listOf('first'));
      await vi.waitFor(() => expect(name()).toBe('first'));
      writeFileSync(`${path}/05-b.conflist`, listOf('earlier'));
      await vi.waitFor(() => expect(name()).toBe('earlier'));
      rmSync(`${path}/05-b.conflist`);
      await vi.waitFor(() => expect(name()).toBe('first'));

      writeFileSync(`${path}/10-a.conflist`, '{half');
      await vi.waitFor(() => expect(folder.content.lastError).not.toBe(''));
      expect(name()).toBe('first');
      writeFileSync(`${path}/10-a.conflist`, listOf('whole'));
      await vi.waitFor(() => expect(name()).toBe('whole'));
      expect(folder.content.lastError).toBe('');

      rmSync(`${dir}/etc`, { recursive: true });
      await vi.waitFor(() => expect(name()).toBeUndefined());
      mkdirSync(path, { recursive: true });
      writeFileSync(`${path}/10-a.conflist`, listOf('again'));
      await vi.waitFor(() => expect(name()).toBe('again'));
      expect(changes).toHaveBeenCalled();
    } finally {
      folder.stop();
    }
  });
});
