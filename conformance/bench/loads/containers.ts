/** Container lifecycle in one pod, one after another: what a call costs on a quiet node. */
import type { Load } from '../load.ts';
import type { PodHandle, Subject } from '../subject.ts';

const containersPerRound = 20;
const pods = new Map<Subject, PodHandle>();

export const containerLifecycle: Load = {
  name: 'containers',
  title: 'containers of one pod, one after another',
  setup: 'same',
  scope: 'handler',
  isQuick: false,
  rounds: 5,
  warmupRounds: 1,
  metrics: [
    { key: 'create', title: 'CreateContainer', unit: 'ms' },
    { key: 'start', title: 'StartContainer', unit: 'ms' },
    {
      key: 'createStart',
      title: 'CreateContainer + StartContainer',
      unit: 'ms',
      targetRatio: 0.4,
      inReadme: true,
    },
    {
      key: 'stopRemove',
      title: 'StopContainer + RemoveContainer',
      unit: 'ms',
      targetRatio: 0.4,
      inReadme: true,
    },
  ],
  async prepare(subject) {
    pods.set(subject, await subject.runPod());
  },
  async round(subject, record) {
    const pod = pods.get(subject)!;
    const ids: string[] = [];
    for (let index = 0; index < containersPerRound; index += 1) {
      const container = await subject.runContainer(pod, `c${crypto.randomUUID().slice(0, 8)}`);
      record('create', container.createMs);
      record('start', container.startMs);
      record('createStart', container.createMs + container.startMs);
      ids.push(container.id);
    }
    for (const id of ids) record('stopRemove', await subject.removeContainer(id));
  },
  async finish(subject) {
    const pod = pods.get(subject);
    pods.delete(subject);
    if (pod !== undefined) await subject.removePod(pod.id);
  },
  async floorRound(floor, record) {
    await floor.run('pod-up', containersPerRound);
    for (const ms of (await floor.run('container-up', containersPerRound)).each) record('createStart', ms);
    for (const ms of (await floor.run('container-down', containersPerRound)).each) record('stopRemove', ms);
    await floor.run('pod-down', containersPerRound);
  },
};
