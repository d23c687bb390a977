/**
 * Images, requests and CNI plugins that want the daemon, which is root, to touch the host: by links and odd files where it looks, by
 * annotations that OCI runtimes act on, by names and addresses. A folder of the host is the canary: nothing of it is changed,
 * shown or replaced, and nothing outside of what the daemon owns appears.
 */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RealRegistry } from '#images/testing/real-registry.ts';
import type { TestEntry } from '#images/testing/tar-writer.ts';
import { publish, testImage, testLayer } from '#images/testing/test-image.ts';
import type { ContainerConfigInit, PodSandboxConfigInit } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod } from './bed.ts';

let bed: BehaviourBed;
let registry: RealRegistry;
let pod: Pod;
let canary: string;
/** What the hostile CNI plugin prints; without the file the real one runs. */
let cniAnswer: string;

beforeAll(async () => {
  registry = await RealRegistry.start();
  bed = await BehaviourBed.start({
    config: (dir) => {
      canary = join(dir, 'canary');
      cniAnswer = join(dir, 'cni-answer');
      mkdirSync(join(canary, 'folder'), { recursive: true });
      writeFileSync(join(canary, 'passwd'), 'canary:x:1471147114:1471147114::/:/bin/sh\n');
      writeFileSync(join(canary, 'group'), 'canary:x:1471147114:\n');
      const plugins = join(dir, 'plugins');
      const configs = join(dir, 'hostile.d');
      for (const folder of [plugins, configs]) mkdirSync(folder);
      const plugin = join(plugins, 'hostile');
      writeFileSync(
        plugin,
        `#!/bin/sh\ncat >/dev/null\n[ "$CNI_COMMAND" = ADD ] && exec cat ${cniAnswer}\nexit 0\n`,
      );
      chmodSync(plugin, 0o755);
      const list = { cniVersion: '1.0.0', name: 'hostile', plugins: [{ type: 'hostile' }] };
      writeFileSync(join(configs, '1.conflist'), JSON.stringify(list));
      writeFileSync(cniAnswer, answerOf({ ips: [{ address: '10.9.8.7/24' }] }));
      return {
        network: { cni_config_dir: configs, cni_plugin_dirs: [plugins] },
      };
    },
  });
  pod = await bed.runPod();
});
afterAll(async () => {
  await bed?.close();
  await registry.stop();
});

const answerOf = (result: object) => JSON.stringify({ cniVersion: '1.0.0', ...result });

/** The canary with all that could be told of it. */
function look(): unknown {
  return ['', ...(readdirSync(canary, { recursive: true }) as string[]).toSorted()].map((name) => {
    const stat = lstatSync(join(canary, name));
    const content = stat.isFile() ? readFileSync(join(canary, name), 'utf8') : '';
    return [name, stat.mode, stat.uid, stat.gid, stat.nlink, stat.mtimeMs, content];
  });
}

