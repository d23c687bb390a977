/** conmon's control FIFO (BUNDLE/ctl): lines `TYPE A B`. One line per write: conmon 2.1 runs the first of several for each of them. */
import { closeSync, constants, openSync, statSync, watch, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { abortError, errnoOf, RuntimeError } from '#base/errors.ts';
import type { ProcessIdentity } from '#host/proc.ts';
import { watchProcess } from '#host/process-watch.ts';

function writeLine(bundle: string, line: string): void {
  const path = join(bundle, 'ctl');
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    // ENXIO: nobody holds the other end.
    const words =
      errnoOf(error) === 'ENXIO' || errnoOf(error) === 'ENOENT' ? 'the monitor is gone' : String(error);
    throw new RuntimeError('FailedPrecondition', `writing to ${path}: ${words}`, { cause: error });
  }
  try {
    writeSync(fd, line);
  } finally {
    closeSync(fd);
  }
}

/** Sets the size of the container's terminal, in characters. Lost if create has not ended yet: repeat it after start. */
export function resizeTerminal(bundle: string, size: { width: number; height: number }): void {
  writeLine(bundle, `1 ${size.height} ${size.width}\n`);
}

function inodeOf(path: string): bigint | undefined {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch {
    return undefined; // not there
  }
}

export interface ReopenRequest {
  readonly bundle: string;
  readonly logPath: string;
  readonly monitor: ProcessIdentity;
  readonly timeoutMs: number;
}

/**
 * Makes the monitor open its log anew, and returns when a new file stands at `logPath`; conmon itself gives no answer, so
 * the folder is watched. Throws FailedPrecondition (monitor or folder gone), DeadlineExceeded after `timeoutMs`, Canceled.
 */
export async function reopenLog(request: ReopenRequest, signal: AbortSignal): Promise<void> {
  const { bundle, logPath, timeoutMs } = request;
  const monitor = watchProcess(request.monitor);
  try {
    await awaitNewFile({ bundle, logPath, timeoutMs }, monitor.ended, signal);
  } finally {
    monitor.close();
  }
}

async function awaitNewFile(
  { bundle, logPath, timeoutMs }: Omit<ReopenRequest, 'monitor'>,
  monitorEnd: Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const before = inodeOf(logPath);
  const name = basename(logPath);
  const directory = dirname(logPath);
  await new Promise<void>((resolve, reject) => {
    let watcher: ReturnType<typeof watch>;
    const finish = (outcome: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      watcher?.close();
      outcome();
    };
    const onAbort = () => finish(() => reject(abortError(signal, `reopening ${logPath}`)));
    const timer = setTimeout(
      () =>
        finish(() =>
          reject(
            new RuntimeError('DeadlineExceeded', `reopening ${logPath}: no new file within ${timeoutMs} ms`),
          ),
        ),
      timeoutMs,
    );
    const check = () => {
      const now = inodeOf(logPath);
      if (now !== undefined && now !== before) finish(resolve);
    };
    try {
      watcher = watch(directory, (_event, changed) => {
        if (changed === name) check();
      });
      watcher.on('error', (error) => finish(() => reject(error)));
      signal.addEventListener('abort', onAbort, { once: true });
      writeLine(bundle, '2 0 0\n');
      monitorEnd.then(() => {
        check(); // it may have been the last that it did
        finish(() =>
          reject(new RuntimeError('FailedPrecondition', `reopening ${logPath}: the monitor has ended`)),
        );
      });
    } catch (error) {
      const known = error instanceof RuntimeError ? error : undefined;
      finish(() =>
        reject(
          known ??
            new RuntimeError('FailedPrecondition', `reopening ${logPath}: the folder cannot be watched`, {
              cause: error,
            }),
        ),
      );
    }
  });
}
