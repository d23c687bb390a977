/** Evented PLEG: the kubelet learns of containers by GetContainerEvents instead of listing them every second. */
import assert from 'node:assert/strict';
import type { Bed } from '../bed.ts';
import { TestPod } from '../pod.ts';
import { until } from '../wait.ts';
import { identities, type Scenario, simplePod } from './scenario.ts';

async function connections(bed: Bed): Promise<number> {
  const metrics = await bed.api.get('/metrics');
  return Number(/^kubelet_evented_pleg_connection_success_count (\d+)$/m.exec(metrics)?.[1] ?? 0);
}

export const events: readonly Scenario[] = [
  {
    name: 'evented-pleg',
    example: 'two-containers',
    shows:
      'with EventedPLEG on, the kubelet follows the stream of events and learns of ends by it; it goes on after a restart of berthd',
    isAlone: true,
    async run(pod, bed) {
      await bed.kubelet.stop();
      await bed.startKubelet({}, { EventedPLEG: true });
      await pod.waitReady();
      await until('the kubelet follows events', 20_000, async () => assert.equal(await connections(bed), 1));
      // The list that the kubelet still makes comes every five minutes: whatever it knows sooner, it knows by an event.
      const end = async (name: string, exitCode: number): Promise<void> => {
        bed.placeText(name, simplePod(name, `sleep 2; exit ${exitCode}`, 'restartPolicy: Never'));
        const one = new TestPod(bed, name);
        const { state } = await one.waitContainer(
          'main',
          (status) => assert.ok(status.state.terminated, JSON.stringify(status.state)),
          30_000,
        );
        assert.equal(state.terminated?.exitCode, exitCode);
        await one.remove();
      };
      await end('ends-first', 5);
      await pod.exec('client', ['kill', '-TERM', '1']);
      await pod.waitContainer('client', ({ restartCount, ready }) =>
        assert.ok(restartCount === 1 && ready, 'not restarted'),
      );
      const before = await identities(bed);
      await bed.berthd.stop('SIGKILL');
      await bed.startBerthd();
      // Five refusals within milliseconds, and this kubelet lists once a second again until it is started anew.
      await end('ends-second', 6);
      assert.deepEqual(await identities(bed), before);
      await bed.kubelet.stop();
      await bed.startKubelet();
      await pod.waitReady();
      assert.deepEqual(await identities(bed), before);
    },
  },
];
