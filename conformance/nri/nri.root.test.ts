/** NRI plugins made with NRI's own Go stub, on a berthd with real containers. Needs the Go toolchain. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ContainerState } from '#proto/generated/cri.ts';
import { BehaviourBed } from '../behaviour/bed.ts';
import { buildNriPlugin } from './build.ts';
import { type Behaviour, type PluginEvent, PluginProcess } from './plugin-process.ts';

/** A fresh Debian has no Go; everything else of `make test` runs there. */
const hasGo = spawnSync('go', ['version']).status === 0;
if (!hasGo) console.warn('skipping the tests with NRI plugins: they need Go, and there is none in PATH');

const MiB = 1 << 20;
const readLimit =
  'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max';

let program = '';
let bed: BehaviourBed;
const plugins: PluginProcess[] = [];

beforeAll(async () => {
  if (!hasGo) return;
  program = await buildNriPlugin();
  bed = await BehaviourBed.start({
    config: (dir) => ({ nri: { plugin_dir: join(dir, 'plugins'), config_dir: join(dir, 'conf.d') } }),
  });
}, 600_000);

afterEach(async () => {
  for (const plugin of plugins.splice(0)) await plugin.kill();
});

afterAll(() => bed?.close());

async function connect(name: string, index: string, behaviour: Behaviour = {}): Promise<PluginProcess> {
  const plugin = new PluginProcess(program, { socket: join(bed.dir, 'nri.sock'), name, index, behaviour });
  plugins.push(plugin);
  await plugin.next('Synchronize');
  return plugin;
}

describe.skipIf(!hasGo)('a plugin', () => {
  it('changes what runs: variables, annotations, mounts, arguments, limits', async () => {
    const shared = join(bed.dir, 'shared');
    mkdirSync(shared);
    writeFileSync(join(shared, 'hello'), 'from the plugin');
    await connect('changer', '10', {
      adjust: {
        changed: {
          annotations: { 'example.org/changed': 'yes' },
          env: [{ key: 'ADDED', value: 'by the plugin' }, { key: '-DROPPED' }],
          mounts: [{ destination: '/shared', source: shared, type: 'bind', options: ['rbind', 'ro'] }],
          rlimits: [{ type: 'RLIMIT_CORE', hard: '18446744073709551615', soft: '4096' }],
          linux: { resources: { memory: { limit: { value: 64 * MiB } } } },
        },
      },
    });
    const pod = await bed.runPod();
    const envs = [{ key: 'DROPPED', value: Buffer.from('1') }];
    const id = await bed.run(pod, 'changed', { envs });
    expect(await bed.sh(id, 'echo $ADDED,$DROPPED; cat /shared/hello; ulimit -c; ulimit -H -c')).toBe(
      'by the plugin,\nfrom the plugin8\nunlimited\n',
    );
    expect((await bed.sh(id, readLimit)).trim()).toBe(String(64 * MiB));
    const status = await bed.status(id);
    expect(status.resources?.linux?.memory_limit_in_bytes).toBe(BigInt(64 * MiB));
    const { runtimeSpec } = (await bed.info(id)) as unknown as {
      runtimeSpec: { annotations: Record<string, string> };
    };
    expect(runtimeSpec.annotations['example.org/changed']).toBe('yes');
    const plain = await bed.run(pod, 'plain', { envs });
    expect(await bed.sh(plain, 'echo $ADDED,$DROPPED')).toBe(',1\n');
    await bed.removePod(pod);
  });

  it('hears of each thing once, also of a container that ends by itself', async () => {
    const plugin = await connect('watcher', '10');
    const pod = await bed.runPod();
    const id = await bed.run(pod, 'short', { command: ['sh', '-c', 'exit 7'] });
    await bed.ended(id);
    await plugin.next('StopContainer');
    await bed.call('StopContainer', { container_id: id, timeout: 1n });
    await bed.call('RemoveContainer', { container_id: id });
    await bed.call('StopPodSandbox', { pod_sandbox_id: pod.id });
    await bed.call('StopPodSandbox', { pod_sandbox_id: pod.id });
    await bed.removePod(pod);
    await plugin.next('RemovePodSandbox');
    expect(plugin.names.slice(2)).toStrictEqual([
      'RunPodSandbox',
      'CreateContainer',
      'ValidateContainerAdjustment',
      'PostCreateContainer',
      'StartContainer',
      'PostStartContainer',
      'StopContainer',
      'RemoveContainer',
      'StopPodSandbox',
      'RemovePodSandbox',
    ]);
    const { container } = await plugin.next('StopContainer');
    expect(container).toMatchObject({ name: 'short', state: 'CONTAINER_STOPPED', exit_code: 7 });
    expect((await plugin.next('RunPodSandbox')).pod.ips).toHaveLength(1);
  });

  it('changes updates, and limits of its own accord', async () => {
    const plugin = await connect('balancer', '10', {
      update: {
        UpdateContainer: [
          { container_id: 'self', linux: { resources: { memory: { limit: { value: 80 * MiB } } } } },
        ],
      },
    });
    const pod = await bed.runPod();
    const id = await bed.run(pod, 'web', {
      linux: { resources: { memory_limit_in_bytes: BigInt(64 * MiB) } },
    });
    await bed.call('UpdateContainerResources', {
      container_id: id,
      linux: { memory_limit_in_bytes: BigInt(70 * MiB), cpu_shares: 300n },
    });
    expect((await bed.sh(id, readLimit)).trim()).toBe(String(80 * MiB));
    expect((await bed.status(id)).resources?.linux).toMatchObject({
      memory_limit_in_bytes: BigInt(80 * MiB),
      cpu_shares: 300n,
    });
    plugin.order({ container_id: id, linux: { resources: { memory: { limit: { value: 96 * MiB } } } } });
    expect((await plugin.next('updated')).more).toStrictEqual({ failed: 0, error: '<nil>' });
    expect((await bed.sh(id, readLimit)).trim()).toBe(String(96 * MiB));
    expect((await bed.status(id)).resources?.linux?.memory_limit_in_bytes).toBe(BigInt(96 * MiB));
    await bed.removePod(pod);
  });

  it('refuses, and what was begun is undone and told as gone', async () => {
    const watcher = await connect('watcher', '10');
    const plugin = await connect('no', '20', {
      fail: { RunPodSandbox: 'no pods', CreateContainer: 'no containers', StartContainer: 'no starts' },
      events: 'createcontainer',
    });
    const pod = await bed.runPod();
    await expect(bed.create(pod, 'web')).rejects.toThrow(
      'NRI plugin 20-no refused CreateContainer: no containers',
    );
    expect((await bed.call('ListContainers', {})).containers).toHaveLength(0);
    expect((await watcher.next('RemoveContainer')).container.name).toBe('web');
    await plugin.kill();
    const second = await connect('no', '20', {
      fail: { StartContainer: 'no starts' },
      events: 'startcontainer',
    });
    const id = await bed.create(pod, 'web');
    await expect(bed.call('StartContainer', { container_id: id })).rejects.toThrow('no starts');
    expect(await bed.status(id)).toMatchObject({
      state: ContainerState.CONTAINER_EXITED,
      exit_code: 128,
      reason: 'StartError',
    });
    await second.kill();
    await connect('no', '20', { fail: { RunPodSandbox: 'no pods' }, events: 'runpodsandbox' });
    const before = watcher.events.length;
    await expect(bed.runPod()).rejects.toThrow('no pods');
    const { items } = await bed.call('ListPodSandbox', {});
    expect(items.map((item) => item.id)).toStrictEqual([pod.id]);
    await watcher.next('RemovePodSandbox', before);
    await bed.removePod(pod);
  });
});

