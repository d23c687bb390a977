/** Figures that the kubelet passes on from the runtime (feature gate PodAndContainerStatsFromCRI). */
import assert from 'node:assert/strict';
import { until } from '../wait.ts';
import type { Scenario } from './scenario.ts';

interface CpuFigures {
  readonly usageNanoCores?: number;
  readonly usageCoreNanoSeconds?: number;
}
interface MemoryFigures {
  readonly workingSetBytes?: number;
  readonly usageBytes?: number;
  readonly rssBytes?: number;
}
interface FilesystemFigures {
  readonly usedBytes?: number;
  readonly inodesUsed?: number;
}
interface PodFigures {
  readonly podRef: { readonly name: string };
  readonly cpu?: CpuFigures;
  readonly memory?: MemoryFigures;
  readonly network?: { readonly name?: string; readonly rxBytes?: number; readonly txBytes?: number };
  readonly process_stats?: { readonly process_count?: number };
  readonly containers: readonly {
    readonly name: string;
    readonly cpu?: CpuFigures;
    readonly memory?: MemoryFigures;
    readonly rootfs?: FilesystemFigures;
    readonly logs?: FilesystemFigures;
  }[];
}

export const stats: readonly Scenario[] = [
  {
    name: 'stats',
    example: 'resources',
    shows: '/stats/summary and /metrics/resource tell what a pod uses; the image file system is known',
    async run(pod, bed) {
      const { status } = await pod.waitReady();
      await pod.sh(
        'main',
        'dd if=/dev/zero of=/tmp/written bs=1M count=4 2>/dev/null; (while true; do :; done) > /dev/null 2>&1 &',
      );
      await pod.sh('main', 'echo some words > /proc/1/fd/1');
      await fetch(`http://${status.podIP}:1/`).catch(() => undefined);
      const figures = await until('the figures are there', 45_000, async () => {
        const summary = JSON.parse(await bed.api.get('/stats/summary')) as {
          pods: PodFigures[];
          node: { runtime?: { imageFs?: FilesystemFigures } };
        };
        const found = summary.pods.find(({ podRef }) => podRef.name === pod.fullName);
        const main = found?.containers.find(({ name }) => name === 'main');
        assert.ok(found !== undefined && main !== undefined, 'the pod is not in the summary');
        assert.ok((main.cpu?.usageNanoCores ?? 0) > 50_000_000, `main uses ${JSON.stringify(main.cpu)}`);
        assert.ok((main.rootfs?.usedBytes ?? 0) >= 4 << 20, `main wrote ${JSON.stringify(main.rootfs)}`);
        assert.ok((found.cpu?.usageNanoCores ?? 0) > 50_000_000, `the pod uses ${JSON.stringify(found.cpu)}`);
        assert.ok(
          (summary.node.runtime?.imageFs?.usedBytes ?? 0) > 1 << 20,
          JSON.stringify(summary.node.runtime),
        );
        return { found, main };
      });
      const { found, main } = figures;
      assert.ok(
        (main.memory?.workingSetBytes ?? 0) > 10_000 && (main.memory?.rssBytes ?? 0) > 10_000,
        JSON.stringify(main.memory),
      );
      assert.ok((main.memory?.workingSetBytes ?? 0) < 64 << 20);
      assert.ok((main.cpu?.usageCoreNanoSeconds ?? 0) > 1e8, JSON.stringify(main.cpu));
      assert.ok((main.logs?.usedBytes ?? 0) > 0, JSON.stringify(main.logs));
      assert.ok(
        (found.memory?.workingSetBytes ?? 0) >= (main.memory?.workingSetBytes ?? 0) / 2,
        JSON.stringify(found.memory),
      );
      assert.equal(found.containers.length, 2);
      const metrics = await bed.api.get('/metrics/resource');
      for (const name of [
        'container_cpu_usage_seconds_total',
        'container_memory_working_set_bytes',
        'container_start_time_seconds',
      ])
        assert.match(
          metrics,
          new RegExp(
            `^${name}\\{container="main",namespace="default",pod="${pod.fullName}"\\} [\\d.e+]+`,
            'm',
          ),
          name,
        );
      assert.match(
        metrics,
        new RegExp(`^pod_cpu_usage_seconds_total\\{namespace="default",pod="${pod.fullName}"\\} `, 'm'),
      );
      // Otherwise the kubelet asks its own cAdvisor, which finds a pod's network by a process that Berth's pods do not have.
      if (bed.options.featureGates.PodAndContainerStatsFromCRI !== true) return;
      assert.ok((found.network?.rxBytes ?? 0) > 0, JSON.stringify(found.network));
      const cadvisor = await bed.api.get('/metrics/cadvisor');
      const own = cadvisor.split('\n').filter((line) => line.includes(`pod="${pod.fullName}"`));
      for (const name of [
        'container_cpu_usage_seconds_total',
        'container_memory_working_set_bytes',
        'container_network_receive_bytes_total',
      ])
        assert.ok(
          own.some((line) => line.startsWith(`${name}{`)),
          `/metrics/cadvisor has no ${name} of the pod`,
        );
    },
  },
];
