/** Pod lifecycle: many pods with one container each, several at a time; all are started, then all torn down. */
import type { Load, Metric, NetworkSetup, Recorder } from '../load.ts';
import { readMemory } from '../memory.ts';
import { readEventLoopDelayMs } from '../metrics.ts';
import { forEachParallel, type PodHandle, type Subject } from '../subject.ts';

interface PodLoad {
  readonly name: string;
  readonly setup: NetworkSetup;
  readonly pods: number;
  readonly parallel: number;
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly metrics: readonly Metric[];
}

interface Running {
  readonly pod: PodHandle;
  readonly containerId: string;
}

const setupTitles: Readonly<Record<NetworkSetup, string>> = {
  same: '',
  builtin: ", same CNI configuration, Berth's built-in plugins",
  default: ', each with its own default network',
};

function makePodLoad(shape: PodLoad): Load {
  const { name, setup, pods, parallel, rounds, isQuick, metrics } = shape;
  return {
    name,
    title: `${pods} pods, ${parallel} at a time${setupTitles[setup]}`,
    setup,
    scope: 'handler',
    isQuick,
    rounds,
    warmupRounds: 1,
    metrics,
    async round(subject, record) {
      await subject.daemon.readMetrics(); // resets the event-loop histogram
      const running = await startAll(subject, record, shape);
      const memory = readMemory(subject.daemon, subject.containerIds);
      record('memory', memory.totalMb);
      record('daemonMemory', memory.daemonMb);
      const extra = Object.entries(memory.processes).filter(
        ([program]) => !/^(berth|conmon|containerd)$/.test(program),
      );
      record('podProcesses', extra.reduce((sum, [, count]) => sum + count, 0) / pods);
      await stopAll(subject, record, { running, parallel });
      const delayMs = readEventLoopDelayMs(await subject.daemon.readMetrics());
      if (delayMs !== undefined) record('eventLoopDelay', delayMs);
    },
    async floorRound(floor, record) {
      const up = await floor.run('pod-up', pods, parallel);
      for (const ms of up.each) record('runPod', ms);
      const started = await floor.run('container-up', pods, parallel);
      for (const ms of started.each) record('createStart', ms);
      record('allRunning', (up.allMs + started.allMs) / 1000);
      const stopped = await floor.run('container-down', pods, parallel);
      for (const ms of stopped.each) record('stopRemove', ms);
      const down = await floor.run('pod-down', pods, parallel);
      for (const ms of down.each) record('removePod', ms);
      record('teardown', (stopped.allMs + down.allMs) / 1000);
    },
  };
}

async function startAll(subject: Subject, record: Recorder, shape: PodLoad): Promise<Running[]> {
  const running: Running[] = [];
  const startMs = performance.now();
  await forEachParallel(Array.from({ length: shape.pods }), shape.parallel, async () => {
    const pod = await subject.runPod();
    record('runPod', pod.ms);
    const container = await subject.runContainer(pod, 'main');
    record('create', container.createMs);
    record('start', container.startMs);
    record('createStart', container.createMs + container.startMs);
    running.push({ pod, containerId: container.id });
  });
  record('allRunning', (performance.now() - startMs) / 1000);
  return running;
}

async function stopAll(
  subject: Subject,
  record: Recorder,
  { running, parallel }: { readonly running: readonly Running[]; readonly parallel: number },
): Promise<void> {
  const startMs = performance.now();
  await forEachParallel(running, parallel, async ({ pod, containerId }) => {
    record('stopRemove', await subject.removeContainer(containerId));
    record('removePod', await subject.removePod(pod.id));
  });
  record('teardown', (performance.now() - startMs) / 1000);
}

