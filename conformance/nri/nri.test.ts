/** NRI plugins made with NRI's own Go stub, against a node without real containers. Needs the Go toolchain. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NriOptions } from '#runtime/nri/contract.ts';
import { Nri } from '#runtime/nri/service.ts';
import { buildNriPlugin } from './build.ts';
import { type Behaviour, PluginProcess } from './plugin-process.ts';
import { FakeNode } from './testing/fake-node.ts';

/** A fresh Debian has no Go; everything else of `make test` runs there. */
const hasGo = spawnSync('go', ['version']).status === 0;
if (!hasGo) console.warn('skipping the tests with NRI plugins: they need Go, and there is none in PATH');

let program = '';
let folder = '';
let node: FakeNode;
let nri: Nri;
const plugins: PluginProcess[] = [];

beforeAll(async () => {
  if (hasGo) program = await buildNriPlugin();
}, 600_000);

async function startNri(options: Partial<NriOptions> = {}): Promise<void> {
  nri = new Nri({
    socketPath: join(folder, 'nri', 'nri.sock'),
    pluginDir: join(folder, 'plugins'),
    configDir: join(folder, 'conf.d'),
    registrationTimeoutMs: 5000,
    requestTimeoutMs: 2000,
    runtimeVersion: '1.2.3',
    host: node,
    log: pino({ level: process.env.NRI_LOG ?? 'silent' }),
    ...options,
  });
  await nri.start();
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nri-'));
  node = new FakeNode();
  await startNri();
});

afterEach(async () => {
  for (const plugin of plugins.splice(0)) await plugin.kill();
  await nri.close();
  rmSync(folder, { recursive: true });
});

function launch(name: string, index: string, behaviour: Behaviour = {}, isOld = false): PluginProcess {
  const socket = join(folder, 'nri', 'nri.sock');
  const plugin = new PluginProcess(program, { socket, name, index, behaviour, isOld });
  plugins.push(plugin);
  return plugin;
}

/** A plugin that takes part. */
async function connect(
  name: string,
  index: string,
  behaviour: Behaviour = {},
  isOld = false,
): Promise<PluginProcess> {
  const plugin = launch(name, index, behaviour, isOld);
  await plugin.next('Synchronize');
  await nri.during(async () => {}); // behind the synchronization, and so behind its joining
  return plugin;
}

