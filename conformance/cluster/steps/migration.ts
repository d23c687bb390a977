/** From containerd to Berth as docs/kubelet.md has it, on a node with pods. */
import assert from 'node:assert/strict';
import { nodeName } from '../../kubelet/bed.ts';
import { until } from '../../kubelet/wait.ts';
import type { Step } from './step.ts';

export const migration: readonly Step[] = [
  {
    name: 'migrate',
    shows:
      "a drained node changes from containerd to Berth: the same node, CNI configuration, mirrors and logs; its pods come back, and containerd's are gone",
    isNeeded: true,
    async run(cluster) {
      const { bed } = cluster;
      assert.match((await cluster.nodeStatus()).nodeInfo.containerRuntimeVersion, /^containerd:/);
      const [old] = await cluster.podsOf('web');
      await cluster.kubectl(
        ...['drain', nodeName, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout=90s'],
      );
      await bed.kubelet.stop();
      await bed.crictl('rmp', '-fa');
      await bed.berthd.stop();
      bed.changeRuntime('berth');
      await bed.startBerthd();
      assert.equal((await bed.crictl('pods', '-q')).trim(), '');
      await cluster.startKubelet();
      await until('the node is Ready, on Berth', 60_000, async () => {
        const { nodeInfo } = await cluster.nodeStatus();
        assert.match(nodeInfo.containerRuntimeVersion, /^berth:/);
        assert.equal((await cluster.nodeCondition('Ready')).status, 'True');
      });
      await cluster.kubectl('uncordon', nodeName);
      await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
      await cluster.kubectl(
        '-n',
        'kube-system',
        'rollout',
        'status',
        'daemonset/node-network',
        '--timeout=60s',
      );
      const [now] = await cluster.podsOf('web');
      assert.notEqual(now?.metadata.uid, old?.metadata.uid);
      const page = await (await fetch(`http://${now?.status.podIP}:8080/`)).text();
      assert.equal(page, `page of ${now?.metadata.name}\n`);
    },
  },
];
