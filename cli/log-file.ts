/**
 * A container's log as conmon writes it for the CRI: lines `TIME STREAM TAGS TEXT`, where the tag P says that the line goes
 * on in the next one (Kubernetes, kubelet/kuberuntime/logs).
 */
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync, watch } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, messageOf } from '#base/errors.ts';
import { CommandError } from './command.ts';

const chunkBytes = 256 * 1024;

export interface LogLine {
  /** RFC 3339 with nanoseconds, as written. */
  readonly time: string;
  readonly stream: 'stdout' | 'stderr';
  /** Without a line end, unless `isWhole`. */
  readonly text: Buffer;
  /** False for a piece of a line whose rest follows. */
  readonly isWhole: boolean;
}

/** One line of the file; undefined for what is none. */
export function parseLogLine(line: Buffer): LogLine | undefined {
  const first = line.indexOf(0x20);
  const second = line.indexOf(0x20, first + 1);
  const third = line.indexOf(0x20, second + 1);
  if (first < 0 || second < 0) return undefined;
  const stream = line.toString('latin1', first + 1, second);
  if (stream !== 'stdout' && stream !== 'stderr') return undefined;
  const tags = line.toString('latin1', second + 1, third < 0 ? line.length : third);
  return {
    time: line.toString('latin1', 0, first),
    stream,
    text: third < 0 ? Buffer.alloc(0) : line.subarray(third + 1),
    isWhole: tags.split(':')[0] !== 'P',
  };
}

/** Where the last `count` whole lines of an open file begin. */
export function findTail(fd: number, sizeBytes: number, count: number): number {
  if (count === 0) return sizeBytes;
  let found = 0;
  let end = sizeBytes;
  const chunk = Buffer.alloc(Math.min(chunkBytes, Math.max(1, sizeBytes)));
  /** Where the line begins that is looked at; a piece of a longer one does not count. */
  let lineStart = sizeBytes;
  while (end > 0) {
    const length = Math.min(chunk.length, end);
    readSync(fd, chunk, 0, length, end - length);
    for (let at = length - 1; at >= 0; at -= 1) {
      const position = end - length + at;
      if (chunk[at] !== 0x0a || position === sizeBytes - 1) continue;
      if (startsNewLine(fd, position + 1)) {
        found += 1;
        lineStart = position + 1;
        if (found === count) return lineStart;
      }
    }
    end -= length;
  }
  return 0;
}

/** Whether the line at `position` is no continuation: the one before it is whole. */
function startsNewLine(fd: number, position: number): boolean {
  // The tag stands within the first hundred bytes of the line before; its beginning is looked for backwards.
  const window = Buffer.alloc(Math.min(position, 64 * 1024));
  readSync(fd, window, 0, window.length, position - window.length);
  const start = window.lastIndexOf(0x0a, window.length - 2) + 1;
  return parseLogLine(window.subarray(start, window.length - 1))?.isWhole ?? true;
}

export interface LogOptions {
  readonly path: string;
  /** Lines from the end; undefined for all. */
  readonly tail: number | undefined;
  /** Goes on with what is written later, until `ended` settles or `signal` aborts. */
  readonly follow: boolean;
  readonly ended: Promise<unknown>;
  readonly signal: AbortSignal;
}

/** The lines of a log. A file that is rotated away is read to its end, and the next one after it. Throws CommandError. */
export async function* readLog(options: LogOptions): AsyncGenerator<LogLine> {
  const { path, tail, follow, signal } = options;
  let fd = open(path);
  let wake = Promise.withResolvers<void>();
  let hasEnded = false;
  const poke = () => wake.resolve();
  const watcher = follow ? watch(dirname(path), poke) : undefined;
  signal.addEventListener('abort', poke, { once: true });
  options.ended
    .catch(() => {}) // it is gone, which is an end too
    .then(() => {
      hasEnded = true;
      poke();
    });
  let position = tail === undefined ? 0 : findTail(fd, fstatSync(fd).size, tail);
  let rest: Buffer = Buffer.alloc(0);
  const chunk = Buffer.alloc(chunkBytes);
  try {
    for (;;) {
      wake = Promise.withResolvers<void>();
      const isLast = hasEnded || !follow;
      for (;;) {
        const length = readSync(fd, chunk, 0, chunk.length, position);
        if (length === 0) break;
        position += length;
        rest = Buffer.concat([rest, chunk.subarray(0, length)]);
        for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
          const line = parseLogLine(rest.subarray(0, end));
          rest = rest.subarray(end + 1);
          if (line) yield line;
        }
        if (signal.aborted) return;
      }
      if (follow && isReplaced(fd, path)) {
        closeSync(fd);
        fd = open(path);
        position = 0;
        continue;
      }
      if (isLast || signal.aborted) return;
      await wake.promise;
    }
  } finally {
    watcher?.close();
    signal.removeEventListener('abort', poke);
    closeSync(fd);
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new CommandError(`the log cannot be read: ${messageOf(error)}`, {
      cause: error,
      ...(errnoOf(error) === 'EACCES' ? { hint: 'Logs are for root: sudo berth logs ...' } : {}),
    });
  }
}

function isReplaced(fd: number, path: string): boolean {
  return existsSync(path) && statSync(path).ino !== fstatSync(fd).ino;
}
