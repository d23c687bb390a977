/** From starting the daemon's program to Ready: Version, Status with RuntimeReady, ListContainers with every container in it. */
import type { Load } from '../load.ts';
import { populate } from '../population.ts';

function makeStartLoad(containers: number, isReadmeRow: boolean): Load {
  return {
    name: `start-${containers}`,
    title: `start of the daemon with ${containers} running containers`,
    setup: 'same',
    scope: 'daemon',
    isQuick: false,
    rounds: 5,
    warmupRounds: 1,
    metrics: [
      {
        key: 'ready',
        title: `start to Ready, ${containers} containers`,
        unit: 'ms',
        inReadme: isReadmeRow,
        ...(isReadmeRow ? { targetRatio: 0.5 } : {}),
      },
    ],
    async prepare(subject) {
      if (containers > 0) await populate(subject, { containers, isRunning: true });
    },
    async round(subject, record) {
      await subject.daemon.stop();
      record('ready', await subject.daemon.start(containers));
    },
    async finish(subject) {
      await subject.removeEverything();
    },
  };
}

export const startLoads: readonly Load[] = [
  makeStartLoad(0, false),
  makeStartLoad(50, false),
  makeStartLoad(200, true),
];
