/** Small files that the kernel writes as they are read: cgroupfs, /proc, sysfs. */
import { closeSync, openSync, readSync } from 'node:fs';

/** One for all reads: a read never yields. Unpooled, so that no slice of it keeps other buffers alive. */
const buffer = Buffer.allocUnsafeSlow(65_536);

/**
 * The text of a kernel file; undefined if it is not there or cannot be read, for its subject may vanish between open and
 * read (ENODEV) and a feature may be switched off (EOPNOTSUPP). A third quicker than readFileSync, which asks for a size
 * that such files do not have.
 */
export function readKernelFile(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return undefined; // not there: the caller has no figure then
  }
  try {
    let text = '';
    // Files made of records (net/dev, cgroup.procs) come a page at a time: only an empty read is the end.
    for (;;) {
      const length = readSync(fd, buffer, 0, buffer.length, null);
      if (length === 0) return text;
      text += buffer.toString('latin1', 0, length);
    }
  } catch {
    return undefined; // the group or process went away after it was opened
  } finally {
    closeSync(fd);
  }
}

/** The number after `key` and a blank at the start of a line (cpu.stat, memory.stat, memory.events); undefined if absent. */
export function flatValue(text: string, key: string): bigint | undefined {
  let start = 0;
  if (!text.startsWith(`${key} `)) {
    start = text.indexOf(`\n${key} `) + 1;
    if (start === 0) return undefined;
  }
  start += key.length + 1;
  const end = text.indexOf('\n', start);
  return wholeNumber(end < 0 ? text.slice(start) : text.slice(start, end));
}

/** A decimal number of a file or field; undefined for `max`, for a negative one, for anything else. */
export function wholeNumber(text: string | undefined): bigint | undefined {
  const trimmed = text?.trim() ?? '';
  return /^\d+$/.test(trimmed) ? BigInt(trimmed) : undefined;
}