describe.skipIf(!hasGo)('a plugin', () => {
  it('learns who it talks to and hears of a whole life in order', async () => {
    const plugin = await connect('watcher', '10');
    const pod = await node.runPod(nri, 'shop');
    await node.create(nri, pod, 'web');
    await node.start(nri, 'web');
    await node.update(nri, 'web', 512);
    await node.exit(nri, 'web');
    await node.remove(nri, 'web');
    await nri.sandboxStopped(pod);
    await nri.sandboxStopped(pod);
    await nri.removeSandbox(pod);
    await plugin.next('RemovePodSandbox');
    expect(plugin.names).toStrictEqual([
      'Configure',
      'Synchronize',
      'RunPodSandbox',
      'CreateContainer',
      'ValidateContainerAdjustment',
      'PostCreateContainer',
      'StartContainer',
      'PostStartContainer',
      'UpdateContainer',
      'PostUpdateContainer',
      'StopContainer',
      'RemoveContainer',
      'StopPodSandbox',
      'RemovePodSandbox',
    ]);
    expect(plugin.events[0]?.more).toMatchObject({
      runtime: 'berth',
      version: '1.2.3',
      request_timeout: '2s',
    });
    const { pod: seenPod, container } = await plugin.next('CreateContainer');
    expect(seenPod).toMatchObject({
      name: 'shop',
      namespace: 'default',
      ips: ['10.1.0.9'],
      linux: { cgroup_parent: '/kubepods/pod1' },
    });
    expect(container).toMatchObject({
      name: 'web',
      args: ['/bin/web', '--serve'],
      env: expect.arrayContaining(['LANG=C']),
      mounts: expect.arrayContaining([expect.objectContaining({ destination: '/proc' })]),
      user: {},
      image: { name: 'busybox:1' },
    });
    expect((await plugin.next('PostStartContainer')).container.state).toBe('CONTAINER_RUNNING');
    expect((await plugin.next('UpdateContainer')).more).toMatchObject({ cpu: { shares: { value: '512' } } });
    expect((await plugin.next('StopContainer')).container).toMatchObject({
      state: 'CONTAINER_STOPPED',
      exit_code: 3,
    });
  });

  it('changes a container in every way', async () => {
    await connect('changer', '10', {
      adjust: {
        web: {
          annotations: { added: 'yes', '-io.kubernetes.cri.container-type': '' },
          env: [{ key: 'ADDED', value: '1' }, { key: 'LANG', value: 'de' }, { key: '-PATH' }],
          mounts: [
            { destination: '/added', source: '/srv', type: 'bind', options: ['rbind', 'ro', 'rslave'] },
            { destination: '-/dev/mqueue' },
          ],
          args: ['/bin/other'],
          hooks: { poststop: [{ path: '/bin/gone', args: ['gone'], timeout: { value: 3 } }] },
          rlimits: [{ type: 'RLIMIT_NOFILE', hard: '18446744073709551615', soft: '1024' }],
          CDI_devices: [{ name: 'vendor.example/device=one' }],
          linux: {
            devices: [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229, file_mode: { value: 438 } }],
            resources: {
              memory: { limit: { value: 104857600 } },
              cpu: { shares: { value: 256 }, cpus: '0' },
              pids: { limit: 99 },
              unified: { 'memory.high': '90000000' },
            },
            oom_score_adj: { value: 500 },
            cgroups_path: '/elsewhere/web',
            namespaces: [{ type: '-cgroup' }],
            sysctl: { 'net.core.somaxconn': '512' },
            io_priority: { class: 'IOPRIO_CLASS_BE', priority: 4 },
            scheduler: { policy: 'SCHED_BATCH', nice: 5 },
            rdt: { clos_id: { value: 'gold' } },
            memory_policy: { mode: 'MPOL_BIND', nodes: '0' },
            seccomp_policy: { default_action: 'SCMP_ACT_ALLOW' },
            net_devices: { eth7: { name: 'net1' } },
          },
        },
      },
    });
    const pod = await node.runPod(nri, 'shop');
    const plain = await node.create(nri, pod, 'other');
    const spec = await node.create(nri, pod, 'web');
    expect(spec.annotations).toMatchObject({ added: 'yes' });
    expect(spec.annotations).not.toHaveProperty('io.kubernetes.cri.container-type');
    expect(spec.process).toMatchObject({
      args: ['/bin/other'],
      oomScoreAdj: 500,
      ioPriority: { class: 'IOPRIO_CLASS_BE', priority: 4 },
      scheduler: { policy: 'SCHED_BATCH', nice: 5 },
    });
    expect(spec.process.env).toContain('ADDED=1');
    expect(spec.process.env.filter((entry) => /^(PATH|LANG)=/.test(entry))).toStrictEqual(['LANG=de']);
    expect(JSON.stringify(spec.process.rlimits)).toContain('"hard":18446744073709551615,"soft":1024');
    expect(spec.mounts).toContainEqual({
      destination: '/added',
      source: '/srv',
      type: 'bind',
      options: ['rbind', 'ro', 'rslave'],
    });
    expect(spec.mounts.map(({ destination }) => destination)).not.toContain('/dev/mqueue');
    expect(spec.hooks).toStrictEqual({ poststop: [{ path: '/bin/gone', args: ['gone'], timeout: 3 }] });
    expect(spec.linux).toMatchObject({
      cgroupsPath: '/elsewhere/web',
      rootfsPropagation: 'rslave',
      sysctl: { 'net.core.somaxconn': '512' },
      intelRdt: { closID: 'gold' },
      memoryPolicy: { mode: 'MPOL_BIND', nodes: '0' },
      seccomp: { defaultAction: 'SCMP_ACT_ALLOW' },
      netDevices: { eth7: { name: 'net1' } },
      resources: {
        memory: { limit: 104857600, swap: 104857600 },
        cpu: { shares: 256, cpus: '0' },
        pids: { limit: 99 },
        unified: { 'memory.high': '90000000' },
      },
    });
    expect(spec.linux.devices).toContainEqual({
      path: '/dev/fuse',
      type: 'c',
      major: 10,
      minor: 229,
      fileMode: 0o666,
    });
    expect(spec.linux.resources.devices?.at(-1)).toStrictEqual({
      allow: true,
      type: 'c',
      major: 10,
      minor: 229,
      access: 'rwm',
    });
    expect(spec.linux.namespaces.map(({ type }) => type)).not.toContain('cgroup');
    expect(node.cdiNames).toStrictEqual(['vendor.example/device=one']);
    expect(node.of('web').resources).toMatchObject({ memoryLimitBytes: 104857600, cpuShares: 256 });
    // A container that nothing is wanted of keeps all that the other lost.
    expect(plain.mounts.map(({ destination }) => destination)).toContain('/dev/mqueue');
    expect(plain.process.env).toContain('LANG=C');
    expect(node.of('other').resources).toBeUndefined();
  });

  it('can fail what has not happened yet, and only that', async () => {
    const fail = Object.fromEntries(
      ['CreateContainer', 'PostCreateContainer', 'StartContainer', 'StopContainer', 'RemoveContainer'].map(
        (event) => [event, `no ${event}`],
      ),
    );
    const pod = await node.runPod(nri, 'shop');
    const plugin = await connect('no', '10', { fail, events: 'all' });
    await expect(node.create(nri, pod, 'web')).rejects.toThrow(
      'NRI plugin 10-no refused CreateContainer: no CreateContainer',
    );
    await plugin.kill();
    await connect('no-more', '10', {
      fail: { ...fail, UpdateContainer: 'no', UpdatePodSandbox: 'no' },
      events:
        'postcreatecontainer,startcontainer,updatecontainer,stopcontainer,removecontainer,updatepodsandbox',
    });
    await node.create(nri, pod, 'web');
    await expect(node.start(nri, 'web')).rejects.toThrow('no StartContainer');
    await expect(node.update(nri, 'web', 2)).rejects.toThrow('refused UpdateContainer');
    await expect(nri.updateSandbox(pod, undefined, undefined)).rejects.toThrow('refused UpdatePodSandbox');
    await node.exit(nri, 'web');
    await node.remove(nri, 'web');
    expect(node.listContainers()).toHaveLength(0);
  });

  it('that is old gets what is news to it as changes of state', async () => {
    const plugin = await connect('old', '10', {}, true);
    const pod = await node.runPod(nri, 'shop');
    await node.create(nri, pod, 'web');
    await node.start(nri, 'web');
    await node.exit(nri, 'web');
    await node.remove(nri, 'web');
    await plugin.next('StateChange RemoveContainer');
    expect(plugin.names.slice(1)).toStrictEqual(
      ['RunPodSandbox', 'PostCreateContainer', 'StartContainer', 'PostStartContainer', 'RemoveContainer'].map(
        (name) => `StateChange ${name}`,
      ),
    );
    expect(plugin.events.at(-1)?.container.name).toBe('web');
  });

  it('with a bad name or index is turned away', async () => {
    for (const [name, index] of [
      ['with space', '10'],
      ['good', '1'],
    ]) {
      const plugin = launch(name!, index!);
      const { code, stderr } = await plugin.ended();
      expect(code).not.toBe(0);
      expect(stderr).toContain('invalid');
    }
  });

  it('hears that the runtime goes down', async () => {
    const plugin = await connect('watcher', '10');
    await nri.close();
    await plugin.next('Shutdown');
    await plugin.next('closed');
  });
});

