/** How soon a node with many pods is there again after its daemon was killed. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { raiseKeyQuota } from '#conformance/bench/key-quota.ts';
import { FaultBed, imageName } from '#conformance/faults/bed.ts';

const pods = 20;
const containersPerPod = 10;
const longestMs = 1500;
/** ContainerState and NamespaceMode of the CRI. */
const running = 1;
const nodeNamespace = 2;

let bed: FaultBed;
let restoreKeyQuota: () => void;

beforeAll(async () => {
  restoreKeyQuota = raiseKeyQuota();
  bed = await FaultBed.prepare();
  await bed.start();
  await bed.call('PullImage', { image: { image: imageName } });
});

afterAll(async () => {
  await bed.close();
  restoreKeyQuota();
});

/** A pod on the host's network, for the time is not about networks, with containers that run until they are stopped. */
async function runPod(index: number): Promise<void> {
  const name = `pod${index}`;
  const config = {
    metadata: { name, uid: name, namespace: 'recovery', attempt: 0 },
    log_directory: join(bed.dir, 'pods', name),
    linux: {
      cgroup_parent: bed.cgroupParent,
      security_context: { namespace_options: { network: nodeNamespace } },
    },
  };
  const { pod_sandbox_id } = await bed.call('RunPodSandbox', { config });
  for (let at = 0; at < containersPerPod; at += 1) {
    const container = {
      metadata: { name: `c${at}`, attempt: 0 },
      image: { image: imageName },
      command: ['sh', '-c', 'trap "exit 0" TERM; sleep 86400 & wait'],
    };
    const { container_id } = await bed.call('CreateContainer', {
      pod_sandbox_id,
      config: container,
      sandbox_config: config,
    });
    await bed.call('StartContainer', { container_id });
  }
}

test(`200 running containers are listed within ${longestMs} ms of the start that follows a kill`, async () => {
  // Four at a time, as a busy kubelet would.
  const indices = Array.from({ length: pods }, (_, index) => index);
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let index = indices.pop(); index !== undefined; index = indices.pop()) await runPod(index);
    }),
  );
  await bed.kill();
  const startedMs = performance.now();
  await bed.start();
  const { containers } = await bed.call('ListContainers', { filter: { state: { state: running } } });
  const tookMs = performance.now() - startedMs;
  expect(containers).toHaveLength(pods * containersPerPod);
  expect(tookMs).toBeLessThan(longestMs);
  for (const { id } of (await bed.call('ListPodSandbox', {})).items)
    await bed.call('RemovePodSandbox', { pod_sandbox_id: id });
  expect(await bed.audit()).toEqual([]);
});
