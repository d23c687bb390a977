/** Recovery as a client sees it: the daemon is killed, the machine is changed behind its back, and it is started again. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { formatFinding } from '#base/finding.ts';
import { FaultBed, imageName } from '#conformance/faults/bed.ts';
import { PodWalk } from '#conformance/faults/pod-walk.ts';
import { clearGroup, detectCgroupLayout } from '#host/cgroup.ts';
import { listMounts, unmountAll } from '#host/mount.ts';
import { listProcessesOf } from '#host/proc.ts';
import { fixNode } from './audit-fix.ts';

const loop = ['sh', '-c', 'trap "exit 3" TERM; while :; do usleep 20000; done'];
let bed: FaultBed;
let count = 0;

beforeAll(async () => {
  bed = await FaultBed.prepare();
  await bed.start();
  await bed.call('PullImage', { image: { image: imageName } });
});

afterAll(async () => {
  await bed.close();
});

afterEach(async () => {
  // Only a failed test leaves any.
  await bed.start();
  for (const { id } of (await bed.call('ListPodSandbox', {})).items)
    await bed.call('RemovePodSandbox', { pod_sandbox_id: id }).catch(() => {});
});

async function newPod(command: readonly string[] = loop, sharesPid = false): Promise<PodWalk> {
  count += 1;
  const walk = new PodWalk(bed, { name: `pod${count}`, sharesPid, tries: 1 });
  await walk.run();
  await walk.start(command);
  return walk;
}

async function findings(): Promise<string[]> {
  return (await bed.audit()).map(formatFinding);
}

async function statusOf(id: string) {
  return (await bed.call('ContainerStatus', { container_id: id })).status!;
}

function stateFolder(...parts: string[]): string {
  return join(bed.config.daemon.stateDir, ...parts);
}

function damage(table: string, id: string, change: (text: string) => string): void {
  const database = new DatabaseSync(join(bed.config.daemon.rootDir, 'state.db'));
  const row = database.prepare(`SELECT record FROM ${table} WHERE id = ?`).get(id) as { record: string };
  database.prepare(`UPDATE ${table} SET record = ? WHERE id = ?`).run(change(row.record), id);
  database.close();
}

async function end(walk: PodWalk): Promise<void> {
  await walk.stop();
  await walk.remove();
  expect(await findings()).toEqual([]);
}

test('exit codes of containers that ended while the daemon was down are known', async () => {
  const walk = await newPod();
  await bed.kill();
  process.kill(bed.pidOf(walk.containerId, 'container'), 'SIGTERM');
  await expect.poll(() => existsSync(stateFolder('exits', walk.containerId))).toBe(true);
  await bed.start();
  expect(await walk.status()).toEqual({ state: 2, exitCode: 3, reason: 'Error' });
  await end(walk);
});

test('a container whose monitor died while the daemon was down is watched; its exit code is not lost', async () => {
  const walk = await newPod();
  await bed.kill();
  process.kill(bed.pidOf(walk.containerId, 'conmon'), 'SIGKILL');
  await bed.start();
  expect((await statusOf(walk.containerId)).state).toBe(1);
  await walk.exec();
  process.kill(bed.pidOf(walk.containerId, 'container'), 'SIGTERM');
  await expect.poll(async () => (await statusOf(walk.containerId)).state, { timeout: 10_000 }).toBe(2);
  // 255 where the kernel is too old to tell how another's child ended and its parent was quick.
  expect([3, 255]).toContain((await statusOf(walk.containerId)).exit_code);
  await end(walk);
});

test('a monitor that dies after a restart of the daemon is noticed, and so is the end of its container', async () => {
  const walk = await newPod();
  await bed.kill();
  await bed.start();
  process.kill(bed.pidOf(walk.containerId, 'conmon'), 'SIGKILL');
  await expect.poll(() => bed.logTail(20)).toContain('the monitor died');
  process.kill(bed.pidOf(walk.containerId, 'container'), 'SIGKILL');
  await expect.poll(async () => (await statusOf(walk.containerId)).state, { timeout: 10_000 }).toBe(2);
  expect([137, 255]).toContain((await statusOf(walk.containerId)).exit_code);
  await end(walk);
});

test('container and monitor both gone: exited with 255 and a reason', async () => {
  const walk = await newPod();
  await bed.kill();
  process.kill(bed.pidOf(walk.containerId, 'conmon'), 'SIGKILL');
  process.kill(bed.pidOf(walk.containerId, 'container'), 'SIGKILL');
  await bed.start();
  const status = await statusOf(walk.containerId);
  expect([status.state, status.exit_code, status.reason]).toEqual([2, 255, 'Unknown']);
  await end(walk);
});

test('a monitor that hangs does not keep a dead container from being stopped and removed', async () => {
  const walk = await newPod();
  process.kill(bed.pidOf(walk.containerId, 'conmon'), 'SIGSTOP');
  process.kill(bed.pidOf(walk.containerId, 'container'), 'SIGKILL');
  await walk.stopContainer(1n);
  const { state, reason } = await walk.status();
  expect(state).toBe(2);
  expect(['Error', 'Unknown']).toContain(reason);
  await end(walk);
});

test('a start that was under way when the daemon died is found to have succeeded; no second container is made', async () => {
  writeFileSync(bed.faultFile, 'start-container/oci-start:after=kill');
  const walk = new PodWalk(bed, { name: 'midway' });
  await walk.run();
  await walk.start(loop);
  expect(walk.failures).toHaveLength(1);
  const { containers } = await bed.call('ListContainers', {});
  expect(containers).toMatchObject([{ state: 1, metadata: { attempt: 0 } }]);
  expect((await statusOf(walk.containerId)).started_at).toBeGreaterThan(0n);
  await end(walk);
});

test('a container that was let go just before the daemon died is running, and the OCI runtime says so too', async () => {
  writeFileSync(bed.faultFile, 'start-container/oci-start:before=kill');
  const walk = new PodWalk(bed, { name: 'let-go', tries: 1 });
  await walk.run();
  await expect(walk.start(loop)).rejects.toThrow(/died/);
  const id = readdirSync(stateFolder('oci', 'crun'))[0]!;
  const gate = stateFolder('oci', 'crun', id, 'exec.fifo');
  writeFileSync(gate, '\0');
  expect(existsSync(gate)).toBe(true);
  await expect
    .poll(() => readFileSync(`/proc/${bed.pidOf(id, 'container')}/cmdline`, 'utf8'))
    .toMatch(/^sh\0/);
  await bed.start();
  expect(await statusOf(id)).toMatchObject({ state: 1 });
  const state = execFileSync('crun', ['--root', stateFolder('oci', 'crun'), 'state', id], {
    encoding: 'utf8',
  });
  expect(JSON.parse(state)).toMatchObject({ status: 'running' });
  await end(walk);
});

test('a command of ExecSync does not outlive the daemon that lost its client', async () => {
  const walk = await newPod();
  const call = bed.call('ExecSync', { container_id: walk.containerId, cmd: ['sleep', '4321'], timeout: 0n });
  call.catch(() => {});
  const commands = () =>
    listProcessesOf((path) => path === 'sleep').filter(({ command }) => command[1] === '4321');
  await expect.poll(commands).toHaveLength(1);
  await bed.kill();
  await bed.start();
  await expect.poll(commands).toEqual([]);
  await end(walk);
});

test('what a client makes while a start still undoes is not undone with it', {
  timeout: 60_000,
}, async () => {
  const lost = new PodWalk(bed, { name: 'half-made', tries: 1 });
  await lost.run();
  writeFileSync(
    bed.faultFile,
    'create-container/record-created:before=kill,recover/undo-container:before=hang',
  );
  await expect(lost.start(loop)).rejects.toThrow('died');
  // It serves after two seconds, whatever it is still at.
  await bed.start();
  expect(existsSync(bed.hangFile)).toBe(true);
  writeFileSync(bed.programFaultFile, 'bridge ADD hang\n');
  const made = new PodWalk(bed, { name: 'made-meanwhile', tries: 1 });
  const running = made.run();
  const attaching = `${bed.programFaultFile}.hanging`;
  await expect.poll(() => existsSync(attaching)).toBe(true);
  rmSync(bed.hangFile);
  // The half-made container is gone when the start has gone on to sandboxes.
  await expect
    .poll(async () => (await findings()).filter((text) => text.includes('container')).join())
    .toBe('');
  rmSync(attaching);
  await running;
  await made.start(loop);
  await made.exec();
  for (const walk of [made, lost]) {
    await walk.stop();
    await walk.remove();
  }
  expect(await findings()).toEqual([]);
});

test('what a checkpoint had half written goes, also when its container has ended since', async () => {
  const walk = await newPod();
  const half = join(bed.dir, 'half.tar.partial');
  await bed.kill();
  writeFileSync(half, 'half');
  const mark = stateFolder('bundles', walk.containerId, 'checkpointing.json');
  writeFileSync(mark, JSON.stringify({ partial: [half], isPaused: false }));
  process.kill(bed.pidOf(walk.containerId, 'container'), 'SIGKILL');
  await bed.start();
  await walk.awaitStatus({ state: 2, exitCode: 137, reason: 'Error' });
  expect([existsSync(half), existsSync(mark)]).toEqual([false, false]);
  await end(walk);
});

test('a sandbox whose init died is not ready, before and after a restart', async () => {
  const state = async (walk: PodWalk) => {
    const { items } = await bed.call('ListPodSandbox', {});
    return items.find(({ metadata }) => metadata?.name === walk.name)?.state;
  };
  const initOf = async () => bed.pidOf((await bed.call('ListPodSandbox', {})).items[0]!.id, 'container');
  const first = await newPod(loop, true);
  await bed.kill();
  await bed.start();
  expect(await state(first)).toBe(0);
  process.kill(await initOf(), 'SIGKILL');
  await expect.poll(() => state(first)).toBe(1);
  await end(first);

  const second = await newPod(loop, true);
  const init = await initOf();
  await bed.kill();
  process.kill(init, 'SIGKILL');
  await bed.start();
  expect(await state(second)).toBe(1);
  await end(second);
});

test('a damaged record of a container is shown as unknown, and its container can be stopped and removed', async () => {
  const walk = await newPod();
  const container = bed.pidOf(walk.containerId, 'container');
  await bed.kill();
  damage('containers', walk.containerId, (text) => text.slice(0, text.length / 2));
  await bed.start();
  const { containers } = await bed.call('ListContainers', { filter: { id: walk.containerId } });
  expect(containers[0]).toMatchObject({ state: 3, metadata: { name: 'main' } });
  expect((await statusOf(walk.containerId)).message).toContain('cannot be read');
  await walk.stopContainer(10n);
  expect(existsSync(`/proc/${container}`)).toBe(false);
  expect(await walk.status()).toMatchObject({ state: 2, exitCode: 3 });
  await walk.removeContainer();
  await end(walk);
});

test('a sandbox of which only the id is left is removed with everything it had', async () => {
  const walk = await newPod(loop, true);
  const { items } = await bed.call('ListPodSandbox', {});
  const [sandbox] = items;
  await bed.kill();
  damage('sandboxes', sandbox!.id, () => 'no record at all');
  damage('containers', walk.containerId, () => '{}');
  await bed.start();
  expect((await bed.call('ListPodSandbox', {})).items).toMatchObject([{ id: sandbox!.id, state: 1 }]);
  await bed.call('RemovePodSandbox', { pod_sandbox_id: sandbox!.id });
  expect((await bed.call('ListContainers', {})).containers).toEqual([]);
  expect(await findings()).toEqual([]);
});

test('a container whose sandbox has no record is shown as a stray, ended with that as its reason, and removed', async () => {
  const walk = await newPod();
  const container = bed.pidOf(walk.containerId, 'container');
  const [sandbox] = (await bed.call('ListPodSandbox', {})).items;
  await bed.kill();
  bed.forgetRecord('sandboxes', sandbox!.id);
  expect((await findings()).join()).toContain('container without a sandbox');
  await bed.start();
  await vi.waitFor(async () => expect((await statusOf(walk.containerId)).reason).toBe('SandboxLost'), {
    timeout: 10_000,
  });
  expect(existsSync(`/proc/${container}`)).toBe(false);
  const status = await statusOf(walk.containerId);
  expect(status).toMatchObject({ state: 2, exit_code: 137 });
  expect(status.message).toContain(sandbox!.id);
  await walk.removeContainer();
  await vi.waitFor(async () => expect(await findings()).toEqual([]), { timeout: 10_000 });
});

test('after a reboot containers are exited with a reason, sandboxes not ready, and addresses given back', async () => {
  const walk = await newPod(loop, true);
  await bed.kill();
  await powerOff();
  await bed.start();
  const { items } = await bed.call('ListPodSandbox', {});
  expect(items.map(({ state }) => state)).toEqual(items.map(() => 1));
  const status = await statusOf(walk.containerId);
  expect([status.state, status.exit_code, status.reason]).toEqual([2, 255, 'Unknown']);
  expect(status.message).toContain('rebooted');
  const addresses = () =>
    readdirSync(join(bed.dir, 'ipam', bed.name)).filter((name) => /^\d+\.\d+\.\d+\.\d+$/.test(name));
  await expect.poll(addresses, { timeout: 10_000 }).toEqual([]);
  for (const { id } of items) await bed.call('RemovePodSandbox', { pod_sandbox_id: id });
  expect(await findings()).toEqual([]);
});

/** What a loss of power does: no process, no mount, nothing below the state folder and the pins, another boot id. */
async function powerOff(): Promise<void> {
  const { stateDir, rootDir } = bed.config.daemon;
  for (const monitor of listProcessesOf((path) => path.endsWith('conmon')))
    if (monitor.command.some((word) => word.startsWith(`${stateDir}/`))) process.kill(monitor.pid, 'SIGKILL');
  expect(await clearGroup(detectCgroupLayout().version, bed.cgroupParent)).toBe(true);
  for (const { mountPoint } of listMounts().toReversed())
    if (mountPoint.startsWith(`${bed.dir}/`)) unmountAll(mountPoint);
  rmSync(stateDir, { recursive: true });
  rmSync(bed.config.network.netnsDir, { recursive: true });
  writeFileSync(join(rootDir, 'boot-id'), 'another boot\n');
}