describe.skipIf(!hasGo)('several plugins', () => {
  it('are asked by index, and each sees what the ones before it changed', async () => {
    const env = (value: string) => ({
      adjust: { '*': { env: [{ key: value, value }], annotations: { [value]: value } } },
    });
    const late = await connect('late', '90', env('LATE'));
    const early = await connect('early', '05', env('EARLY'));
    const pod = await node.runPod(nri, 'shop');
    const spec = await node.create(nri, pod, 'web');
    expect((await early.next('CreateContainer')).container.env).not.toContain('LATE=LATE');
    const seen = (await late.next('CreateContainer')).container;
    expect(seen.env).toContain('EARLY=EARLY');
    expect(seen.annotations).toMatchObject({ EARLY: 'EARLY' });
    expect(spec.process.env.slice(-2)).toStrictEqual(['EARLY=EARLY', 'LATE=LATE']);
  });

  it('may not want the same thing, unless the later one removes it first', async () => {
    const first = {
      env: [{ key: 'MODE', value: 'a' }],
      linux: { resources: { cpu: { shares: { value: 2 } } } },
    };
    await connect('first', '10', { adjust: { '*': first } });
    const pod = await node.runPod(nri, 'shop');
    for (const [adjust, thing] of [
      [{ env: [{ key: 'MODE', value: 'b' }] }, 'Env "MODE"'],
      [{ linux: { resources: { cpu: { shares: { value: 3 } } } } }, 'CPUShares'],
    ] as const) {
      const second = await connect('second', '20', { adjust: { '*': adjust } });
      await expect(node.create(nri, pod, 'web')).rejects.toThrow(
        `NRI plugins 10-first and 20-second both want to set ${thing}`,
      );
      await second.kill();
    }
    await connect('second', '20', {
      adjust: { '*': { env: [{ key: '-MODE' }, { key: 'MODE', value: 'b' }] } },
    });
    const spec = await node.create(nri, pod, 'web');
    expect(spec.process.env.filter((entry) => entry.startsWith('MODE='))).toStrictEqual(['MODE=b']);
  });

  it('are judged by others before anything is done', async () => {
    await connect('changer', '10', { adjust: { '*': { env: [{ key: 'ADDED', value: '1' }] } } });
    const judge = await connect('judge', '20', { events: 'validatecontaineradjustment', reject: 'not here' });
    const pod = await node.runPod(nri, 'shop');
    await expect(node.create(nri, pod, 'web')).rejects.toThrow('NRI plugin 20-judge rejects');
    const { more } = await judge.next('ValidateContainerAdjustment');
    expect(more.adjust.env).toStrictEqual([{ key: 'ADDED', value: '1' }]);
    expect(more.container.env).not.toContain('ADDED=1');
    expect(Object.values(more.owners.owners)).toStrictEqual([
      { compound: { 6: { owners: { ADDED: '10-changer' } } } },
    ]);
    expect(more.plugins).toStrictEqual([
      { name: 'changer', index: '10' },
      { name: 'judge', index: '20' },
    ]);
  });
});

