/** Starting, probing, failing, restarting and ending. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { until } from '../wait.ts';
import type { Scenario } from './scenario.ts';

export const lifecycle: readonly Scenario[] = [
  {
    name: 'init-containers',
    shows: 'init containers run in order, the sidecar beside and after the main one; the pod succeeds',
    async run(pod) {
      const { status } = await pod.waitPhase('Succeeded');
      assert.equal(await pod.logs('main'), 'first\nsecond\nsidecar\nmain\n');
      const ends = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])].map(
        (one) => [one.name, one.state.terminated?.exitCode, one.state.terminated?.reason],
      );
      assert.deepEqual(ends, [
        ['first', 0, 'Completed'],
        ['second', 0, 'Completed'],
        ['sidecar', 0, 'Completed'],
        ['main', 0, 'Completed'],
      ]);
      assert.match(await pod.logs('sidecar'), /sidecar stops/);
    },
  },
  {
    name: 'probes',
    shows: 'exec, HTTP, TCP and gRPC probes pass, and go on passing',
    async run(pod) {
      await pod.waitReady();
      // Each probe has a period of 1 or 2 s: give every one three more turns.
      await new Promise((resolve) => setTimeout(resolve, 6000));
      const { status } = await pod.get();
      for (const { name, ready, restartCount } of status.containerStatuses ?? [])
        assert.deepEqual([name, ready, restartCount], [name, true, 0]);
      await fetch(`http://${status.podIP}:8082/make-unhealthy`);
      await pod.waitContainer(
        'grpc',
        ({ restartCount }) => assert.ok(restartCount > 0, 'not restarted yet'),
        30_000,
      );
      await pod.waitReady();
    },
  },
  {
    name: 'failing-liveness',
    shows: 'a failing liveness probe restarts its container',
    async run(pod) {
      const status = await pod.waitContainer(
        'main',
        ({ restartCount }) => assert.ok(restartCount > 0, 'not restarted yet'),
        40_000,
      );
      const { terminated } = status.lastState;
      assert.deepEqual([terminated?.exitCode, terminated?.reason], [3, 'Error']);
      assert.match(await pod.logs('main', 'previous=true'), /told to stop/);
    },
  },
  {
    name: 'crash-loop',
    shows: 'back-off between starts; exit codes, reasons and messages of each end',
    async run(pod) {
      const backOff = (name: string) =>
        pod.waitContainer(name, ({ restartCount, state }) => {
          assert.ok(restartCount > 0, 'not restarted yet');
          assert.equal(state.waiting?.reason, 'CrashLoopBackOff');
        });
      const exits = (await backOff('exits')).lastState.terminated;
      assert.deepEqual([exits?.exitCode, exits?.reason, exits?.message], [7, 'Error', 'no configuration']);
      assert.ok(Date.parse(exits?.finishedAt ?? '') >= Date.parse(exits?.startedAt ?? ''));
      const killed = (await backOff('killed')).lastState.terminated;
      assert.deepEqual([killed?.exitCode, killed?.reason], [137, 'Error']);
      const fallsBack = (await backOff('falls-back')).lastState.terminated;
      assert.equal(fallsBack?.message, 'the last words\n');
      const absent = await pod.waitContainer('not-a-program', ({ lastState, state }) =>
        assert.ok(
          (lastState.terminated ?? state.terminated ?? state.waiting) !== undefined &&
            state.waiting?.reason !== 'ContainerCreating',
          'no outcome yet',
        ),
      );
      const words = JSON.stringify([absent.state, absent.lastState]);
      assert.match(words, /no such program|no such file|not found|No such file/i);
      assert.match(
        words,
        /StartError|RunContainerError|CreateContainerError|ContainerCannotRun|CrashLoopBackOff/,
      );
    },
  },
  {
    name: 'oom-killed',
    shows: 'memory over the limit ends as OOMKilled with 137',
    async run(pod) {
      for (const name of ['main', 'child']) {
        const { state } = await pod.waitContainer(name, (status) =>
          assert.ok(status.state.terminated, 'still alive'),
        );
        assert.deepEqual(
          [name, state.terminated?.exitCode, state.terminated?.reason],
          [name, 137, 'OOMKilled'],
        );
      }
      await pod.waitPhase('Failed');
    },
  },
  {
    name: 'graceful-termination',
    shows: 'preStop, then SIGTERM, then the grace period, then SIGKILL',
    async run(pod, bed) {
      const trace = bed.hostPath('graceful-termination');
      rmSync(`${trace}/slow`, { force: true });
      await pod.waitReady();
      await until('postStart has run', 10_000, () => readFileSync(`${trace}/post-start`));
      const startedMs = Date.now();
      await pod.remove();
      const tookMs = Date.now() - startedMs;
      assert.equal(readFileSync(`${trace}/slow`, 'utf8'), 'started\npreStop\nSIGTERM\ndone\n');
      assert.equal(readFileSync(`${trace}/deaf`, 'utf8'), 'started\nSIGTERM\n');
      assert.ok(tookMs > 9500 && tookMs < 20_000, `gone after ${tookMs} ms of a grace of 10 s`);
    },
  },
];