describe.skipIf(!hasGo)('an installed plugin', () => {
  const log = (): string => join(bed.dir, 'installed.log');
  const events = (): PluginEvent[] =>
    existsSync(log())
      ? readFileSync(log(), 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as PluginEvent)
      : [];

  it('takes part before the daemon serves, and again after a restart, with all that lives', async () => {
    for (const name of ['plugins', 'conf.d']) mkdirSync(join(bed.dir, name));
    copyFileSync(program, join(bed.dir, 'plugins', '10-adder'));
    const behaviour: Behaviour = { log: log(), adjust: { '*': { env: [{ key: 'ADDED', value: '1' }] } } };
    writeFileSync(join(bed.dir, 'conf.d', 'adder.conf'), JSON.stringify(behaviour));
    const pod = await bed.runPod();
    await bed.run(pod, 'before');
    await bed.endDaemon('SIGTERM');
    await bed.startDaemon();
    expect(events().map(({ event }) => event)).toStrictEqual(['Configure', 'Synchronize']);
    expect(events()[1]?.more).toStrictEqual({ pods: 1, containers: ['before CONTAINER_RUNNING'] });
    const id = await bed.run(pod, 'after');
    expect(await bed.sh(id, 'echo $ADDED')).toBe('1\n');
    await bed.endDaemon('SIGKILL');
    await bed.startDaemon();
    expect(events().at(-1)?.more.containers.toSorted()).toStrictEqual([
      'after CONTAINER_RUNNING',
      'before CONTAINER_RUNNING',
    ]);
    // The one before has ended with its daemon.
    await expect.poll(() => events().filter(({ event }) => event === 'closed')).toHaveLength(1);
    await bed.removePod(pod);
    // The look at what is left would find its process.
    await bed.endDaemon('SIGTERM');
    expect(
      events()
        .slice(-2)
        .map(({ event }) => event),
    ).toStrictEqual(['Shutdown', 'closed']);
    rmSync(join(bed.dir, 'plugins'), { recursive: true });
    await bed.startDaemon();
  });
});