let images = 0;
/** An image of busybox and these. */
async function pullImage(entries: readonly TestEntry[], config: object = {}): Promise<string> {
  images += 1;
  const base = testLayer([
    { name: 'bin/' },
    { name: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
    ...['sh', 'sleep', 'cat', 'ls', 'id', 'head'].map(
      (name): TestEntry => ({ name: `bin/${name}`, type: 'symlink', link: 'busybox' }),
    ),
  ]);
  const layer = testLayer(entries);
  const image = testImage([base, layer], {
    config: { config: { Env: ['PATH=/bin'], Cmd: ['sh'], ...config } },
  });
  await publish(registry, `hostile${images}`, image, ['v1']);
  const name = `${registry.host}/hostile${images}:v1`;
  await bed.call('PullImage', { image: { image: name } });
  return name;
}

/** Creates, starts and removes a container; gives what it was refused with, or what it printed. */
async function attempt(name: string, more: ContainerConfigInit, script = 'true'): Promise<string> {
  const command = ['sh', '-c', script];
  let id: string;
  try {
    id = await bed.create(pod, name, { command, ...more });
  } catch (error) {
    return `refused: ${(error as { code?: string }).code} ${String(error)}`;
  }
  try {
    await bed.call('StartContainer', { container_id: id });
    await bed.ended(id);
  } catch (error) {
    return `refused: ${(error as { code?: string }).code} ${String(error)}`;
  } finally {
    await bed.call('RemoveContainer', { container_id: id });
  }
  return bed.logText(pod, name);
}

const user = (run_as_username: string) => ({ linux: { security_context: { run_as_username } } });

test('accounts are read of regular files of the image only', async () => {
  const before = look();
  const upwards = (file: string) => `${'../'.repeat(40)}${file.slice(1)}`;
  const passwds: Record<string, TestEntry> = {
    link: { name: 'etc/passwd', type: 'symlink', link: join(canary, 'passwd') },
    upwards: { name: 'etc/passwd', type: 'symlink', link: upwards(join(canary, 'passwd')) },
    magic: { name: 'etc/passwd', type: 'symlink', link: `/proc/self/root${join(canary, 'passwd')}` },
    loop: { name: 'etc/passwd', type: 'symlink', link: 'passwd' },
    fifo: { name: 'etc/passwd', type: 'fifo' },
    endless: { name: 'etc/passwd', type: 'char', major: 1, minor: 5 },
    disk: { name: 'etc/passwd', type: 'block', major: 8, minor: 0 },
    folder: { name: 'etc/passwd/' },
    huge: {
      name: 'etc/passwd',
      content: 'x',
      pax: { 'GNU.sparse.size': String(2 ** 40), 'GNU.sparse.map': '0,1' },
    },
    'folder-out': { name: 'etc', type: 'symlink', link: canary },
    damaged: { name: 'etc/passwd', content: Buffer.from([0xff, 0x3a, 0, 0x3a, 0x0a, 0x3a, 0x3a, 0x3a]) },
    numbers: { name: 'etc/passwd', content: `canary:x:${'9'.repeat(400)}:-1::/:/\n` },
  };
  for (const [name, entry] of Object.entries(passwds)) {
    const group = entry.name === 'etc/passwd' ? [{ ...entry, name: 'etc/group' }] : [];
    const image = await pullImage([entry, ...group]);
    const startedMs = performance.now();
    const answer = await attempt(name, { image: { image }, ...user('canary') });
    expect([name, answer]).toEqual([name, expect.stringMatching(/^refused: (INVALID_ARGUMENT|NOT_FOUND) /)]);
    // With a number nothing has to be found, but the files are looked at all the same.
    const numeric = { linux: { security_context: { run_as_user: { value: 5n } } } };
    expect([
      name,
      await attempt(`${name}-number`, { image: { image }, ...numeric }, 'cat /proc/self/status'),
      // A link in the place of a folder that the OCI runtime needs is its to refuse.
    ]).toEqual([
      name,
      expect.stringMatching(name === 'folder-out' ? /^refused: |Uid:/ : / Uid:\t5\t5\t5\t5$/m),
    ]);
    expect(performance.now() - startedMs).toBeLessThan(15_000);
  }
  expect(look()).toEqual(before);
});

test('nothing is made or mounted through links of an image', async () => {
  const before = look();
  const out = [
    { name: 'out', type: 'symlink', link: canary },
    { name: 'up', type: 'symlink', link: `${'../'.repeat(40)}${canary.slice(1)}` },
    { name: 'file', type: 'symlink', link: join(canary, 'new-file') },
  ] as const;
  const image = await pullImage(out, {
    Volumes: { '/out/volume': {}, '/up/volume': {}, '/../../volume': {} },
  });
  const mounts = ['/out/mount', '/up/mount', '/file'].map((container_path) => ({
    host_path: join(bed.dir, 'source'),
    container_path,
  }));
  const shown = await attempt(
    'links',
    { image: { image }, mounts, working_dir: '/out/work' },
    'ls /out/ && cat /out/passwd',
  );
  expect(shown).not.toContain('1471147114');
  const plain = await pullImage(out);
  for (const working_dir of ['/out/work', '/up/work', '/file/work'])
    expect(await attempt('work', { image: { image: plain }, working_dir }, 'cat /out/passwd')).not.toContain(
      '1471147114',
    );
  // What the runtime puts into every container, in the place of links.
  for (const name of [
    'etc/hosts',
    'etc/hostname',
    'etc/resolv.conf',
    'dev/null',
    'dev/shm',
    'etc',
    'dev',
    'proc',
    'sys',
    'run',
  ]) {
    const where = await pullImage([
      { name, type: 'symlink', link: name.includes('.') ? join(canary, 'passwd') : canary },
    ]);
    const words = await attempt(
      'places',
      { image: { image: where } },
      `cat /${name}; ls /${name}; cat ${canary}/passwd`,
    );
    expect([name, words.includes('1471147114')]).toEqual([name, false]);
  }
  expect(look()).toEqual(before);
});

test('no descriptor of the host serves as a working folder', async () => {
  const before = look();
  // What the OCI runtime has open while it starts the container (the like of CVE-2024-21626).
  const script = `pwd; cat ${'../'.repeat(12)}${canary.slice(1)}/passwd`;
  for (let fd = 3; fd < 24; fd += 1) {
    const answer = await attempt(`descriptor-${fd}`, { working_dir: `/proc/self/fd/${fd}` }, script);
    expect([fd, answer.includes('1471147114')]).toEqual([fd, false]);
  }
  const image = await pullImage([], { WorkingDir: '/proc/self/fd/7' });
  expect(await attempt('descriptor-image', { image: { image } }, script)).not.toContain('1471147114');
  const id = await bed.run(pod, 'runs');
  for (let fd = 3; fd < 12; fd += 1) {
    const { stdout } = await bed.exec(id, ['sh', '-c', `cd /proc/self/fd/${fd} && ${script}`]);
    expect(stdout.toString()).not.toContain('1471147114');
  }
  await bed.call('RemoveContainer', { container_id: id });
  expect(look()).toEqual(before);
});

test('setuid programs, capabilities and devices of an image gain nothing by themselves', async () => {
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
  const image = await pullImage([
    { name: 'suid/busybox', content: readFileSync('/bin/busybox'), mode: 0o4755 },
    { name: 'disk', type: 'block', major: 8, minor: 0, mode: 0o666 },
    { name: 'memory', type: 'char', major: 1, minor: 1, mode: 0o666 },
    { name: 'capable', content: 'x', mode: 0o755, pax: { 'SCHILY.xattr.security.capability': capability } },
  ]);
  const context = { run_as_user: { value: 5n }, no_new_privs: true };
  const script = 'head -c 1 /disk; head -c 1 /memory; /suid/busybox cat /proc/self/status';
  const printed = await attempt('suid', { image: { image }, linux: { security_context: context } }, script);
  expect(printed).toMatch(/ Uid:\t5\t5\t5\t5$/m);
  expect(printed).toMatch(/disk.*Operation not permitted/);
  expect(printed).toMatch(/memory.*(Operation not permitted|No such device)/);
  expect(printed).toMatch(/CapEff:\s+0000000000000000/);
});

test('annotations steer no runtime, and names, lines and paths stay what they are', async () => {
  const before = look();
  const target = join(canary, 'written');
  const annotations = {
    'run.oci.hooks.stdout': target,
    'run.oci.hooks.stderr': target,
    'run.oci.seccomp_bpf_file': '/etc/shadow',
    'run.oci.seccomp.receiver': target,
    'run.oci.handler': 'krun',
    'org.systemd.property.ExecStartPre': `['/bin/touch', '${target}']`,
    'org.criu.config': target,
    'io.kubernetes.cri.sandbox-log-directory': canary,
    'module.wasm.image/variant': 'compat',
    [`../../${target}`]: target,
  };
  expect(await attempt('annotated', { annotations }, 'echo ran')).toContain('ran');
  const profile = (localhost_ref: string) => ({
    linux: { security_context: { seccomp: { profile_type: 2, localhost_ref } } },
  });
  const containers: Record<string, ContainerConfigInit> = {
    'a log that climbs': { log_path: '../../canary/written' },
    'a log of its own choice': { log_path: target },
    'a log through a NUL': { log_path: 'a\0b' },
    'a profile that climbs': profile(`${bed.dir}/../../etc/passwd`),
    'a profile beside the root': profile('passwd'),
    'a profile without end': profile('/dev/zero'),
    'a profile that is none': profile('/etc/passwd'),
    'a name that climbs': { metadata: { name: '../../canary/written' } },
    'a name of two lines': { metadata: { name: 'a\nb' } },
    'a folder of two lines': { working_dir: 'a\nb' },
    'a cgroup file that climbs': { linux: { resources: { unified: { '../../../canary': '1' } } } },
    'an image as a path': { image: { image: `../../..${canary}` } },
  };
  for (const [what, more] of Object.entries(containers))
    expect([what, await attempt(`bad${what.length}`, more)]).toEqual([
      what,
      expect.stringMatching(/^refused: (INVALID_ARGUMENT|NOT_FOUND) /),
    ]);
  const pods: Record<string, PodSandboxConfigInit> = {
    'a host name of two lines': { hostname: 'a\n127.0.0.1 evil' },
    'an option of two lines': { dns_config: { options: ['ndots:5\nnameserver 6.6.6.6'] } },
    'a domain of two lines': { dns_config: { searches: ['a\nnameserver 6.6.6.6'] } },
    'a log folder that climbs': { log_directory: `${bed.dir}/logs/../canary` },
    'a relative log folder': { log_directory: 'canary' },
    'a cgroup that climbs': { linux: { cgroup_parent: '/../../etc' } },
    'a sysctl of the node': { linux: { sysctls: { 'kernel.core_pattern': '|/bin/sh' } } },
    'a sysctl that climbs': { linux: { sysctls: { 'net/../kernel/core_pattern': '|/bin/sh' } } },
    'a sysctl that climbs by dots': { linux: { sysctls: { 'net.//.kernel.core_pattern': '|/bin/sh' } } },
    'a namespace that climbs': { metadata: { name: 'a', uid: 'a', namespace: '../..' } },
    'a name that hides an argument': { metadata: { name: 'a;IP=1.2.3.4', uid: 'a', namespace: 'n' } },
  };
  for (const [what, more] of Object.entries(pods))
    await expect(bed.runPod(more), what).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(look()).toEqual(before);
});

test('a CNI result names no place of the host, and what is no address is none', async () => {
  const before = look();
  const address = { address: '10.9.8.7/24' };
  const bad: Record<string, string> = {
    'no JSON': 'x'.repeat(5000),
    'no address': answerOf({ ips: [] }),
    'an address of words': answerOf({ ips: [{ address: `10.9.8.7/24; touch ${canary}/x` }] }),
    'an address of two lines': answerOf({ ips: [{ address: '10.9.8.7\n/24' }] }),
    'a prefix too long': answerOf({ ips: [{ address: '10.9.8.7/99' }] }),
    'a depth without end': `{"ips":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
    'a list': '[]',
    'an address of another link': answerOf({
      interfaces: [{ name: '../../canary', sandbox: '/x' }],
      ips: [{ ...address, interface: 0 }],
    }),
  };
  for (const [what, text] of Object.entries(bad)) {
    writeFileSync(cniAnswer, text);
    await expect(bed.runPod(), what).rejects.toMatchObject({
      code: 'INTERNAL',
      details: expect.stringMatching(/CNI/),
    });
  }
  const odd: Record<string, string> = {
    'links that climb': answerOf({
      interfaces: [{ name: '../../canary' }, { name: 'veth/../x' }, { name: 'eth0', sandbox: '/etc/passwd' }],
      ips: [{ ...address, interface: 2, gateway: `; touch ${canary}/x` }],
      routes: [{ dst: '../..', gw: '\n' }],
      dns: { nameservers: ['6.6.6.6\nnameserver 7.7.7.7'] },
    }),
    'a version that climbs': JSON.stringify({ cniVersion: '../../canary', ips: [address] }),
    'an index without end': answerOf({ ips: [{ ...address, interface: 1e300 }] }),
  };
  for (const [what, text] of Object.entries(odd)) {
    writeFileSync(cniAnswer, text);
    const hostile = await bed.runPod({ dns_config: { servers: ['10.0.0.1'] } });
    const { status } = await bed.call('PodSandboxStatus', { pod_sandbox_id: hostile.id });
    expect([what, status?.network?.ip]).toEqual([what, '10.9.8.7']);
    const id = await bed.run(hostile, 'inside');
    expect(await bed.sh(id, 'cat /etc/resolv.conf')).toBe('nameserver 10.0.0.1\n');
    await bed.removePod(hostile);
  }
  writeFileSync(cniAnswer, answerOf({ ips: [address] }));
  expect(look()).toEqual(before);
  expect(existsSync(join(canary, 'x'))).toBe(false);
});
