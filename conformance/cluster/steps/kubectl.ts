/** What people do with kubectl in pods that run. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeName } from '../../kubelet/bed.ts';
import { until } from '../../kubelet/wait.ts';
import type { Cluster } from '../cluster.ts';
import type { Step } from './step.ts';

/** kubectl speaks WebSocket to the API server unless told otherwise. */
const transports: readonly (readonly [string, NodeJS.ProcessEnv])[] = [
  ['websocket', {}],
  ['spdy', { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false', KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }],
];

async function firstPod(cluster: Cluster): Promise<string> {
  return (await cluster.podsOf('web'))[0]?.metadata.name ?? 'none';
}

export const operating: readonly Step[] = [
  {
    name: 'exec',
    shows: 'kubectl exec: both outputs, exit codes and input, by WebSocket and SPDY',
    async run(cluster) {
      const pod = await firstPod(cluster);
      for (const [transport, environment] of transports) {
        const ran = await cluster.run(
          ['exec', '-i', pod, '-c', 'server', '--', 'sh', '-c', 'cat; echo err >&2; exit 42'],
          { input: `by ${transport}\n`, environment },
        );
        assert.equal(ran.code, 42, ran.stderr);
        assert.equal(ran.stdout, `by ${transport}\n`);
        assert.match(ran.stderr, /^err\n/);
      }
    },
  },
  {
    name: 'logs',
    shows: 'kubectl logs: whole, tail, since, follow, of an init container',
    async run(cluster) {
      const pod = await firstPod(cluster);
      const { status } = await cluster.pod(pod);
      assert.match(await cluster.kubectl('logs', pod), /^serving\n/);
      const follower = cluster.start(['logs', '-f', '--tail=0', pod]);
      let followed = '';
      follower.stdout.on('data', (part: Buffer) => {
        followed += part.toString();
      });
      await until('the request is logged and followed', 20_000, async () => {
        await fetch(`http://${status.podIP}:8080/absent`);
        assert.match(followed, /response:404\n/);
      });
      follower.kill('SIGTERM');
      await once(follower, 'close');
      assert.match(
        await cluster.kubectl('logs', '--tail=1', '--since=1m', '--timestamps', pod),
        /^\d{4}-\d\d-/,
      );
      assert.equal(await cluster.kubectl('logs', pod, '-c', 'page'), '');
    },
  },
  {
    name: 'port-forward',
    shows: 'kubectl port-forward to a pod of the deployment, by WebSocket and SPDY',
    async run(cluster) {
      for (const [transport, environment] of transports) {
        const child = cluster.start(['port-forward', 'deployment/web', ':8080'], environment);
        let seen = '';
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (part: Buffer) => {
            seen += part.toString();
          });
        const port = await until('it forwards', 20_000, () => {
          const found = /127\.0\.0\.1:(\d+) -> 8080/.exec(seen)?.[1];
          assert.ok(found, seen);
          return found;
        });
        const pages = await Promise.all(
          [1, 2, 3].map(async () => (await fetch(`http://127.0.0.1:${port}/`)).text()),
        );
        for (const page of pages) assert.match(page, /^page of web-/, transport);
        child.kill('SIGTERM');
        await once(child, 'close');
      }
    },
  },
  {
    name: 'cp',
    shows: 'kubectl cp a file into a pod and back',
    async run(cluster) {
      const pod = await firstPod(cluster);
      const [there, back] = ['there', 'back'].map((name) => join(cluster.bed.dir, 'staging', name));
      const content = Buffer.alloc(3 << 20, 'all sorts of bytes \u0000\u00ff');
      writeFileSync(there ?? '', content);
      await cluster.kubectl('cp', '-c', 'server', there ?? '', `${pod}:/tmp/copied`);
      await cluster.kubectl('cp', '-c', 'server', `${pod}:/tmp/copied`, back ?? '');
      assert.ok(readFileSync(back ?? '').equals(content));
    },
  },
  {
    name: 'attach-and-run',
    shows:
      'kubectl run -i --rm takes an input and gives the output; kubectl attach reaches a container with a terminal',
    async run(cluster) {
      const image = '--image=docker.io/library/busybox:1.36';
      const script = 'read -r line; echo "got $line"; sleep 1';
      const ran = await cluster.run(
        ['run', 'once', image, '--restart=Never', '-i', '--rm', '--command', '--', 'sh', '-c', script],
        { input: 'a line\n' },
      );
      assert.equal(ran.code, 0, ran.stderr);
      assert.match(ran.stdout, /got a line\n/);
      await cluster.applyExample('interactive');
      await cluster.waitReady('interactive');
      const child = cluster.start(['attach', '-i', 'interactive', '-c', 'cat']);
      let seen = '';
      child.stdout.on('data', (part: Buffer) => {
        seen += part.toString();
      });
      child.stdin.write('over kubectl\n');
      await until('it answers', 15_000, () => assert.match(seen, /got over kubectl\n/));
      child.kill('SIGTERM');
      await once(child, 'close');
      await cluster.remove('pod', 'interactive');
    },
  },
  {
    name: 'debug',
    shows: "kubectl debug: an ephemeral container in the target's process namespace, its output and its end",
    async run(cluster) {
      const pod = await firstPod(cluster);
      const before = await cluster.pod(pod);
      const script =
        'ps -o pid,args; cat /proc/1/root/page/index.html; wget -q -O - http://localhost:8080/; exit 3';
      await cluster.kubectl(
        ...['debug', pod, '--image=docker.io/library/busybox:1.36', '--target=server', '-c', 'debugger'],
        ...['--profile=general', '--', 'sh', '-c', script],
      );
      const ended = await until('it has ended', 30_000, async () => {
        const { status } = await cluster.pod(pod);
        const state = status.ephemeralContainerStatuses?.[0]?.state.terminated;
        assert.ok(state, JSON.stringify(status.ephemeralContainerStatuses));
        return state;
      });
      const said = await cluster.kubectl('logs', pod, '-c', 'debugger');
      assert.equal(ended.exitCode, 3, said);
      assert.match(said, /^\s*1 httpd -f/m, 'the server is not PID 1 of what it sees');
      assert.equal(said.split(`page of ${pod}\n`).length - 1, 2, said);
      // A second one, with a terminal on the way: attached to at once.
      const ran = await cluster.run(
        [
          ...[
            'debug',
            '-i',
            pod,
            '--image=docker.io/library/busybox:1.36',
            '--target=server',
            '-c',
            'second',
          ],
          ...['--', 'sh', '-c', 'read -r line; echo "got $line"; sleep 1'],
        ],
        { input: 'a line\n' },
      );
      assert.match(ran.stdout, /got a line\n/, ran.stderr);
      const after = await cluster.pod(pod);
      const ids = ({ status }: typeof before) =>
        status.containerStatuses?.map(({ containerID, restartCount }) => [containerID, restartCount]);
      assert.deepEqual(ids(after), ids(before));
    },
  },
  {
    name: 'debug-node',
    shows: "kubectl debug node: a pod in the node's namespaces with the node's file system at /host",
    async run(cluster) {
      const script = `chroot /host ls ${cluster.bed.dir}/kubelet.json && readlink /proc/self/ns/net && readlink /proc/self/ns/pid`;
      const told = await cluster.kubectl(
        ...['debug', `node/${nodeName}`, '--image=docker.io/library/busybox:1.36', '--profile=sysadmin'],
        ...['--', 'sh', '-c', script],
      );
      const pod = /node-debugger-\S+/.exec(told)?.[0] ?? 'none';
      await until('it has ended', 30_000, async () => {
        const { phase } = (await cluster.pod(pod)).status;
        assert.match(phase ?? '', /Succeeded|Failed/);
        assert.equal(phase, 'Succeeded', await cluster.kubectl('logs', pod));
      });
      const lines = (await cluster.kubectl('logs', pod)).trim().split('\n');
      const own = ['net', 'pid'].map((kind) => readlinkSync(`/proc/self/ns/${kind}`));
      assert.deepEqual(lines, [`${cluster.bed.dir}/kubelet.json`, ...own]);
      await cluster.remove('pod', pod);
    },
  },
];
