/** What happens to running pods when berthd, the kubelet or the machine misbehave. Each runs alone. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { findLeftovers } from '../../critest/leftovers.ts';
import type { Bed } from '../bed.ts';
import { TestPod } from '../pod.ts';
import { pause, until } from '../wait.ts';
import { identities, type Scenario, simplePod } from './scenario.ts';

const counter = 'i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done';

/** Every line of the pod's numbered log there, once and in order. */
function assertWholeLog(text: string, atLeast: number): void {
  const numbers = text
    .trimEnd()
    .split('\n')
    .map((line) => Number(/^line (\d+)$/.exec(line)?.[1]));
  for (const [index, number] of numbers.entries())
    assert.equal(number, index + 1, `line ${index + 1} of the log`);
  assert.ok(numbers.length >= atLeast, `${numbers.length} lines of ${atLeast}`);
}

async function placeCounter(bed: Bed): Promise<TestPod> {
  bed.placeText('counter', simplePod('counter', counter));
  const pod = new TestPod(bed, 'counter');
  await pod.waitReady();
  return pod;
}

export const faults: readonly Scenario[] = [
  {
    name: 'berthd-killed',
    example: 'probes',
    shows: 'berthd killed ten times while pods run: no restart, probes pass, logs whole, exec works again',
    isAlone: true,
    async run(pod, bed) {
      const log = await placeCounter(bed);
      await pod.waitReady();
      const before = await identities(bed);
      for (let round = 0; round < 10; round++) {
        await bed.berthd.stop('SIGKILL');
        await bed.startBerthd();
        await pause(700);
      }
      await until('every container is ready and the same', 30_000, async () =>
        assert.deepEqual(await identities(bed), before),
      );
      assert.equal(await pod.sh('exec', 'echo here'), 'here');
      await pause(8000);
      assert.deepEqual(await identities(bed), before);
      assertWholeLog(await log.logs('main'), 80);
      await log.remove();
    },
  },
  {
    name: 'berthd-down',
    example: 'two-containers',
    shows:
      'berthd down for two minutes: pods run on; ends, changes and removals of that time are caught up with',
    isAlone: true,
    async run(pod, bed) {
      const log = await placeCounter(bed);
      bed.placeText('ends', simplePod('ends', 'sleep 40; exit 5', 'restartPolicy: Never'));
      const ends = new TestPod(bed, 'ends');
      bed.placeText('removed', simplePod('removed', 'sleep 1000'));
      const removed = new TestPod(bed, 'removed');
      bed.place('probes');
      const probes = new TestPod(bed, 'probes');
      for (const one of [pod, ends, removed, probes]) await one.waitReady();
      const keep = (lines: string[]) =>
        lines
          .filter((line) => /^(probes|berthd-down|counter)/.test(line))
          .map((line) => line.replace(/ (true|false)$/, ''));
      const before = keep(await identities(bed));
      await bed.berthd.stop('SIGKILL');
      bed.unplace('removed');
      bed.placeText('added', simplePod('added', 'sleep 1000'));
      const { status } = await pod.get();
      const page = () => fetch(`http://${status.podIP}:8080/`);
      for (let second = 0; second < 120; second += 10) {
        assert.equal((await page()).status, 200);
        await pause(10_000);
      }
      await bed.startBerthd();
      await new TestPod(bed, 'added').waitReady();
      const { state } = await ends.waitContainer('main', (one) =>
        assert.ok(one.state.terminated, JSON.stringify(one.state)),
      );
      assert.deepEqual([state.terminated?.exitCode, state.terminated?.reason], [5, 'Error']);
      const tookMs =
        Date.parse(state.terminated?.finishedAt ?? '') - Date.parse(state.terminated?.startedAt ?? '');
      assert.ok(tookMs >= 39_000 && tookMs <= 43_000, `it ran for ${tookMs} ms of 40 s`);
      await removed.remove();
      for (const one of [pod, probes]) await one.waitReady();
      // Longer than the probes' periods and thresholds together.
      await pause(10_000);
      assert.deepEqual(keep(await identities(bed)), before);
      assertWholeLog(await log.logs('main'), 900);
      for (const one of [log, ends, probes, new TestPod(bed, 'added')]) await one.remove();
    },
  },
  {
    name: 'kubelet-restarted',
    example: 'two-containers',
    shows:
      'the kubelet killed and started again finds every container as it was, and learns of the end of one that ended meanwhile',
    isAlone: true,
    async run(pod, bed) {
      bed.placeText('ends', simplePod('ends', 'sleep 12; exit 5', 'restartPolicy: Never'));
      const ends = new TestPod(bed, 'ends');
      const log = await placeCounter(bed);
      for (const one of [pod, ends]) await one.waitReady();
      const keep = (lines: string[]) => lines.filter((line) => !line.startsWith('ends'));
      const before = keep(await identities(bed));
      await bed.kubelet.stop('SIGKILL');
      const isEnds = ['--label', `io.kubernetes.pod.name=${ends.fullName}`];
      await until('the container has ended', 30_000, async () =>
        assert.equal((await bed.crictl('ps', '-q', '--state', 'Running', ...isEnds)).trim(), ''),
      );
      await bed.startKubelet();
      await pod.waitReady();
      const { state } = await ends.waitContainer('main', (one) =>
        assert.ok(one.state.terminated, JSON.stringify(one.state)),
      );
      assert.deepEqual([state.terminated?.exitCode, state.terminated?.reason], [5, 'Error']);
      await pause(7000);
      assert.deepEqual(keep(await identities(bed)), before);
      assertWholeLog(await log.logs('main'), 80);
      for (const one of [log, ends]) await one.remove();
    },
  },
  {
    name: 'static-pod-changed',
    example: 'two-containers',
    shows: 'a changed file replaces the pod, a removed one ends it, and nothing of either stays',
    isAlone: true,
    async run(pod, bed) {
      const first = await pod.waitReady();
      bed.place(
        'two-containers',
        { 'name: two-containers\n': 'name: static-pod-changed\n', 'hello from the server': 'hello again' },
        pod.name,
      );
      await until('the new pod is there', 90_000, async () =>
        assert.notEqual((await pod.get()).metadata.uid, first.metadata.uid),
      );
      const second = await pod.waitReady();
      const answer = await until('the new server answers', 20_000, async () =>
        (await fetch(`http://${second.status.podIP}:8080/`)).text(),
      );
      assert.equal(answer, 'hello again\n');
      await pod.remove();
      await until('nothing of either pod is left', 120_000, async () => {
        assert.equal((await bed.crictl('pods', '-q')).trim(), '');
        assert.deepEqual(readdirSync(`${bed.paths.root}/pods`), []);
      });
      assert.deepEqual(findLeftovers(bed.dir, bed.network.bridge).bridgePorts, []);
    },
  },
  {
    name: 'reboot',
    example: 'two-containers',
    shows: 'after a (simulated) reboot the pods start anew, and nothing of the former boot stays',
    isAlone: true,
    async run(pod, bed) {
      const first = await pod.waitReady();
      await bed.simulateReboot();
      await bed.startBerthd();
      await bed.startKubelet();
      const second = await until('the pod runs again', 60_000, async () => {
        const now = await pod.waitReady(1000);
        const id = (one: typeof now) =>
          one.status.containerStatuses?.find(({ name }) => name === 'server')?.containerID;
        assert.notEqual(id(now), id(first));
        return now;
      });
      const server = second.status.containerStatuses?.find(({ name }) => name === 'server');
      assert.equal(server?.restartCount, 1);
      const { terminated } = server.lastState;
      assert.deepEqual([terminated?.exitCode, terminated?.reason], [255, 'Unknown']);
      assert.equal((await fetch(`http://${second.status.podIP}:8080/`)).status, 200);
      await pod.remove();
      await until('the former boot is forgotten', 120_000, async () =>
        assert.equal((await bed.crictl('pods', '-q')).trim(), ''),
      );
      const leases = readdirSync(`${bed.dir}/cni/ipam/${bed.network.bridge}`).filter((name) =>
        /^\d/.test(name),
      );
      assert.deepEqual(leases, [], 'addresses still leased');
    },
  },
];
