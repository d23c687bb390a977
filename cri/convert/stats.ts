/** Usage figures to the CRI's messages. */
import type {
  ContainerStatsFilter as ContainerStatsFilterMessage,
  ContainerStatsInit,
  CpuUsageInit,
  IoUsageInit,
  MemoryUsageInit,
  MetricDescriptorInit,
  MetricInit,
  NetworkInterfaceUsageInit,
  PodSandboxMetricsInit,
  PodSandboxStatsFilter as PodSandboxStatsFilterMessage,
  PodSandboxStatsInit,
  PsiStatsInit,
  UInt64ValueInit,
} from '#proto/generated/cri.ts';
import { MetricType } from '#proto/generated/cri.ts';
import type {
  ContainerStats,
  ContainerStatsFilter,
  CpuFigures,
  InterfaceFigures,
  IoFigures,
  MemoryFigures,
  Metric,
  MetricDescriptor,
  PodSandboxMetrics,
  PodSandboxStats,
  PodSandboxStatsFilter,
  Pressure,
  PressureLine,
} from '#runtime/stats-contract.ts';
import { fromContainerMetadata } from './container-status.ts';
import { fromPodMetadata } from './sandbox-status.ts';

/** An unknown figure is an absent message, not a zero. */
function wrap(value: bigint | undefined): UInt64ValueInit | undefined {
  return value === undefined ? undefined : { value };
}

function toPsi(pressure: Pressure | undefined): PsiStatsInit | undefined {
  if (pressure === undefined) return undefined;
  const line = (data: PressureLine | undefined) =>
    data && { Total: data.totalNs, Avg10: data.avg10, Avg60: data.avg60, Avg300: data.avg300 };
  return { Full: line(pressure.full), Some: line(pressure.some) };
}

function toCpu(cpu: CpuFigures | undefined): CpuUsageInit | undefined {
  return (
    cpu && {
      timestamp: cpu.timestampNs,
      usage_core_nano_seconds: wrap(cpu.usageCoreNanoSeconds),
      usage_nano_cores: wrap(cpu.usageNanoCores),
      psi: toPsi(cpu.pressure),
    }
  );
}

function toMemory(memory: MemoryFigures | undefined): MemoryUsageInit | undefined {
  return (
    memory && {
      timestamp: memory.timestampNs,
      working_set_bytes: wrap(memory.workingSetBytes),
      available_bytes: wrap(memory.availableBytes),
      usage_bytes: wrap(memory.usageBytes),
      rss_bytes: wrap(memory.rssBytes),
      page_faults: wrap(memory.pageFaults),
      major_page_faults: wrap(memory.majorPageFaults),
      psi: toPsi(memory.pressure),
    }
  );
}

function toIo(io: IoFigures | undefined): IoUsageInit | undefined {
  return io && { timestamp: io.timestampNs, psi: toPsi(io.pressure) };
}

export function toContainerStats(stats: ContainerStats): ContainerStatsInit {
  const { container, swap, writableLayer } = stats;
  return {
    attributes: {
      id: container.id,
      metadata: fromContainerMetadata(container),
      labels: container.config.labels,
      annotations: container.config.annotations,
    },
    cpu: toCpu(stats.cpu),
    memory: toMemory(stats.memory),
    writable_layer: writableLayer && {
      timestamp: writableLayer.timestampNs,
      fs_id: { mountpoint: writableLayer.mountpoint },
      used_bytes: wrap(writableLayer.usedBytes),
      inodes_used: wrap(writableLayer.inodesUsed),
    },
    swap: swap && {
      timestamp: swap.timestampNs,
      swap_available_bytes: wrap(swap.availableBytes),
      swap_usage_bytes: wrap(swap.usageBytes),
    },
    io: toIo(stats.io),
  };
}

function toInterface(usage: InterfaceFigures): NetworkInterfaceUsageInit {
  return {
    name: usage.name,
    rx_bytes: wrap(usage.rxBytes),
    rx_errors: wrap(usage.rxErrors),
    tx_bytes: wrap(usage.txBytes),
    tx_errors: wrap(usage.txErrors),
  };
}

export function toSandboxStats(stats: PodSandboxStats): PodSandboxStatsInit {
  const { sandbox, network, process } = stats;
  return {
    attributes: {
      id: sandbox.id,
      metadata: fromPodMetadata(sandbox),
      labels: sandbox.config.labels,
      annotations: sandbox.config.annotations,
    },
    linux: {
      cpu: toCpu(stats.cpu),
      memory: toMemory(stats.memory),
      network: network && {
        timestamp: network.timestampNs,
        default_interface: network.defaultInterface && toInterface(network.defaultInterface),
        interfaces: network.interfaces.map(toInterface),
      },
      process: process && { timestamp: process.timestampNs, process_count: wrap(process.processCount) },
      containers: stats.containers.map(toContainerStats),
      io: toIo(stats.io),
    },
  };
}

export function toMetricDescriptor(descriptor: MetricDescriptor): MetricDescriptorInit {
  return { name: descriptor.name, help: descriptor.help, label_keys: descriptor.labelKeys };
}

function toMetric(metric: Metric): MetricInit {
  return {
    name: metric.name,
    timestamp: metric.timestampNs,
    metric_type: metric.type === 'counter' ? MetricType.COUNTER : MetricType.GAUGE,
    label_values: metric.labelValues,
    value: { value: metric.value },
  };
}

export function toSandboxMetrics(metrics: PodSandboxMetrics): PodSandboxMetricsInit {
  return {
    pod_sandbox_id: metrics.sandboxId,
    metrics: metrics.metrics.map(toMetric),
    container_metrics: metrics.containers.map((container) => ({
      container_id: container.containerId,
      metrics: container.metrics.map(toMetric),
    })),
  };
}

/** The filter of ListContainerStats; an absent one lets everything pass. */
export function toContainerStatsFilter(
  filter: ContainerStatsFilterMessage | undefined,
): ContainerStatsFilter {
  return {
    id: filter?.id ?? '',
    sandboxId: filter?.pod_sandbox_id ?? '',
    labels: filter?.label_selector ?? {},
  };
}

/** The filter of ListPodSandboxStats; an absent one lets everything pass. */
export function toSandboxStatsFilter(
  filter: PodSandboxStatsFilterMessage | undefined,
): PodSandboxStatsFilter {
  return { id: filter?.id ?? '', labels: filter?.label_selector ?? {} };
}