test('the folder of exit files may vanish: exits are heard of all the same', async () => {
  const walk = await newPod();
  rmSync(stateFolder('exits'), { recursive: true });
  await expect.poll(() => bed.logTail(20)).toContain('it is made again');
  // Its shell minds signals once it runs anything.
  await walk.exec();
  await walk.stopContainer(10n);
  expect(await walk.status()).toMatchObject({ state: 2, exitCode: 3 });
  await end(walk);
});

test('the audit finds what is planted and what is taken, and --fix removes what is nobody’s', async () => {
  const walk = await newPod();
  const stranger = 'f'.repeat(64);
  mkdirSync(stateFolder('bundles', stranger));
  writeFileSync(stateFolder('exits', stranger), '0');
  writeFileSync(stateFolder('bundles', walk.containerId, 'exec-1-1.json'), '{}');
  writeFileSync(join(bed.dir, 'ipam', bed.name, '10.214.9.9'), `${stranger}\neth0`);
  mkdirSync(`/sys/fs/cgroup/pids${bed.cgroupParent}/${stranger}`, { recursive: true });
  writeFileSync(stateFolder('rcu-expedited'), '');
  const found = (await bed.audit()).map(({ kind, what }) => `${kind} ${what}`);
  expect(found.toSorted()).toEqual(
    [
      'leak address',
      'leak bundle',
      'leak cgroup',
      'leak exec file',
      'leak exit file',
      'leak kernel setting',
    ].toSorted(),
  );
  await expect(fixNode(bed.config)).rejects.toThrow('holds it');
  await bed.stop();
  const { fixed, left } = await fixNode(bed.config, { cgroupParents: [bed.cgroupParent] });
  expect(fixed.map(({ what }) => what).toSorted()).toEqual([
    'bundle',
    'cgroup',
    'exec file',
    'exit file',
    'kernel setting',
  ]);
  expect(left.map(({ finding }) => finding.what)).toEqual(['address']);
  rmSync(join(bed.dir, 'ipam', bed.name, '10.214.9.9'));
  await bed.start();
  await walk.exec();
  unmountAll(stateFolder('bundles', walk.containerId, 'rootfs'));
  expect(await findings()).toEqual([expect.stringContaining('missing mount')]);
  await end(walk);
});
