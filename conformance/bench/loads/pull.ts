/** Cold pulls: neither the image nor any of its layers is there, and the registry on the same machine has it in memory. */
import { runCommand } from '../../command.ts';
import { oneLayerImage, tenLayerImage } from '../images.ts';
import type { Load } from '../load.ts';

function makePullLoad(
  name: string,
  title: string,
  image: string,
  callers: number,
  targetRatio?: number,
): Load {
  return {
    name,
    title,
    setup: 'same',
    scope: 'daemon',
    isQuick: false,
    rounds: 5,
    warmupRounds: 1,
    metrics: [
      {
        key: 'pull',
        title,
        unit: 's',
        inReadme: true,
        ...(targetRatio === undefined ? {} : { targetRatio }),
      },
      { key: 'cpu', title: `${title}: CPU time`, unit: 's' },
    ],
    async round(subject, record) {
      const { client, cgroup } = subject.daemon;
      await client.call('RemoveImage', { image: { image } });
      // What the removal before left to write must not be written during the pull.
      await runCommand('sync', []);
      const cpuBefore = cgroup.readDaemonCpuSeconds();
      const startMs = performance.now();
      await Promise.all(
        Array.from({ length: callers }, () => client.call('PullImage', { image: { image } })),
      );
      record('pull', (performance.now() - startMs) / 1000);
      record('cpu', cgroup.readDaemonCpuSeconds() - cpuBefore);
    },
    async finish(subject) {
      await subject.daemon.client.call('RemoveImage', { image: { image } });
    },
  };
}

export const pullLoads: readonly Load[] = [
  makePullLoad('pull-one-layer', 'cold pull, one layer of 35 MB', oneLayerImage, 1, 0.5),
  makePullLoad('pull-ten-layers', 'cold pull, ten layers, 37 MB in sum', tenLayerImage, 1, 0.4),
  makePullLoad('pull-ten-callers', 'cold pull of ten layers by ten callers', tenLayerImage, 10),
];