describe.skipIf(!hasGo)('updates', () => {
  const shares = (id: string, value: number, more: object = {}) => ({
    container_id: id,
    linux: { resources: { cpu: { shares: { value } } } },
    ...more,
  });

  it('come with the answers to events, and for the container of the event itself', async () => {
    const pod = await node.runPod(nri, 'shop');
    await node.create(nri, pod, 'web');
    await node.create(nri, pod, 'side');
    const { id } = node.of('side');
    await connect('balancer', '10', {
      update: {
        Synchronize: [shares(id, 11)],
        CreateContainer: [shares(id, 12)],
        UpdateContainer: [shares('self', 13), shares(id, 14)],
        StopContainer: [shares(id, 15)],
      },
    });
    await node.create(nri, pod, 'third');
    const limits = await node.update(nri, 'web', 1000);
    expect(limits).toMatchObject({ resources: { cpuShares: 13 }, oci: { cpu: { shares: 13 } } });
    await node.exit(nri, 'web');
    expect(node.updates.map(({ name, limits }) => [name, limits.oci.cpu?.shares])).toStrictEqual([
      ['side', 11],
      ['side', 12],
      ['side', 14],
      ['side', 15],
    ]);
  });

  it('that fail, fail the request they came with unless that is to be ignored', async () => {
    const pod = await node.runPod(nri, 'shop');
    await node.create(nri, pod, 'side');
    node.stubborn.add('side');
    const { id } = node.of('side');
    const plugin = await connect('a', '10', { update: { CreateContainer: [shares(id, 1)] } });
    await expect(node.create(nri, pod, 'web')).rejects.toThrow('the limits of side stay');
    await plugin.kill();
    await connect('b', '10', {
      update: { CreateContainer: [shares(id, 1, { ignore_failure: true }), shares('gone', 1)] },
    });
    await node.create(nri, pod, 'web');
  });

  it('come unasked, even within an event about the same container', async () => {
    const pod = await node.runPod(nri, 'shop');
    await node.create(nri, pod, 'web');
    const plugin = await connect('b', '10', { callDuring: { StartContainer: [shares('self', 7)] } });
    plugin.order(shares(node.of('web').id, 6));
    expect((await plugin.next('updated')).more).toStrictEqual({ failed: 0, error: '<nil>' });
    await node.start(nri, 'web');
    node.stubborn.add('web');
    const before = plugin.events.length;
    plugin.order(shares(node.of('web').id, 8));
    expect((await plugin.next('updated', before)).more).toStrictEqual({ failed: 1, error: '<nil>' });
    expect(node.updates.map(({ limits }) => limits.oci.cpu?.shares)).toStrictEqual([6, 7]);
  });
});

