/** Use of block devices and huge pages by control groups (kernel cgroup-v1/blkio-controller.rst, hugetlb.rst, cgroup-v2.rst). */
import { readdirSync } from 'node:fs';
import type { CgroupStats } from './cgroup-stats.ts';
import { readKernelFile, wholeNumber } from './kernel-file.ts';

export type BlockOperation = 'Read' | 'Write' | 'Discard';

export interface BlockDeviceReading {
  readonly major: string;
  readonly minor: string;
  readonly bytes: Readonly<Record<BlockOperation, bigint>>;
  readonly requests: Readonly<Record<BlockOperation, bigint>>;
}

type MutableReading = {
  major: string;
  minor: string;
  bytes: Record<BlockOperation, bigint>;
  requests: Record<BlockOperation, bigint>;
};

const none = (): Record<BlockOperation, bigint> => ({ Read: 0n, Write: 0n, Discard: 0n });

function deviceOf(readings: Map<string, MutableReading>, number: string): MutableReading {
  let reading = readings.get(number);
  if (!reading) {
    const [major = '', minor = ''] = number.split(':');
    reading = { major, minor, bytes: none(), requests: none() };
    readings.set(number, reading);
  }
  return reading;
}

/** io.stat of v2: `254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`, where any of them may be missing. */
export function parseIoStat(text: string): BlockDeviceReading[] {
  const readings = new Map<string, MutableReading>();
  for (const line of text.split('\n')) {
    const [number = '', ...fields] = line.split(' ');
    // The kernel may print a device without figures.
    if (!/^\d+:\d+$/.test(number) || !fields.some((field) => field.includes('='))) continue;
    const values = new Map(
      fields.map((field) => {
        const [key = '', value] = field.split('=');
        return [key, wholeNumber(value) ?? 0n] as const;
      }),
    );
    const reading = deviceOf(readings, number);
    for (const [operation, letter] of [
      ['Read', 'r'],
      ['Write', 'w'],
      ['Discard', 'd'],
    ] as const) {
      reading.bytes[operation] = values.get(`${letter}bytes`) ?? 0n;
      reading.requests[operation] = values.get(`${letter}ios`) ?? 0n;
    }
  }
  return [...readings.values()];
}

/** The two files of v1, whose lines are `254:0 Read 4096`. */
export function parseBlkio(bytesText: string, requestsText: string): BlockDeviceReading[] {
  const readings = new Map<string, MutableReading>();
  for (const [text, field] of [
    [bytesText, 'bytes'],
    [requestsText, 'requests'],
  ] as const) {
    for (const line of text.split('\n')) {
      const match = /^(\d+:\d+) (Read|Write|Discard) (\d+)$/.exec(line);
      if (match) deviceOf(readings, match[1]!)[field][match[2] as BlockOperation] = BigInt(match[3]!);
    }
  }
  return [...readings.values()];
}

/** One reading per device that the group, or one below it, has used. */
export function readBlockDevices(stats: CgroupStats, group: string): BlockDeviceReading[] {
  if (stats.version === 2) return parseIoStat(stats.read('io', group, 'io.stat') ?? '');
  return parseBlkio(
    stats.read('blkio', group, 'blkio.throttle.io_service_bytes_recursive') ?? '',
    stats.read('blkio', group, 'blkio.throttle.io_serviced_recursive') ?? '',
  );
}

const deviceNames = new Map<string, string>();

/** `/dev/NAME` of a block device number `MAJOR:MINOR`; the number itself when the kernel knows no name. Remembered. */
export function blockDeviceName(number: string): string {
  let name = deviceNames.get(number);
  if (name === undefined) {
    const match = /^DEVNAME=(.+)$/m.exec(readKernelFile(`/sys/dev/block/${number}/uevent`) ?? '');
    name = match ? `/dev/${match[1]}` : number;
    deviceNames.set(number, name);
  }
  return name;
}

export interface HugePageReading {
  /** As the kernel names it: `2MB`, `1GB`. */
  readonly pageSize: string;
  readonly usageBytes: bigint;
  /** v1 only. */
  readonly maxUsageBytes: bigint | undefined;
}

let pageSizes: string[] | undefined;

/** Page sizes of this machine in the spelling of the hugetlb controller. They never change. */
function hugePageSizes(): string[] {
  try {
    pageSizes ??= readdirSync('/sys/kernel/mm/hugepages').flatMap((name) => {
      const kilobytes = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]);
      if (!(kilobytes > 0)) return [];
      if (kilobytes >= 1 << 20) return [`${kilobytes >> 20}GB`];
      return [kilobytes >= 1 << 10 ? `${kilobytes >> 10}MB` : `${kilobytes}KB`];
    });
  } catch {
    pageSizes = []; // a kernel without huge pages
  }
  return pageSizes;
}

/** One reading per page size; empty without the controller. */
export function readHugePages(stats: CgroupStats, group: string): HugePageReading[] {
  return hugePageSizes().flatMap((pageSize) => {
    const usage = stats.version === 1 ? 'usage_in_bytes' : 'current';
    const usageBytes = wholeNumber(stats.read('hugetlb', group, `hugetlb.${pageSize}.${usage}`));
    if (usageBytes === undefined) return [];
    const maxUsageBytes =
      stats.version === 1
        ? wholeNumber(stats.read('hugetlb', group, `hugetlb.${pageSize}.max_usage_in_bytes`))
        : undefined;
    return [{ pageSize, usageBytes, maxUsageBytes }];
  });
}
