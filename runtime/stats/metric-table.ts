/**
 * The metrics of containers and pods: names, meanings and labels as cAdvisor gave them to Kubernetes, which dashboards and
 * alerts are built on (KEP-2371). One table says all: descriptors, types and the order of labels. Values are whole numbers,
 * so seconds are cut off.
 */
import type { MetricDescriptor, MetricType } from '../stats-contract.ts';

/** On every metric, in this order, before its own labels. */
export const baseLabels = ['id', 'image', 'namespace', 'pod', 'container'] as const;

interface MetricRow {
  readonly type: MetricType;
  readonly help: string;
  /** After the base labels. */
  readonly labels: readonly string[];
}

const counter = (help: string, ...labels: string[]): MetricRow => ({ type: 'counter', help, labels });
const gauge = (help: string, ...labels: string[]): MetricRow => ({ type: 'gauge', help, labels });

export const metricTable = {
  container_cpu_user_seconds_total: counter('Seconds of CPU time used in user mode.'),
  container_cpu_system_seconds_total: counter('Seconds of CPU time used in kernel mode.'),
  container_cpu_usage_seconds_total: counter('Seconds of CPU time used on all cores.'),
  container_cpu_cfs_periods_total: counter(
    'Scheduler periods in which the container could run under a quota.',
  ),
  container_cpu_cfs_throttled_periods_total: counter('Scheduler periods in which the quota was used up.'),
  container_cpu_cfs_throttled_seconds_total: counter('Seconds spent waiting because the quota was used up.'),

  container_memory_cache: gauge('Bytes of page cache.'),
  container_memory_rss: gauge('Bytes of anonymous memory, huge pages included.'),
  container_memory_kernel_usage: gauge('Bytes of memory that the kernel holds for the container.'),
  container_memory_mapped_file: gauge('Bytes of files mapped into memory.'),
  container_memory_swap: gauge('Bytes swapped out.'),
  container_memory_failcnt: counter('Times that memory use met the limit.'),
  container_memory_usage_bytes: gauge('Bytes of memory in use, page cache included.'),
  container_memory_max_usage_bytes: gauge('The most bytes of memory ever in use.'),
  container_memory_working_set_bytes: gauge('Bytes of memory in use less inactive page cache.'),
  container_memory_total_active_file_bytes: gauge('Bytes of page cache in recent use.'),
  container_memory_total_inactive_file_bytes: gauge('Bytes of page cache not in recent use.'),
  container_memory_failures_total: counter('Page faults, by kind and by scope.', 'failure_type', 'scope'),
  container_oom_events_total: counter('Processes killed because memory ran out.'),

  container_fs_inodes_free: gauge('Free inodes of the file system that holds the container.', 'device'),
  container_fs_inodes_total: gauge('Inodes of the file system that holds the container.', 'device'),
  container_fs_limit_bytes: gauge('Size in bytes of the file system that holds the container.', 'device'),
  container_fs_usage_bytes: gauge("Bytes of the container's writable layer.", 'device'),
  container_fs_reads_bytes_total: counter('Bytes read from a device.', 'device'),
  container_fs_reads_total: counter('Reads from a device.', 'device'),
  container_fs_writes_bytes_total: counter('Bytes written to a device.', 'device'),
  container_fs_writes_total: counter('Writes to a device.', 'device'),
  container_blkio_device_usage_total: counter(
    'Bytes moved to or from a device, by operation.',
    'device',
    'major',
    'minor',
    'operation',
  ),

  container_hugetlb_usage_bytes: gauge('Bytes of huge pages in use, by page size.', 'pagesize'),
  container_hugetlb_max_usage_bytes: gauge(
    'The most bytes of huge pages ever in use, by page size.',
    'pagesize',
  ),

  container_network_receive_bytes_total: counter('Bytes received.', 'interface'),
  container_network_receive_packets_total: counter('Packets received.', 'interface'),
  container_network_receive_packets_dropped_total: counter('Packets dropped while receiving.', 'interface'),
  container_network_receive_errors_total: counter('Errors while receiving.', 'interface'),
  container_network_transmit_bytes_total: counter('Bytes sent.', 'interface'),
  container_network_transmit_packets_total: counter('Packets sent.', 'interface'),
  container_network_transmit_packets_dropped_total: counter('Packets dropped while sending.', 'interface'),
  container_network_transmit_errors_total: counter('Errors while sending.', 'interface'),

  container_pressure_cpu_stalled_seconds_total: counter('Seconds in which every task waited for a CPU.'),
  container_pressure_cpu_waiting_seconds_total: counter('Seconds in which some task waited for a CPU.'),
  container_pressure_memory_stalled_seconds_total: counter('Seconds in which every task waited for memory.'),
  container_pressure_memory_waiting_seconds_total: counter('Seconds in which some task waited for memory.'),
  container_pressure_io_stalled_seconds_total: counter(
    'Seconds in which every task waited for input or output.',
  ),
  container_pressure_io_waiting_seconds_total: counter(
    'Seconds in which some task waited for input or output.',
  ),

  container_processes: gauge('Processes in the container.'),
  container_threads: gauge('Threads in the container.'),
  container_threads_max: gauge('The most threads allowed; 0 means no limit.'),
  container_file_descriptors: gauge('Open files of all processes in the container.'),
  container_sockets: gauge('Open sockets of all processes in the container.'),
  container_ulimits_soft: gauge("Soft limits of the container's first process.", 'ulimit'),

  container_last_seen: gauge('Unix time in seconds at which the container was last seen.'),
  container_start_time_seconds: gauge('Unix time in seconds at which the container was started.'),
  container_spec_cpu_period: gauge('Scheduler period in microseconds.'),
  container_spec_cpu_quota: gauge('CPU time allowed per period in microseconds.'),
  container_spec_cpu_shares: gauge('Share of CPU time relative to other containers; 1024 is the usual.'),
  container_spec_memory_limit_bytes: gauge('Memory limit in bytes; 0 means no limit.'),
  container_spec_memory_reservation_limit_bytes: gauge('Memory kept for the container in bytes.'),
  container_spec_memory_swap_limit_bytes: gauge('Swap limit in bytes; 0 means no limit.'),
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof metricTable;

export const metricDescriptors: readonly MetricDescriptor[] = Object.entries(metricTable).map(
  ([name, { help, labels }]) => ({ name, help, labelKeys: [...baseLabels, ...labels] }),
);
