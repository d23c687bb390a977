/** Exec probes: how long one takes, and what a thousand cost in CPU time. */
import type { Load } from '../load.ts';
import { forEachParallel, type Subject } from '../subject.ts';

const containers = new Map<Subject, string>();

async function prepareContainer(subject: Subject): Promise<void> {
  const pod = await subject.runPod();
  containers.set(subject, (await subject.runContainer(pod, 'main')).id);
}

async function finishContainer(subject: Subject): Promise<void> {
  containers.delete(subject);
  await subject.removeEverything();
}

const latencyProbes = 40;

export const execLatency: Load = {
  name: 'exec',
  title: 'exec probes, one after another',
  setup: 'same',
  scope: 'handler',
  isQuick: false,
  rounds: 5,
  warmupRounds: 1,
  metrics: [{ key: 'exec', title: 'ExecSync', unit: 'ms', targetRatio: 0.5, inReadme: true }],
  prepare: prepareContainer,
  async round(subject, record) {
    const id = containers.get(subject)!;
    for (let index = 0; index < latencyProbes; index += 1) record('exec', await subject.exec(id));
  },
  finish: finishContainer,
  async floorRound(floor, record) {
    await floor.run('pod-up', 1);
    await floor.run('container-up', 1);
    for (let index = 0; index < latencyProbes; index += 1)
      for (const ms of (await floor.run('exec', 1)).each) record('exec', ms);
    await floor.run('container-down', 1);
    await floor.run('pod-down', 1);
  },
};

const cpuProbes = 250;

export const execCpu: Load = {
  name: 'exec-cpu',
  title: 'CPU time of exec probes, two at a time',
  setup: 'same',
  scope: 'handler',
  isQuick: false,
  rounds: 3,
  warmupRounds: 1,
  metrics: [
    { key: 'runtimeCpu', title: 'CPU of 1,000 exec probes, runtime', unit: 's', inReadme: true },
    { key: 'totalCpu', title: 'CPU of 1,000 exec probes, with what moves into the pod', unit: 's' },
    { key: 'rate', title: 'probes per second', unit: 'count' },
  ],
  prepare: prepareContainer,
  async round(subject, record) {
    const id = containers.get(subject)!;
    const { cgroup } = subject.daemon;
    const before = { daemon: cgroup.readDaemonCpuSeconds(), total: cgroup.readTotalCpuSeconds() };
    const startMs = performance.now();
    await forEachParallel(Array.from({ length: cpuProbes }), 2, async () => {
      await subject.exec(id);
    });
    record('rate', (cpuProbes * 1000) / (performance.now() - startMs));
    record('runtimeCpu', ((cgroup.readDaemonCpuSeconds() - before.daemon) * 1000) / cpuProbes);
    record('totalCpu', ((cgroup.readTotalCpuSeconds() - before.total) * 1000) / cpuProbes);
  },
  finish: finishContainer,
};
