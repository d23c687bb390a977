/** The node itself: it registers, gets its network, is drained, runs out of disk. */
import assert from 'node:assert/strict';
import { nodeName } from '../../kubelet/bed.ts';
import { until } from '../../kubelet/wait.ts';
import type { Step } from './step.ts';

export const joining: readonly Step[] = [
  {
    name: 'register',
    shows:
      'the node registers with its runtime and version (`berth://`), and is NotReady for want of a network',
    isNeeded: true,
    async run(cluster) {
      const name = cluster.bed.options.runtime ?? 'berth';
      const { nodeInfo } = await until('the kubelet has reported', 30_000, async () => {
        const status = await cluster.nodeStatus();
        assert.match(status.nodeInfo.containerRuntimeVersion, new RegExp(`^${name}://\\d`));
        return status;
      });
      assert.match(nodeInfo.kubeletVersion, /^v1\.36\./);
      const ready = await cluster.nodeCondition('Ready');
      assert.equal(ready.status, 'False');
      assert.match(ready.message, /NetworkReady=false|network/i);
    },
  },
  {
    name: 'network',
    shows: 'a daemon set in the host network places the CNI configuration, and the node becomes Ready',
    isNeeded: true,
    async run(cluster) {
      await cluster.placeNetwork();
      await until('the node is Ready', 60_000, async () =>
        assert.equal((await cluster.nodeCondition('Ready')).status, 'True'),
      );
      await cluster.kubectl(
        '-n',
        'kube-system',
        'rollout',
        'status',
        'daemonset/node-network',
        '--timeout=60s',
      );
    },
  },
];

export const leaving: readonly Step[] = [
  {
    name: 'drain',
    shows:
      'drain moves every pod but the daemon set off the node within its grace, uncordon brings them back, and the runtime keeps none of the old',
    async run(cluster) {
      const before = await cluster.podsOf('web');
      await cluster.kubectl(
        ...['drain', nodeName, '--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=90s'],
      );
      const { items } = await cluster.get<{ items: { spec: { nodeName?: string } }[] }>('pods');
      assert.deepEqual(
        items.filter(({ spec }) => spec.nodeName !== undefined),
        [],
        'pods are left on the drained node',
      );
      for (const { metadata } of before)
        await until(`the runtime has no ${metadata.name}`, 60_000, async () =>
          assert.equal((await cluster.bed.crictl('pods', '-q', '--name', metadata.name)).trim(), ''),
        );
      await cluster.kubectl('uncordon', nodeName);
      await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
    },
  },
];
