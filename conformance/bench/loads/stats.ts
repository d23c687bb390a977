/** Usage figures of 50 running containers, read anew at every call. */
import type { Load } from '../load.ts';
import { populate } from '../population.ts';

const containers = 50;
const callsPerRound = 10;

export const containerStats: Load = {
  name: 'stats-50',
  title: 'usage figures of 50 running containers',
  setup: 'same',
  scope: 'daemon',
  isQuick: false,
  rounds: 6,
  warmupRounds: 1,
  metrics: [
    { key: 'stats', title: 'ListContainerStats of 50', unit: 'ms', targetRatio: 0.25, inReadme: true },
    { key: 'podStats', title: 'ListPodSandboxStats of 5 pods with 50 containers', unit: 'ms' },
  ],
  async prepare(subject) {
    await populate(subject, { containers, isRunning: true });
  },
  async round(subject, record) {
    const { client } = subject.daemon;
    for (let call = 0; call < callsPerRound; call += 1) {
      const { ms, reply } = await client.time('ListContainerStats', {});
      if (reply.stats.length < containers)
        throw new Error(`ListContainerStats returned ${reply.stats.length}`);
      record('stats', ms);
      record('podStats', (await client.time('ListPodSandboxStats', {})).ms);
    }
  },
  async finish(subject) {
    await subject.removeEverything();
  },
};