describe.skipIf(!hasGo)('a plugin that fails', () => {
  beforeEach(async () => {
    await nri.close();
    await startNri({ requestTimeoutMs: 300 });
  });

  it('is left out when it does not answer, and the request goes on', async () => {
    const adjust = { '*': { env: [{ key: 'ADDED', value: '1' }] } };
    const slow = await connect('slow', '10', { delay: { CreateContainer: 5000 }, adjust });
    const other = await connect('other', '20');
    const pod = await node.runPod(nri, 'shop');
    const spec = await node.create(nri, pod, 'web');
    expect(spec.process.env).not.toContain('ADDED=1');
    await slow.next('closed');
    expect(await other.next('CreateContainer')).toBeDefined();
    await node.create(nri, pod, 'second');
    expect(slow.names.filter((name) => name === 'CreateContainer')).toHaveLength(1);
  });

  it('fails the request and stays if it says so when it is configured', async () => {
    const slow = await connect('strict', '10', {
      delay: { CreateContainer: 700 },
      failRequest: true,
      keepConnected: true,
    });
    const pod = await node.runPod(nri, 'shop');
    await expect(node.create(nri, pod, 'web')).rejects.toThrow(
      'NRI plugin 10-strict failed at CreateContainer: no answer to CreateContainer within 300 ms',
    );
    await nri.removeSandbox(pod);
    expect(await slow.next('RemovePodSandbox')).toBeDefined();
  });

  it('by dying delays nobody', async () => {
    const plugin = await connect('mortal', '10');
    const pod = await node.runPod(nri, 'shop');
    await plugin.kill();
    await node.create(nri, pod, 'web');
    await node.start(nri, 'web');
  });

  it('does not agree to what it was to judge', async () => {
    await connect('judge', '10', {
      events: 'validatecontaineradjustment',
      delay: { ValidateContainerAdjustment: 5000 },
    });
    const pod = await node.runPod(nri, 'shop');
    await expect(node.create(nri, pod, 'web')).rejects.toThrow('10-judge rejects');
    await node.create(nri, pod, 'web');
  });

  it('by hanging in its synchronization does not take part, and what waited goes on', async () => {
    const plugin = launch('slow', '10', { delay: { Synchronize: 5000 } });
    await plugin.next('Synchronize');
    const pod = await node.runPod(nri, 'shop');
    await node.create(nri, pod, 'web');
    await plugin.next('closed');
    expect(plugin.names).not.toContain('RunPodSandbox');
  });
});

