/**
 * How long pods take that start at once, as the kubelet sees it.
 *
 *   node conformance/kubelet/start-up.ts [--runtime berth|containerd] [--pods 30] [--rounds 3]
 *
 * A round places all files at once and waits until the kubelet reports every pod running and ready. The image is there
 * before. The kubelet's start-up SLI leaves static pods out, so the time is that of its own first status that says so; its
 * histograms of the whole start and of each call come from /metrics. containerd is Debian's, with runc.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { cacheDir } from '../cache.ts';
import {
  conformancePackages,
  demoPackages,
  ensurePackages,
  prepareCgroups,
  runtimePackages,
} from '../setup.ts';
import { buildStreamingClient } from '../streaming-client/build.ts';
import { ensureTools } from '../tools/build.ts';
import { Bed } from './bed.ts';
import { ensureKubelet } from './build.ts';
import { until } from './wait.ts';

const image = 'docker.io/library/busybox:1.36';

function manifest(name: string): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name} }
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
  /** From the placing of all files to each pod's readiness, ascending. */
  readonly readyMs: readonly number[];
  /** Processor time of the runtime's daemon and of the kubelet. */
  readonly daemonCpuMs: number;
  readonly kubeletCpuMs: number;
}

async function runRound(bed: Bed, count: number, round: number): Promise<Round> {
  // New names each time: a static pod of the same content is the same pod to the kubelet, which first ends the former one.
  const names = Array.from({ length: count }, (_, index) => `pod-${round}-${index}`);
  const [daemonBefore, kubeletBefore] = [cpuMs(bed.berthd.pid), cpuMs(bed.kubelet.pid)];
  const startedMs = performance.now();
  for (const name of names) bed.placeText(name, manifest(name));
  const readyMs = new Map<string, number>();
  await until('every pod is ready', 240_000, async () => {
    const pods = await bed.api.pods();
    const nowMs = performance.now() - startedMs;
    for (const { metadata, status } of pods.filter((pod) => pod.metadata.name.startsWith(`pod-${round}-`))) {
      const isReady = status.containerStatuses?.every(({ ready }) => ready) === true;
      if (isReady && !readyMs.has(metadata.name)) readyMs.set(metadata.name, nowMs);
    }
    if (readyMs.size < count) throw new Error(`${readyMs.size} of ${count} are`);
  });
  const result = {
    readyMs: [...readyMs.values()].toSorted((a, b) => a - b),
    daemonCpuMs: cpuMs(bed.berthd.pid) - daemonBefore,
    kubeletCpuMs: cpuMs(bed.kubelet.pid) - kubeletBefore,
  };
  for (const name of names) bed.unplace(name);
  await until('every pod is gone', 240_000, async () => {
    if ((await bed.crictl('pods', '-q', '--state', 'Ready')).trim() !== '') throw new Error('some are ready');
  });
  return result;
}

/** User and system time of a process; its ended children count with it. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks * 10;
}

/** Mean of a histogram or summary of the kubelet's /metrics, in ms, and how many values it has. */
function meanOf(metrics: string, name: string, label = ''): string {
  const read = (suffix: string): number => {
    const line = metrics
      .split('\n')
      .find((text) => text.startsWith(`${name}_${suffix}`) && text.includes(label));
    return Number(line?.split(' ').at(-1) ?? Number.NaN);
  };
  return `${((read('sum') / read('count')) * 1000).toFixed(0)} ms (${read('count')})`;
}

function quantile(sorted: readonly number[], part: number): string {
  return ((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) / 1000).toFixed(2);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runtime: { type: 'string', default: 'berth' },
      pods: { type: 'string', default: '30' },
      rounds: { type: 'string', default: '3' },
    },
  });
  const runtime = values.runtime === 'containerd' ? 'containerd' : 'berth';
  await ensurePackages([
    ...runtimePackages,
    ...demoPackages,
    ...conformancePackages,
    'openssl',
    ...(runtime === 'containerd' ? [runtime] : []),
  ]);
  await prepareCgroups();
  const bed = await Bed.make({
    binaries: await ensureKubelet(),
    crictl: (await ensureTools()).crictl,
    streamingClient: await buildStreamingClient(),
    outDir: cacheDir('kubelet', `start-up-${runtime}`),
    featureGates: {},
    logLevel: 'info',
    runtime,
  });
  let leftovers: string[] = [];
  try {
    await bed.startBerthd();
    for (const name of [image, 'registry.k8s.io/pause:3.10']) await bed.crictl('pull', name);
    await bed.startKubelet();
    console.log(`${runtime}: ${values.pods} pods at once, seconds until the kubelet reports them ready`);
    console.log(
      '| round | first | median | 90 % | last | daemon CPU s | kubelet CPU s |\n| --- | --- | --- | --- | --- | --- | --- |',
    );
    for (let round = 1; round <= Number(values.rounds); round++) {
      const { readyMs, daemonCpuMs, kubeletCpuMs } = await runRound(bed, Number(values.pods), round);
      const parts = [0, 0.5, 0.9, 1].map((part) => quantile(readyMs, part));
      console.log(
        `| ${round} | ${parts.join(' | ')} | ${(daemonCpuMs / 1000).toFixed(1)} | ${(kubeletCpuMs / 1000).toFixed(1)} |`,
      );
    }
    const metrics = await bed.api.get('/metrics');
    console.log(
      `kubelet_pod_start_duration_seconds: mean ${meanOf(metrics, 'kubelet_pod_start_duration_seconds')}`,
    );
    console.log(
      `kubelet_run_podsandbox_duration_seconds: mean ${meanOf(metrics, 'kubelet_run_podsandbox_duration_seconds')}`,
    );
    for (const operation of ['run_podsandbox', 'create_container', 'start_container', 'stop_podsandbox'])
      console.log(
        `${operation}: mean ${meanOf(metrics, 'kubelet_runtime_operations_duration_seconds', `"${operation}"`)}`,
      );
  } finally {
    leftovers = await bed.close();
  }
  for (const line of leftovers) console.log(line);
}

if (import.meta.main) await main();
