/** Figures and events through the socket: what lists hold and what they cost, and that events and lists tell one story. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CriClient } from '#cri/testing/client.ts';
import { detectCgroupLayout, groupDirectory } from '#host/cgroup.ts';
import { type ContainerEventResponse, ContainerState, PodSandboxState } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod, until } from './bed.ts';

let bed: BehaviourBed;
const { version } = detectCgroupLayout();

beforeAll(async () => {
  bed = await BehaviourBed.start();
});
afterAll(() => bed.close());

/** Page faults of all children that berthd has waited for: any program that it runs adds hundreds. */
function faultsOfChildren(): number {
  const stat = readFileSync(`/proc/${bed.pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[8]);
}

/** Where the kernel freezes a group of processes, and the words for it. */
function freezer(cgroupsPath: string): { readonly file: string; readonly on: string; readonly off: string } {
  return version === 2
    ? { file: join(groupDirectory(2, '', cgroupsPath), 'cgroup.freeze'), on: '1', off: '0' }
    : { file: join(groupDirectory(1, 'freezer', cgroupsPath), 'freezer.state'), on: 'FROZEN', off: 'THAWED' };
}

test('figures of a pod and its containers are there, by one and by list, and no program is run for them', async () => {
  const pod = await bed.runPod();
  const busy = await bed.run(pod, 'busy', { command: ['sh', '-c', 'while :; do :; done'] });
  await bed.run(pod, 'quiet', { labels: { app: 'quiet' } });
  await bed.sh(busy, 'head -c 3000000 /dev/zero > /written; ping -c 1 -w 1 127.0.0.1 || :');
  const one = async () => (await bed.call('ContainerStats', { container_id: busy })).stats!;
  await until(
    async () => ((await one()).writable_layer?.used_bytes?.value ?? 0n) > 3_000_000n || undefined,
    30_000,
    'the count of the writable layer',
  );
  await until(
    async () => ((await one()).cpu?.usage_nano_cores?.value ?? 0n) > 0n || undefined,
    10_000,
    'a second look at the CPU',
  );
  const before = faultsOfChildren();
  const stats = await one();
  expect(stats.cpu!.usage_core_nano_seconds!.value).toBeGreaterThan(0n);
  expect(stats.memory!.working_set_bytes!.value).toBeGreaterThan(0n);
  expect(stats.memory!.usage_bytes!.value).toBeGreaterThan(0n);
  // What only some kernels count: swap with swapaccount, pressure by cgroup on version 2.
  if (version === 2)
    for (const { psi } of [stats.cpu!, stats.memory!, stats.io!]) expect(psi?.Some).toBeDefined();
  const { stats: listed } = await bed.call('ListContainerStats', { filter: { pod_sandbox_id: pod.id } });
  expect(listed.map(({ attributes }) => attributes!.metadata!.name).sort()).toEqual(['busy', 'quiet']);
  const labelled = await bed.call('ListContainerStats', { filter: { label_selector: { app: 'quiet' } } });
  expect(labelled.stats.map(({ attributes }) => attributes!.metadata!.name)).toEqual(['quiet']);
  const { stats: ofPod } = await bed.call('PodSandboxStats', { pod_sandbox_id: pod.id });
  const { cpu, memory, network, process, containers } = ofPod!.linux!;
  expect(cpu!.usage_core_nano_seconds!.value).toBeGreaterThan(0n);
  expect(memory!.working_set_bytes!.value).toBeGreaterThan(0n);
  expect(network!.default_interface!.name).toBe('eth0');
  expect(process!.process_count!.value).toBeGreaterThanOrEqual(3n);
  expect(containers).toHaveLength(2);
  for (let round = 0; round < 20; round += 1) {
    await bed.call('ListContainerStats', {});
    await bed.call('ListPodSandboxStats', {});
    await bed.call('ListPodSandboxMetrics', {});
  }
  expect(faultsOfChildren()).toBe(before);
  await bed.removePod(pod);
}, 90_000);

test('a container that is frozen, or whose control group is gone, delays and hides no other', async () => {
  const pod = await bed.runPod();
  const ids = await Promise.all(['a', 'b', 'c', 'd'].map((name) => bed.run(pod, name)));
  const frozen = freezer((await bed.info(ids[0]!)).runtimeSpec.linux.cgroupsPath);
  writeFileSync(frozen.file, frozen.on);
  // Beyond its end nothing is left of a container's groups, and its figures are asked for all the same.
  process.kill((await bed.info(ids[1]!)).pid, 'SIGKILL');
  try {
    await bed.ended(ids[1]!);
    const startMs = performance.now();
    const { stats } = await bed.call('ListContainerStats', {});
    const figures = new Map(
      stats.map((each) => [each.attributes!.id, each.memory?.usage_bytes?.value ?? 0n]),
    );
    for (const id of [ids[0]!, ids[2]!, ids[3]!]) expect(figures.get(id)).toBeGreaterThan(0n);
    expect((await bed.call('ListPodSandboxStats', {})).stats).toHaveLength(1);
    expect((await bed.call('ListPodSandboxMetrics', {})).pod_metrics).toHaveLength(1);
    expect(performance.now() - startMs).toBeLessThan(3000);
  } finally {
    writeFileSync(frozen.file, frozen.off);
  }
  await bed.removePod(pod);
});

const order = [
  ContainerState.CONTAINER_CREATED,
  ContainerState.CONTAINER_RUNNING,
  ContainerState.CONTAINER_EXITED,
] as const;
/** By event type: created, started, stopped, deleted. */
const atLeast = [0, 1, 2] as const;

test('events come in order, to all who listen alike, never ahead of what lists say; a late one hears what nobody was told', async () => {
  const clients = Array.from({ length: 3 }, () => new CriClient(join(bed.dir, 'berth.sock')));
  const early: Pod = await bed.runPod();
  const untold = await bed.run(early, 'untold');
  const isLast = (event: ContainerEventResponse) => event.pod_sandbox_status?.metadata?.name === 'last-pod';
  const wrong: string[] = [];
  const checks: Promise<unknown>[] = [];
  const compare = (event: ContainerEventResponse) => {
    const own = event.containers_statuses.find(({ id }) => id === event.container_id);
    const isSandbox = event.container_id === event.pod_sandbox_status?.id;
    const least = atLeast[event.container_event_type as 0 | 1 | 2];
    if (isSandbox) {
      const expected =
        event.container_event_type === 1 ? PodSandboxState.SANDBOX_READY : PodSandboxState.SANDBOX_NOTREADY;
      const isGone = event.container_event_type >= 2;
      if (isGone && event.pod_sandbox_status!.state !== expected)
        wrong.push(`sandbox ${event.container_event_type}`);
      return;
    }
    if (least === undefined) {
      if (own) wrong.push('a deleted container in its own event');
    } else if (own && order.indexOf(own.state as 0) < least)
      wrong.push(`event ${least}, status ${own.state}`);
    checks.push(
      bed.call('ListContainers', { filter: { id: event.container_id } }).then(({ containers: [listed] }) => {
        // Gone meanwhile is later than all.
        const now = listed ? order.indexOf(listed.state as 0) : 3;
        // An event that nobody was told at its time comes with what is now: perhaps without the container.
        const isMissing = least !== undefined && own === undefined && listed !== undefined;
        if (isMissing || now < (least ?? 3))
          wrong.push(`event ${event.container_event_type}, list ${listed?.state}`);
      }),
    );
  };
  const follow = (client: CriClient) =>
    client.collect('GetContainerEvents', {}, (messages) => {
      const event = messages.at(-1)!;
      compare(event);
      return isLast(event) && event.container_event_type === 3;
    });
  const first = follow(clients[0]!);
  await expect
    .poll(() => readFileSync(bed.logFile, 'utf8').includes('GetContainerEvents') || checks.length > 0)
    .toBe(true);
  const others = clients.slice(1).map(follow);
  // The others must be listening before the next event.
  await Promise.all(clients.map((client) => client.call('Version', {})));
  await Promise.all(
    Array.from({ length: 4 }, async (_, index) => {
      const pod = await bed.runPod();
      const ids = await Promise.all([0, 1, 2].map((n) => bed.run(pod, `c${index}-${n}`)));
      await bed.call('StopContainer', { container_id: ids[0]!, timeout: 2n });
      await bed.call('RemoveContainer', { container_id: ids[0]! });
      await bed.call('StopPodSandbox', { pod_sandbox_id: pod.id });
      await bed.removePod(pod);
    }),
  );
  const last = await bed.runPod({ metadata: { name: 'last-pod', uid: 'last', namespace: bed.name } });
  await bed.removePod(last);
  const [all, ...later] = await Promise.all([first, ...others]);
  await Promise.all(checks);
  expect(wrong).toEqual([]);
  const lineOf = (event: ContainerEventResponse) =>
    `${event.created_at} ${event.container_event_type} ${event.container_id}`;
  const lines = all!.map(lineOf);
  // What happened before anybody listened is there, and, as the order of times shows, came first.
  expect(all!.some(({ container_id }) => container_id === untold)).toBe(true);
  const times = all!.map(({ created_at }) => created_at);
  expect([...times].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))).toEqual(times);
  for (const events of later) {
    const own = events!.map(lineOf);
    expect(own.length).toBeGreaterThan(40);
    expect(lines.slice(-own.length)).toEqual(own);
  }
  const seen = new Map<string, number[]>();
  for (const { container_id, container_event_type } of all!)
    seen.set(container_id, [...(seen.get(container_id) ?? []), container_event_type]);
  for (const [id, types] of seen)
    if (id !== untold && id !== early.id) expect([id, types]).toEqual([id, [0, 1, 2, 3]]);
  for (const client of clients) client.close();
  await bed.removePod(early);
});
