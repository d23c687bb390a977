/**
 * The kubelet's own start-up indicator (kubelet_pod_start_sli_duration_seconds: from the pod's creation to the kubelet's seeing all
 * containers run, without pulls) for pods that start at once: Berth beside Debian's containerd with runc, in turns.
 *
 *   node conformance/cluster/start-up.ts [--pods 30] [--rounds 3] [--turns 2] [--runtime berth|containerd]
 *
 * Each turn is a cluster of its own; a round scales a deployment from nothing to all pods and back. The indicator leaves static
 * pods out, which is why there is an API server.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cacheDir } from '../cache.ts';
import { ensureKubelet } from '../kubelet/build.ts';
import { until } from '../kubelet/wait.ts';
import {
  conformancePackages,
  demoPackages,
  ensurePackages,
  prepareCgroups,
  runtimePackages,
} from '../setup.ts';
import { buildStreamingClient } from '../streaming-client/build.ts';
import { ensureTools } from '../tools/build.ts';
import { ensureControlPlane } from './build.ts';
import { Cluster } from './cluster.ts';

const runtimes = ['berth', 'containerd'] as const;
type Runtime = (typeof runtimes)[number];

function deployment(image: string): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: many }
spec:
  replicas: 0
  selector: { matchLabels: { app: many } }
  template:
    metadata: { labels: { app: many } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: ${image}
          command: [sh, -c, "trap 'exit 0' TERM; while true; do sleep 1; done"]
          resources: { requests: { cpu: 1m, memory: 1Mi } }
`;
}

interface Round {
  /** Of each pod, ascending. */
  readonly sliSeconds: readonly number[];
  /** From the order to scale until the deployment has all pods available. */
  readonly availableSeconds: number;
}

/** What the kubelet has put into the histogram, by pod: it logs each value with it. */
function readObservations(cluster: Cluster): Map<string, number> {
  const log = readFileSync(cluster.bed.kubelet.logFile, 'utf8');
  const pattern = /"Observed pod startup duration" pod="default\/(many-\S+)" podStartSLOduration=([\d.]+)/g;
  return new Map([...log.matchAll(pattern)].map((match) => [match[1] ?? '', Number(match[2])]));
}

async function runRound(cluster: Cluster, count: number): Promise<Round> {
  const startedMs = performance.now();
  await cluster.kubectl('scale', 'deployment/many', `--replicas=${count}`);
  await cluster.kubectl('rollout', 'status', 'deployment/many', '--timeout=240s');
  const availableSeconds = (performance.now() - startedMs) / 1000;
  const names = (await cluster.podsOf('many')).map(({ metadata }) => metadata.name);
  const sliSeconds = await until('the kubelet has observed every pod', 30_000, () => {
    const all = readObservations(cluster);
    return names.map((name) => {
      const seconds = all.get(name);
      if (seconds === undefined) throw new Error(`not ${name}`);
      return seconds;
    });
  });
  await cluster.kubectl('scale', 'deployment/many', '--replicas=0');
  await cluster.kubectl('wait', '--for=delete', 'pod', '-l', 'app=many', '--timeout=240s');
  return { sliSeconds: sliSeconds.toSorted((a, b) => a - b), availableSeconds };
}

async function runTurn(runtime: Runtime, pods: number, rounds: number): Promise<Round[]> {
  const cluster = await Cluster.start(
    {
      runtime,
      binaries: await ensureKubelet(),
      crictl: (await ensureTools()).crictl,
      streamingClient: await buildStreamingClient(),
      outDir: cacheDir('cluster', `start-up-${runtime}`),
      featureGates: {},
      logLevel: 'info',
    },
    await ensureControlPlane(),
  );
  const results: Round[] = [];
  try {
    await cluster.placeNetwork();
    await cluster.kubectl('wait', '--for=condition=Ready', 'node', '--all', '--timeout=90s');
    await cluster.apply('many', deployment('docker.io/library/busybox:1.36'));
    // The first pod brings the image and whatever else is made once.
    await runRound(cluster, 1);
    for (let round = 0; round < rounds; round++) results.push(await runRound(cluster, pods));
  } finally {
    for (const line of await cluster.close()) console.log(`${runtime}: ${line}`);
  }
  return results;
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      pods: { type: 'string', default: '30' },
      rounds: { type: 'string', default: '3' },
      turns: { type: 'string', default: '2' },
      runtime: { type: 'string', multiple: true, default: [...runtimes] },
    },
  });
  const chosen = runtimes.filter((name) => values.runtime.includes(name));
  await ensurePackages([
    ...runtimePackages,
    ...demoPackages,
    ...conformancePackages,
    ...['openssl', 'etcd-server', 'containerd'],
  ]);
  await prepareCgroups();
  console.log(`${values.pods} pods at once, seconds of kubelet_pod_start_sli_duration_seconds`);
  console.log('| runtime | turn | round | mean | median | 90 % | 99 % | all available |');
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
  const means = new Map<Runtime, number[]>();
  for (let turn = 1; turn <= Number(values.turns); turn++)
    for (const runtime of chosen) {
      const rounds = await runTurn(runtime, Number(values.pods), Number(values.rounds));
      for (const [index, { sliSeconds, availableSeconds }] of rounds.entries()) {
        const parts = [0.5, 0.9, 0.99].map((part) => quantile(sliSeconds, part));
        const cells = [mean(sliSeconds), ...parts, availableSeconds].map((value) => value.toFixed(2));
        console.log(`| ${runtime} | ${turn} | ${index + 1} | ${cells.join(' | ')} |`);
      }
      means.set(runtime, [
        ...(means.get(runtime) ?? []),
        ...rounds.map(({ sliSeconds }) => mean(sliSeconds)),
      ]);
    }
  for (const [runtime, list] of means)
    console.log(`${runtime}: mean of all rounds ${mean(list).toFixed(2)} s`);
  const [berth, containerd] = [means.get('berth'), means.get('containerd')];
  if (berth && containerd)
    console.log(`containerd took ${(mean(containerd) / mean(berth)).toFixed(2)} times as long as Berth`);
}

if (import.meta.main) await main();
