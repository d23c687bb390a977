/** Pods that take more of the disk than they may. */
import assert from 'node:assert/strict';
import { statfsSync } from 'node:fs';
import { pause, until } from '../../kubelet/wait.ts';
import type { Cluster } from '../cluster.ts';
import type { Step } from './step.ts';

async function waitEvicted(cluster: Cluster, pod: string): Promise<string> {
  return until(`${pod} is evicted`, 120_000, async () => {
    const { status } = await cluster.pod(pod);
    assert.deepEqual([status.phase, status.reason], ['Failed', 'Evicted'], status.message);
    return status.message ?? '';
  });
}

async function identities(cluster: Cluster): Promise<string[]> {
  const pods = await cluster.podsOf('web');
  return pods
    .flatMap(
      ({ status }) => status.containerStatuses?.map((one) => `${one.containerID} ${one.restartCount}`) ?? [],
    )
    .toSorted();
}

export const disk: readonly Step[] = [
  {
    name: 'ephemeral-storage',
    shows:
      "a container that writes more than its ephemeral-storage limit is evicted, by the runtime's figures",
    async run(cluster) {
      await cluster.applyExample('cluster/ephemeral-storage');
      assert.match(await waitEvicted(cluster, 'ephemeral-storage'), /ephemeral local storage.*16Mi/);
      await cluster.remove('pod/ephemeral-storage');
    },
  },
  {
    name: 'disk-pressure',
    shows:
      'a pod that fills the image disk: DiskPressure, this pod is evicted and no other, the room comes back, the pressure goes',
    async run(cluster) {
      const before = await identities(cluster);
      const room = () => {
        const { bavail, blocks } = statfsSync(cluster.bed.imageDisk);
        return bavail / blocks;
      };
      await cluster.apply(
        'hog',
        `apiVersion: v1
kind: Pod
metadata: { name: hog }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: docker.io/library/busybox:1.36
      command: [sh, -c, "dd if=/dev/zero of=/hog bs=1M count=700; while true; do sleep 1; done"]
`,
      );
      await cluster.waitReady('hog');
      await until('the node has DiskPressure', 60_000, async () =>
        assert.equal((await cluster.nodeCondition('DiskPressure')).status, 'True'),
      );
      assert.match(await waitEvicted(cluster, 'hog'), /ephemeral-storage|low on resource/);
      await until('the pressure is gone', 120_000, async () => {
        assert.equal((await cluster.nodeCondition('DiskPressure')).status, 'False');
        assert.ok(room() > 0.5, `${room()} of the disk is free`);
      });
      await pause(3000);
      assert.deepEqual(await identities(cluster), before);
      await cluster.remove('pod/hog');
    },
  },
];
