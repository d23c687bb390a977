/** What the kubelet asks all the time: lists and status, with records of 20, 200 and 1,000 exited containers, ten to a pod. */
import type { Load } from '../load.ts';
import { populate } from '../population.ts';
import type { Subject } from '../subject.ts';

interface Probe {
  readonly containerId: string;
  readonly podId: string;
}

function makeListLoad(containers: number, callsPerRound: number): Load {
  const probes = new Map<Subject, Probe>();
  const target = containers >= 200 ? { targetRatio: 1.5, inReadme: true } : {};
  const title = (name: string) => `${name}, ${containers.toLocaleString('en')} containers`;
  return {
    name: `lists-${containers}`,
    title: `lists and status with ${containers.toLocaleString('en')} containers`,
    setup: 'same',
    scope: 'daemon',
    isQuick: false,
    rounds: 6,
    warmupRounds: 2,
    metrics: [
      { key: 'containers', title: title('ListContainers'), unit: 'ms', ...target },
      { key: 'pods', title: title('ListPodSandbox'), unit: 'ms', ...target },
      { key: 'containerStatus', title: title('ContainerStatus'), unit: 'ms', ...target },
      { key: 'podStatus', title: title('PodSandboxStatus'), unit: 'ms', ...target },
      { key: 'oneContainer', title: title('ListContainers by id'), unit: 'ms' },
    ],
    async prepare(subject) {
      const population = await populate(subject, { containers, isRunning: false });
      probes.set(subject, { containerId: population.containerIds[0]!, podId: population.podIds[0]! });
    },
    async round(subject, record) {
      const { containerId, podId } = probes.get(subject)!;
      const { client } = subject.daemon;
      for (let call = 0; call < callsPerRound; call += 1) {
        const listed = await client.time('ListContainers', {});
        if (listed.reply.containers.length < containers)
          throw new Error(`ListContainers returned ${listed.reply.containers.length} of ${containers}`);
        record('containers', listed.ms);
        record('pods', (await client.time('ListPodSandbox', {})).ms);
        record('containerStatus', (await client.time('ContainerStatus', { container_id: containerId })).ms);
        record('podStatus', (await client.time('PodSandboxStatus', { pod_sandbox_id: podId })).ms);
        record('oneContainer', (await client.time('ListContainers', { filter: { id: containerId } })).ms);
      }
    },
    async finish(subject) {
      probes.delete(subject);
      await subject.removeEverything();
    },
  };
}

export const listLoads: readonly Load[] = [
  makeListLoad(20, 40),
  makeListLoad(200, 30),
  makeListLoad(1000, 20),
];
