/** ExecSync: a command in a running container, its output collected (CRI api.proto, ExecSync). */
import { abortError, RuntimeError } from '#base/errors.ts';
import { step, stepAnyway } from '#base/step.ts';
import { collect } from '#host/launch.ts';
import type { ExecSyncResult } from '../contract.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import { killMarked, markProcess } from './exec-mark.ts';
import { describeExec, nextExecFile, removeExecFiles, startExecIn, writeExecFile } from './exec-process.ts';

/** Both streams together must stay below the 16 MiB that clients accept in one message. */
const outputLimitBytes = (16 << 20) - 4096;

export interface ExecSyncRequest {
  readonly containerId: string;
  readonly bundle: string;
  readonly command: readonly string[];
  /** 0 for none. */
  readonly timeoutMs: number;
  /** How long output is awaited after the command ended, when a child of it holds the pipes. */
  readonly drainMs: number;
  /** All processes in the container's cgroup, by their pids on the host. */
  readonly listProcesses: () => readonly number[];
  /** See `mustDetach`. */
  readonly isDetached: boolean;
}

/** The output as clients can take it: their sum bounded, standard error kept first for it tells more per byte. */
function bounded(stdout: Buffer, stderr: Buffer): { stdout: Buffer; stderr: Buffer } {
  const keptError = stderr.subarray(0, Math.max(outputLimitBytes - stdout.length, outputLimitBytes / 2));
  return { stderr: keptError, stdout: stdout.subarray(0, outputLimitBytes - keptError.length) };
}

/**
 * Runs the command to its end. A non-zero exit is a result. Output beyond 16 MiB is read and dropped.
 * Throws DeadlineExceeded or Canceled after every descendant was killed; Internal if the command could not be run.
 */
export async function execSync(
  runtime: CliRuntime,
  request: ExecSyncRequest,
  signal: AbortSignal,
): Promise<ExecSyncResult> {
  const { containerId } = request;
  const { process: marked, mark } = markProcess(describeExec(request.bundle, request.command, false));
  const processFile = nextExecFile(request.bundle);
  let failure: RuntimeError | undefined;
  try {
    await step('exec-sync/write-process', () => writeExecFile(processFile, marked));
    const child = await startExecIn('exec-sync/run', runtime, {
      containerId,
      processFile,
      stdin: 'null',
      isDetached: request.isDetached,
    }).catch((error) => {
      if (mark) killMarked(mark, request.listProcesses);
      throw error;
    });
    const stdout = collect(child.stdout, outputLimitBytes);
    const stderr = collect(child.stderr, outputLimitBytes);
    const stop = (error: RuntimeError) => {
      failure ??= error;
      child.kill();
      if (mark) killMarked(mark, request.listProcesses);
    };
    const timer =
      request.timeoutMs === 0
        ? undefined
        : setTimeout(
            () =>
              stop(
                new RuntimeError(
                  'DeadlineExceeded',
                  `exec in container ${containerId}: no end within ${request.timeoutMs} ms, killed`,
                ),
              ),
            request.timeoutMs,
          );
    const onAbort = () => stop(abortError(signal, `exec in container ${containerId}`));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const closeOutput = () => {
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const status = await child.exited
      .finally(() => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
      })
      .catch((error) => {
        // The OCI runtime may have died and left the command.
        if (mark) killMarked(mark, request.listProcesses);
        closeOutput();
        throw failure ?? error;
      });
    const drain = setTimeout(closeOutput, request.drainMs);
    await Promise.all([stdout.done, stderr.done]);
    clearTimeout(drain);
    if (failure) throw failure;
    const output = bounded(stdout.bytes(), stderr.bytes());
    return { ...output, exitCode: status.type === 'exited' ? status.code : 128 + status.signal };
  } finally {
    await stepAnyway('exec-sync/remove-process', () => removeExecFiles(processFile));
  }
}