describe.skipIf(!hasGo)('a plugin that comes late', () => {
  it('finds what exists, without what has ended', async () => {
    const pod = await node.runPod(nri, 'shop');
    for (const name of ['ended', 'made', 'running']) await node.create(nri, pod, name);
    await node.start(nri, 'running');
    await node.exit(nri, 'ended');
    const plugin = await connect('late', '10');
    expect((await plugin.next('Synchronize')).more).toStrictEqual({
      pods: 1,
      containers: ['made CONTAINER_CREATED', 'running CONTAINER_RUNNING'],
    });
  });

  it('sees no container by half: one that is being made is there when it comes, or is made after', async () => {
    const pod = await node.runPod(nri, 'shop');
    const pause = Promise.withResolvers<void>();
    const first = node.create(nri, pod, 'first', pause.promise);
    const plugin = launch('late', '10', { delay: { Synchronize: 200 } });
    await plugin.next('Configure');
    const second = node.create(nri, pod, 'second', pause.promise);
    pause.resolve();
    await Promise.all([first, second]);
    const { more } = await plugin.next('Synchronize');
    await nri.during(async () => {}); // behind its joining
    await node.create(nri, pod, 'third');
    const found: string[] = more.containers.map((entry: string) => entry.split(' ')[0]);
    const heard = (name: string) =>
      plugin.events.filter(({ event }) => event === name).map(({ container }) => container.name);
    // What it prints comes a little after what it answers.
    await expect.poll(() => heard('PostCreateContainer')).toContain('third');
    expect([...found, ...heard('CreateContainer')]).toStrictEqual(['first', 'second', 'third']);
    expect(heard('PostCreateContainer')).toStrictEqual(heard('CreateContainer'));
  });

  it('is told of more containers than fit one message', async () => {
    const pod = await node.runPod(nri, 'shop');
    await node.create(nri, pod, 'big');
    const { id } = node.of('big');
    const spec = node.specs.get(id)!;
    const env = Array.from({ length: 50 }, (_, index) => `V${index}=${'x'.repeat(1000)}`);
    for (let index = 0; index < 200; index += 1) {
      const name = `big${index}`;
      await node.create(nri, pod, name);
      node.specs.set(node.of(name).id, { ...spec, process: { ...spec.process, env } });
    }
    const plugin = await connect('late', '10');
    expect((await plugin.next('Synchronize')).more.containers).toHaveLength(201);
  });
});

describe.skipIf(!hasGo)('installed plugins', () => {
  const log = (name: string): string => join(folder, `${name}.log`);
  const heard = (name: string): string[] =>
    readFileSync(log(name), 'utf8')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { event: string }).event);

  function install(file: string, conf: string, behaviour: Behaviour): void {
    copyFileSync(program, join(folder, 'plugins', file));
    chmodSync(join(folder, 'plugins', file), 0o755);
    writeFileSync(join(folder, 'conf.d', conf), JSON.stringify(behaviour));
  }

  it('are started, configured and take part before anything is asked; broken ones keep nobody', async () => {
    await nri.close();
    for (const name of ['plugins', 'conf.d']) mkdirSync(join(folder, name));
    install('20-adder', 'adder.conf', {
      log: log('adder'),
      adjust: { '*': { env: [{ key: 'ADDED', value: '1' }] } },
    });
    install('10-first', '10-first.conf', { log: log('first'), fail: { Configure: 'not today' } });
    install('nameless', 'unused.conf', {});
    writeFileSync(join(folder, 'plugins', '30-broken'), 'no program', { mode: 0o755 });
    writeFileSync(join(folder, 'plugins', '40-readme'), 'text', { mode: 0o644 });
    await startNri();
    const pod = await node.runPod(nri, 'shop');
    const spec = await node.create(nri, pod, 'web');
    expect(spec.process.env).toContain('ADDED=1');
    await nri.close();
    expect(heard('adder').slice(0, 3)).toStrictEqual(['Configure', 'Synchronize', 'RunPodSandbox']);
    expect(heard('adder')).toContain('Shutdown');
    expect(heard('first').slice(0, 1)).toStrictEqual(['Configure']);
  });
});

describe.skipIf(!hasGo)('the socket', () => {
  it('takes the place of one that nobody answers, and leaves one that somebody does', async () => {
    const path = join(folder, 'nri', 'nri.sock');
    const second = new FakeNode();
    const { nri: first } = { nri };
    await startNri({ host: second });
    await nri.close();
    expect(existsSync(path)).toBe(true);
    nri = first;
    await connect('still', '10');
    await nri.close();
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, '');
    await startNri();
    await connect('again', '10');
  });
});