const parts = {
  runPod: { key: 'runPod', title: 'RunPodSandbox', unit: 'ms' },
  create: { key: 'create', title: 'CreateContainer', unit: 'ms' },
  start: { key: 'start', title: 'StartContainer', unit: 'ms' },
  createStart: { key: 'createStart', title: 'CreateContainer + StartContainer', unit: 'ms' },
  stopRemove: { key: 'stopRemove', title: 'StopContainer + RemoveContainer', unit: 'ms' },
  removePod: { key: 'removePod', title: 'StopPodSandbox + RemovePodSandbox', unit: 'ms' },
  allRunning: { key: 'allRunning', title: 'start to all running', unit: 's' },
  teardown: { key: 'teardown', title: 'teardown of all', unit: 's' },
  memory: { key: 'memory', title: 'memory of all processes, pods running', unit: 'MB' },
  daemonMemory: { key: 'daemonMemory', title: 'memory of the daemon, pods running', unit: 'MB' },
  podProcesses: {
    key: 'podProcesses',
    title: 'processes per pod beside the daemon and conmon',
    unit: 'count',
  },
  eventLoopDelay: { key: 'eventLoopDelay', title: 'event-loop delay, 99th percentile', unit: 'ms' },
} as const satisfies { readonly [key: string]: Metric };

export const twentyPods = makePodLoad({
  name: 'pods-20x2',
  setup: 'same',
  pods: 20,
  parallel: 2,
  rounds: 4,
  isQuick: true,
  metrics: [
    { ...parts.runPod, targetRatio: 0.33, quickTargetRatio: 0.5, inReadme: true },
    parts.create,
    parts.start,
    { ...parts.createStart, targetRatio: 0.4, quickTargetRatio: 0.6 },
    parts.stopRemove,
    { ...parts.removePod, targetRatio: 0.5, inReadme: true },
    parts.allRunning,
    parts.teardown,
    parts.memory,
    { ...parts.daemonMemory, targetMax: 110 },
    { ...parts.podProcesses, targetMax: 0 },
    parts.eventLoopDelay,
  ],
});

export const sixtyPods = makePodLoad({
  name: 'pods-60x8',
  setup: 'same',
  pods: 60,
  parallel: 8,
  rounds: 3,
  isQuick: false,
  metrics: [
    parts.runPod,
    parts.createStart,
    parts.stopRemove,
    parts.removePod,
    {
      ...parts.allRunning,
      title: '60 pods, 8 at a time: start to all running',
      targetRatio: 0.5,
      inReadme: true,
    },
    { ...parts.teardown, title: '60 pods, 8 at a time: teardown', targetRatio: 0.5, inReadme: true },
    parts.memory,
    parts.daemonMemory,
    parts.podProcesses,
    {
      ...parts.eventLoopDelay,
      title: '60 pods, 8 at a time: event-loop delay, p99',
      targetMax: 20,
      inReadme: true,
    },
  ],
});

export const twentyPodsOwnNetwork = makePodLoad({
  name: 'pods-20x2-own-network',
  setup: 'default',
  pods: 20,
  parallel: 2,
  rounds: 4,
  isQuick: false,
  metrics: [
    { ...parts.runPod, title: 'RunPodSandbox, each with its own network', targetRatio: 0.2, inReadme: true },
    parts.removePod,
    parts.allRunning,
    parts.teardown,
  ],
});

export const twentyPodsBuiltin = makePodLoad({
  name: 'pods-20x2-builtin',
  setup: 'builtin',
  pods: 20,
  parallel: 2,
  rounds: 4,
  isQuick: false,
  metrics: [
    {
      ...parts.runPod,
      title: 'RunPodSandbox, Berth runs no CNI plugin',
      targetRatio: 0.33,
      inReadme: true,
    },
    {
      ...parts.removePod,
      title: 'Stop + RemovePodSandbox, Berth runs no CNI plugin',
      targetRatio: 0.5,
      inReadme: true,
    },
    parts.allRunning,
    parts.teardown,
    parts.eventLoopDelay,
  ],
});

export const sixtyPodsBuiltin = makePodLoad({
  name: 'pods-60x8-builtin',
  setup: 'builtin',
  pods: 60,
  parallel: 8,
  rounds: 3,
  isQuick: false,
  metrics: [
    parts.runPod,
    parts.removePod,
    {
      ...parts.allRunning,
      title: '60 pods, 8 at a time, Berth runs no plugin: up',
      targetRatio: 0.5,
      inReadme: true,
    },
    {
      ...parts.teardown,
      title: '60 pods, 8 at a time, Berth runs no plugin: down',
      targetRatio: 0.5,
      inReadme: true,
    },
    parts.memory,
    parts.eventLoopDelay,
  ],
});
