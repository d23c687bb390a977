/** Limits as the kernel has them, and ports of the node. */
import assert from 'node:assert/strict';
import type { TestPod } from '../pod.ts';
import { until } from '../wait.ts';
import { readCgroupFile, type Scenario } from './scenario.ts';

async function cpuQuota(pod: TestPod, container: string): Promise<string> {
  return pod.bed.cgroup.isUnified
    ? readCgroupFile(pod, container, '', 'cpu.max')
    : `${await readCgroupFile(pod, container, 'cpu', 'cpu.cfs_quota_us')} ${await readCgroupFile(pod, container, 'cpu', 'cpu.cfs_period_us')}`;
}

function memoryLimit(pod: TestPod, container: string): Promise<string> {
  return pod.bed.cgroup.isUnified
    ? readCgroupFile(pod, container, '', 'memory.max')
    : readCgroupFile(pod, container, 'memory', 'memory.limit_in_bytes');
}

export const resources: readonly Scenario[] = [
  {
    name: 'resources',
    shows: 'requests and limits are in the cgroup files and in the status',
    async run(pod) {
      await pod.waitReady();
      assert.equal(await cpuQuota(pod, 'main'), '15000 100000');
      assert.equal(await memoryLimit(pod, 'main'), String(64 * 1024 * 1024));
      if (!pod.bed.cgroup.isUnified) {
        assert.equal(await readCgroupFile(pod, 'main', 'cpu', 'cpu.shares'), '51');
        assert.equal(await readCgroupFile(pod, 'unlimited', 'cpu', 'cpu.shares'), '2');
        assert.equal(await readCgroupFile(pod, 'unlimited', 'cpu', 'cpu.cfs_quota_us'), '-1');
      }
      const { resources: reported } = await pod.container('main');
      assert.deepEqual(reported, {
        limits: { cpu: '150m', memory: '64Mi' },
        requests: { cpu: '50m', memory: '32Mi' },
      });
    },
  },
  {
    name: 'resize',
    shows: 'CPU and memory limits change while the container runs, without a restart',
    async run(pod, bed) {
      await pod.waitReady();
      assert.equal(await cpuQuota(pod, 'main'), '10000 100000');
      const before = await pod.container('main');
      bed.place('resize', { 'cpu: 100m, memory: 64Mi': 'cpu: 200m, memory: 96Mi' });
      await until('the new limits are in the cgroup', 60_000, async () => {
        assert.equal(await cpuQuota(pod, 'main'), '20000 100000');
        assert.equal(await memoryLimit(pod, 'main'), String(96 * 1024 * 1024));
      });
      const after = await pod.waitContainer('main', ({ resources }) =>
        assert.equal(resources?.limits?.memory, '96Mi'),
      );
      assert.equal(after.containerID, before.containerID);
      assert.equal(after.restartCount, 0);
    },
  },
  {
    name: 'host-port',
    shows: 'host ports answer on every address, or on the one named',
    async run(pod, bed) {
      const { status } = await pod.waitReady();
      const page = async (host: string, port: number): Promise<string> => {
        try {
          return await (await fetch(`http://${host}:${port}/`, { signal: AbortSignal.timeout(5000) })).text();
        } catch (cause) {
          throw new Error(`nothing from ${host}:${port}: ${cause instanceof Error ? cause.message : cause}`, {
            cause,
          });
        }
      };
      assert.match(await page(status.podIP ?? '', 80), /nginx fixture/);
      assert.match(await page('127.0.0.1', 18080), /nginx fixture/);
      const own = bed.address;
      assert.match(await page(own, 18080), /nginx fixture/);
      assert.equal(await page('127.0.0.1', 18082), 'local\n');
      await assert.rejects(page(own, 18082));
      // From inside the pod through the node's port and back.
      assert.match(await pod.sh('local', `wget -q -T 5 -O - http://${own}:18080/`), /nginx fixture/);
      await pod.remove();
      await assert.rejects(page('127.0.0.1', 18080), 'the port still answers');
    },
  },
];
