/** What containers of one pod share with each other and with the node. */
import assert from 'node:assert/strict';
import { readlinkSync } from 'node:fs';
import { ensureNewerCrun } from '../../tools/newer-crun.ts';
import { nodeName } from '../bed.ts';
import { until } from '../wait.ts';
import type { Scenario } from './scenario.ts';

interface Handler {
  readonly features?: { readonly user_namespaces?: boolean };
}

export const namespaces: readonly Scenario[] = [
  {
    name: 'two-containers',
    shows: 'containers share localhost, IPC and /dev/shm, not processes',
    async run(pod) {
      const { status } = await pod.waitReady();
      assert.match(status.podIP ?? '', /^10\.2\d\d\./);
      const log = await until('the client has talked to the server', 20_000, async () => {
        const text = await pod.logs('client');
        assert.match(text, /hello from the server\na note in shared memory\n/);
        return text;
      });
      assert.ok(log.length > 0);
      const link = (container: string, kind: string) => pod.sh(container, `readlink /proc/self/ns/${kind}`);
      for (const kind of ['net', 'ipc', 'uts'])
        assert.equal(await link('server', kind), await link('client', kind), kind);
      for (const kind of ['pid', 'mnt'])
        assert.notEqual(await link('server', kind), await link('client', kind), kind);
      assert.equal(await pod.sh('server', 'hostname'), pod.fullName);
      assert.equal(await pod.sh('client', 'hostname -i'), status.podIP);
    },
  },
  {
    name: 'shared-process-namespace',
    shows: 'each container sees and signals the others; PID 1 is an init that reaps',
    async run(pod) {
      await pod.waitReady();
      const list = await pod.sh('watcher', 'ps -o pid,args');
      assert.match(list, /echo reloaded/);
      assert.doesNotMatch(list, /^\s*1 sh/m);
      await pod.sh('watcher', 'kill -HUP $(pgrep -of "echo reloade[d]")');
      await until('the worker was told', 10_000, async () =>
        assert.match(await pod.logs('worker'), /reloaded/),
      );
      // An orphan of one container must not stay as a zombie.
      await pod.sh('watcher', '(sleep 0.2 &) ; exit 0');
      await until('the orphan is reaped', 10_000, async () =>
        assert.doesNotMatch(await pod.sh('watcher', 'ps -o stat,args'), /^Z/m),
      );
    },
  },
  {
    name: 'host-network',
    shows: "a pod in the node's network, PID and IPC namespaces, with the node's name",
    async run(pod) {
      await pod.waitReady();
      for (const kind of ['net', 'pid', 'ipc', 'uts']) {
        assert.equal(
          await pod.sh('agent', `readlink /proc/self/ns/${kind}`),
          readlinkSync(`/proc/self/ns/${kind}`),
          kind,
        );
      }
      const answer = await fetch('http://127.0.0.1:18081/');
      const { hostname } = await import('node:os');
      assert.equal((await answer.text()).trim(), hostname());
    },
  },
  {
    name: 'dns-and-hosts',
    shows: "resolv.conf, /etc/hosts and host name as the pod's spec has them",
    async run(pod) {
      await pod.waitReady();
      // The kubelet sends the options in whatever order its map has.
      assert.match(
        await pod.sh('main', 'cat /etc/resolv.conf'),
        /^search berth\.example example\.com\nnameserver 192\.0\.2\.53\noptions (ndots:2 edns0|edns0 ndots:2)$/,
      );
      const hosts = await pod.sh('main', 'cat /etc/hosts');
      assert.match(hosts, /^192\.0\.2\.10\s+database\s+db\.example\.com$/m);
      assert.equal(await pod.sh('main', 'hostname'), 'web');
      assert.equal(await pod.sh('main', 'cat /etc/hostname'), 'web');
      assert.equal(await pod.sh('main', 'echo $HOSTNAME'), 'web');
    },
  },
  {
    name: 'user-namespace',
    shows: 'root of the pod is an unprivileged user of the node, also on its volumes',
    isAlone: true,
    async run(pod, bed) {
      const info = JSON.parse(await bed.crictl('info', '-o', 'json')) as { runtimeHandlers?: Handler[] };
      const isAble = info.runtimeHandlers?.some(({ features }) => features?.user_namespaces === true);
      if (isAble !== true) {
        // crun makes idmapped mounts from 1.9 on; Debian 12 has 1.8.
        await bed.berthd.stop();
        await bed.startBerthd({ crun: await ensureNewerCrun(), handler: 'crun' });
      }
      await pod.waitReady();
      assert.equal(await pod.sh('main', 'id -u'), '0');
      const [inside, outside] = (await pod.sh('main', 'cat /proc/self/uid_map'))
        .trim()
        .split(/\s+/)
        .map(Number);
      assert.equal(inside, 0);
      assert.ok((outside ?? 0) >= 65536, `mapped to ${outside}`);
      assert.equal(await pod.sh('main', 'stat -c %u:%g /disk/mine /bin/busybox'), '0:0\n0:0');
      assert.notEqual(
        await pod.sh('main', 'readlink /proc/self/ns/user'),
        readlinkSync('/proc/self/ns/user'),
      );
    },
  },
  {
    name: 'runtime-class',
    shows: 'the pod runs under the named handler',
    whyNot: () =>
      'RuntimeClass is an object of the API server; a kubelet without one passes over the name. `make cluster-e2e` has one',
    async run() {
      throw new Error(`unreachable on ${nodeName}`);
    },
  },
];
