/** The same manifest by `berth play` without a kubelet, and by a kubelet on the same socket. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { projectRoot } from '../../cache.ts';
import { runCommand } from '../../command.ts';
import { until } from '../wait.ts';
import type { Scenario } from './scenario.ts';

export const play: readonly Scenario[] = [
  {
    name: 'played-before',
    example: 'two-containers',
    shows:
      '`berth play` runs the file where no kubelet is; a kubelet on the same socket ends that pod, for it owns its node, and runs the same file from its static pod folder',
    isAlone: true,
    async run(pod, bed) {
      const berth = (...args: string[]) =>
        runCommand(join(projectRoot, 'bin/berth'), ['--address', bed.endpoint, ...args]);
      const file = join(projectRoot, 'examples/two-containers.yaml');
      await pod.waitReady();
      await pod.remove();
      await bed.kubelet.stop();
      assert.match(await berth('play', file), /two-containers +made/);
      await until('the client has talked to the server', 20_000, async () =>
        assert.match(await berth('logs', 'two-containers/client'), /hello from the server/),
      );
      // A kubelet owns its node: what it does not know it ends.
      await bed.startKubelet();
      await until('the kubelet has ended the pod that is none of its own', 60_000, async () =>
        assert.match(await berth('pods'), /two-containers .* stopped/),
      );
      assert.equal(await berth('play', '--down', file), 'removed pod two-containers\n');
      bed.place('two-containers', { 'name: two-containers': `name: ${pod.name}` }, pod.name);
      await pod.waitReady();
    },
  },
];
