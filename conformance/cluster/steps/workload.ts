/** A deployment and its rollouts. */
import assert from 'node:assert/strict';
import { until } from '../../kubelet/wait.ts';
import type { Cluster } from '../cluster.ts';
import type { Step } from './step.ts';

async function pagesOf(cluster: Cluster): Promise<string[]> {
  const pods = await cluster.podsOf('web');
  return Promise.all(pods.map(async ({ status }) => (await fetch(`http://${status.podIP}:8080/`)).text()));
}

/** Resolves once the old pods are gone from the API server and from the runtime. */
async function waitReplaced(cluster: Cluster, old: readonly string[]): Promise<void> {
  await until('the old pods are gone', 60_000, async () => {
    const { items } = await cluster.get<{ items: { metadata: { name: string } }[] }>('pods');
    const names = items.map(({ metadata }) => metadata.name);
    assert.deepEqual(
      names.filter((name) => old.includes(name)),
      [],
    );
    // What is NotReady there is the kubelet's to collect, once a minute.
    const ready = await cluster.bed.crictl('pods', '--state', 'Ready');
    for (const name of old) assert.ok(!ready.includes(name), `${name} is still ready`);
  });
}

const names = (pods: readonly { metadata: { name: string } }[]) => pods.map(({ metadata }) => metadata.name);

export const workload: readonly Step[] = [
  {
    name: 'deployment',
    shows:
      'a Deployment of two replicas becomes available; each has an address, a page and a service account token',
    isNeeded: true,
    async run(cluster) {
      await cluster.applyExample('cluster/deployment');
      await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=90s');
      const pods = await cluster.podsOf('web');
      assert.equal(pods.length, 2);
      assert.equal(new Set(pods.map(({ status }) => status.podIP)).size, 2);
      assert.deepEqual(
        (await pagesOf(cluster)).toSorted(),
        names(pods)
          .map((name) => `page of ${name}\n`)
          .toSorted(),
      );
      const file = '/var/run/secrets/kubernetes.io/serviceaccount/token';
      assert.match(await cluster.kubectl('exec', names(pods)[0] ?? '', '--', 'cat', file), /^ey/);
    },
  },
  {
    name: 'rollout',
    shows:
      'another image replaces the pods one by one; a page answers throughout; undo brings the first back',
    async run(cluster) {
      const old = names(await cluster.podsOf('web'));
      await cluster.kubectl('set', 'image', 'deployment/web', 'server=docker.io/library/busybox:latest');
      const rollout = cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=90s');
      let isDone = false;
      const watching = (async () => {
        // Ready pods are asked, not the next one that may just have been told to end.
        while (!isDone) {
          const ready = (await cluster.podsOf('web')).filter(({ status }) =>
            status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
          );
          assert.ok(ready.length >= 2, `${ready.length} pods are ready`);
        }
      })();
      await rollout.finally(() => {
        isDone = true;
      });
      await watching;
      await waitReplaced(cluster, old);
      const now = await cluster.podsOf('web');
      assert.deepEqual(
        now.map(({ spec }) => spec.containers[0]?.image),
        ['docker.io/library/busybox:latest', 'docker.io/library/busybox:latest'],
      );
      assert.equal((await pagesOf(cluster)).length, 2);
      await cluster.kubectl('rollout', 'undo', 'deployment/web');
      await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=90s');
      await waitReplaced(cluster, names(now));
    },
  },
  {
    name: 'berthd-killed',
    shows:
      'berthd killed in the middle of a rollout: it completes, nothing is left over, the node stays Ready',
    async run(cluster) {
      const old = names(await cluster.podsOf('web'));
      await cluster.kubectl('rollout', 'restart', 'deployment/web');
      await until('a new pod is there', 20_000, async () => {
        const pods = await cluster.podsOf('web');
        assert.ok(names(pods).some((name) => !old.includes(name)));
      });
      await cluster.bed.berthd.stop('SIGKILL');
      await cluster.bed.startBerthd();
      await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=90s');
      await waitReplaced(cluster, old);
      assert.equal((await cluster.nodeCondition('Ready')).status, 'True');
      for (const { status } of await cluster.podsOf('web'))
        assert.equal(status.containerStatuses?.[0]?.restartCount, 0);
    },
  },
];
