/** What a kubelet alone cannot do, because it needs objects of the API server. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { until } from '../../kubelet/wait.ts';
import type { Step } from './step.ts';

export const objects: readonly Step[] = [
  {
    name: 'runtime-class',
    shows:
      'a RuntimeClass runs the pod under the handler it names; one that Berth lacks is refused with its name',
    async run(cluster) {
      await cluster.applyExample('runtime-class');
      await cluster.waitReady('runtime-class');
      const list = JSON.parse(
        await cluster.bed.crictl('pods', '-o', 'json', '--name', '^runtime-class$'),
      ) as { items: { runtimeHandler: string }[] };
      assert.deepEqual(
        list.items.map(({ runtimeHandler }) => runtimeHandler),
        ['runc'],
      );
      assert.equal((await cluster.run(['exec', 'runtime-class', '--', 'echo', 'here'])).stdout, 'here\n');
      await cluster.remove('pod/runtime-class', '--grace-period=1');
      await cluster.apply(
        'no-handler',
        `{ apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: { name: absent }, handler: absent }
---
apiVersion: v1
kind: Pod
metadata: { name: no-handler }
spec:
  runtimeClassName: absent
  containers: [{ name: main, image: "docker.io/library/busybox:1.36", command: [sleep, "100"] }]
`,
      );
      await until('the event says why', 30_000, async () =>
        assert.match(
          await cluster.kubectl('events', '--for', 'pod/no-handler'),
          /FailedCreatePodSandBox.*absent/,
        ),
      );
      await cluster.remove('pod/no-handler', '--grace-period=0', '--force');
    },
  },
  {
    name: 'pull-secret',
    shows: 'an image behind a password fails without and is pulled with the secret that the pod names',
    async run(cluster) {
      const { host, user, password } = cluster.bed.privateRegistry;
      await cluster.applyExample('cluster/pull-secret', { 'registry.example.com/': `${host}/` });
      await until('the pull is refused', 30_000, async () => {
        const { status } = await cluster.pod('pull-secret');
        const waiting = status.containerStatuses?.[0]?.state.waiting;
        assert.match(waiting?.reason ?? '', /ErrImagePull|ImagePullBackOff/);
      });
      assert.match(
        await cluster.kubectl('events', '--for', 'pod/pull-secret'),
        /401|[Uu]nauthorized|authoriz/,
      );
      await cluster.kubectl(
        ...['create', 'secret', 'docker-registry', 'team', `--docker-server=${host}`],
        ...[`--docker-username=${user}`, `--docker-password=${password}`],
      );
      await cluster.waitReady('pull-secret', 90);
      assert.equal(await cluster.kubectl('logs', 'pull-secret'), 'not for everyone\n');
      await cluster.remove('pod/pull-secret', 'secret/team');
    },
  },
  {
    name: 'resize',
    shows: 'kubectl patch --subresource resize changes the limits in the cgroup without a restart',
    async run(cluster) {
      // Only a static pod must bring its uid.
      await cluster.applyExample('resize', { '  uid: 5b1c9b9e-8d0a-4d6b-9c66-be5700000001\n': '' });
      await cluster.waitReady('resize');
      const before = (await cluster.pod('resize')).status.containerStatuses?.[0];
      const resources = { limits: { cpu: '200m', memory: '96Mi' } };
      const patch = JSON.stringify({ spec: { containers: [{ name: 'main', resources }] } });
      await cluster.kubectl('patch', 'pod', 'resize', '--subresource', 'resize', '--patch', patch);
      const find = 'cat /sys/fs/cgroup/memory.max || cat /sys/fs/cgroup/memory/memory.limit_in_bytes';
      await until('the new limit is in the cgroup and in the status', 60_000, async () => {
        const { stdout } = await cluster.run(['exec', 'resize', '--', 'sh', '-c', `(${find}) 2>/dev/null`]);
        assert.equal(stdout.trim(), String(96 << 20));
        const now = (await cluster.pod('resize')).status.containerStatuses?.[0];
        assert.deepEqual(now?.resources?.limits, resources.limits);
        assert.deepEqual([now?.containerID, now?.restartCount], [before?.containerID, 0]);
      });
      await cluster.remove('pod/resize');
    },
  },
  {
    name: 'config-map',
    shows: 'a changed ConfigMap reaches the running container as a whole, a file at a time never half',
    async run(cluster) {
      const file = `${cluster.bed.dir}/staging/settings`;
      writeFileSync(file, 'first\n');
      await cluster.kubectl('create', 'configmap', 'settings', `--from-file=settings=${file}`);
      await cluster.apply(
        'config-map',
        `apiVersion: v1
kind: Pod
metadata: { name: config-map }
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{ name: settings, configMap: { name: settings } }]
  containers:
    - name: main
      image: docker.io/library/busybox:1.36
      command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 0.5; done"]
      volumeMounts: [{ name: settings, mountPath: /etc/settings }]
`,
      );
      await cluster.waitReady('config-map');
      const read = () => cluster.kubectl('exec', 'config-map', '--', 'cat', '/etc/settings/settings');
      assert.equal(await read(), 'first\n');
      await cluster.kubectl('patch', 'configmap', 'settings', '--patch', '{"data":{"settings":"second\\n"}}');
      await until('the change is there', 90_000, async () => assert.equal(await read(), 'second\n'));
      await cluster.remove('pod/config-map', 'configmap/settings');
    },
  },
];
