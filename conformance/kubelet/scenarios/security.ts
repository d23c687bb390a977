/** Users, groups, capabilities, seccomp, kernel parameters. */
import assert from 'node:assert/strict';
import type { TestPod } from '../pod.ts';
import type { Scenario } from './scenario.ts';

async function statusField(pod: TestPod, container: string, field: string): Promise<string> {
  return pod.sh(container, `sed -n 's/^${field}:[[:space:]]*//p' /proc/self/status`);
}

export const security: readonly Scenario[] = [
  {
    name: 'security-context',
    shows: 'user, groups, fsGroup, capabilities and no-new-privileges as asked; a root image refused',
    async run(pod) {
      for (const name of ['restricted', 'network-admin', 'privileged'])
        await pod.waitContainer(name, ({ ready, state }) => assert.ok(ready, JSON.stringify(state)));
      assert.equal(await pod.sh('restricted', 'id -u; id -g; id -G'), '1000\n3000\n3000 2000 4000');
      assert.equal(BigInt(`0x${await statusField(pod, 'restricted', 'CapBnd')}`), 0n);
      assert.equal(await statusField(pod, 'restricted', 'NoNewPrivs'), '1');
      assert.equal(await statusField(pod, 'restricted', 'Seccomp'), '2');
      assert.equal(await pod.sh('restricted', 'stat -c %g:%a /data'), '2000:2777');
      await pod.sh('restricted', 'touch /data/mine /memory/mine');
      assert.equal(await pod.sh('restricted', 'stat -c %u:%g /data/mine'), '1000:2000');
      const user = (await pod.container('restricted')).user?.linux;
      assert.deepEqual(user, { uid: 1000, gid: 3000, supplementalGroups: [2000, 3000, 4000] });
      // CAP_NET_BIND_SERVICE is number 10, CAP_NET_ADMIN number 12.
      assert.equal(
        BigInt(`0x${await statusField(pod, 'network-admin', 'CapEff')}`),
        (1n << 10n) | (1n << 12n),
      );
      await pod.sh('network-admin', 'ip link add dummy9 type dummy || ip addr add 192.0.2.1/32 dev lo');
      assert.ok(BigInt(`0x${await statusField(pod, 'privileged', 'CapEff')}`) > 1n << 30n);
      await pod.sh(
        'privileged',
        'test -c /dev/kmsg && mkdir /tmp/m && mount -t tmpfs m /tmp/m && umount /tmp/m',
      );
      const refused = await pod.waitContainer('refused', ({ state }) =>
        assert.ok(state.waiting?.message, 'no message yet'),
      );
      assert.equal(refused.state.waiting?.reason, 'CreateContainerConfigError');
    },
  },
  {
    name: 'seccomp',
    shows: 'the default profile filters, the local one forbids mkdir, Unconfined filters nothing',
    async run(pod) {
      await pod.waitReady();
      assert.equal(await statusField(pod, 'default', 'Seccomp'), '2');
      assert.match((await pod.exec('default', ['unshare', '-U', 'true'])).stderr, /not permitted/);
      await pod.sh('default', 'mkdir /tmp/a');
      assert.equal(await statusField(pod, 'local', 'Seccomp'), '2');
      assert.match((await pod.exec('local', ['mkdir', '/tmp/a'])).stderr, /not permitted/);
      assert.equal(await statusField(pod, 'unconfined', 'Seccomp'), '0');
    },
  },
  {
    name: 'sysctls',
    shows: "kernel parameters of the pod's own namespaces",
    async run(pod) {
      await pod.waitReady();
      const read = (name: string) => pod.sh('main', `cat /proc/sys/${name}`);
      assert.equal(await read('kernel/shm_rmid_forced'), '1');
      assert.equal(await read('net/ipv4/ip_local_port_range'), '20000\t20100');
      assert.equal(await read('net/core/somaxconn'), '1234');
      assert.equal(await read('net/ipv4/ip_unprivileged_port_start'), '0');
    },
  },
];
