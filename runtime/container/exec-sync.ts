/** ExecSync: a command in a running container, its output collected (CRI api.proto, ExecSync). */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { abortError, RuntimeError } from '#base/errors.ts';
import { parseExactly } from '#base/exact-json.ts';
import { step } from '#base/step.ts';
import { collect, type Launched, sendSignal } from '#host/launch.ts';
import { listDescendants } from '#host/proc.ts';
import type { ExecSyncResult } from '../contract.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import { lastWords } from '../oci/errors.ts';
import type { OciProcess } from '../spec/oci-spec.ts';

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
}

let counter = 0;

/** Writes the process file for an exec: the container's own process with another command. `size` is the terminal's, in characters. The caller removes it. */
export function writeExecProcess(
  bundle: string,
  command: readonly string[],
  hasTty: boolean,
  size?: { readonly width: number; readonly height: number },
): string {
  const own = parseExactly(readFileSync(join(bundle, 'process.json'), 'utf8')) as OciProcess;
  const env =
    hasTty && !own.env.some((entry) => entry.startsWith('TERM=')) ? [...own.env, 'TERM=xterm'] : own.env;
  counter += 1;
  const file = join(bundle, `exec-${process.pid}-${counter}.json`);
  writeFileSync(
    file,
    JSON.stringify({
      ...own,
      args: command,
      env,
      terminal: hasTty,
      ...(size ? { consoleSize: size } : {}),
    }),
    { mode: 0o600 },
  );
  return file;
}

/** Ends an exec with all that it started: descendants first, for killing the OCI runtime alone would leave them. */
export function killExec(child: Launched): void {
  // A process may fork between the look and the kill: look until nothing new appears, but never for ever.
  const killed = new Set<number>();
  for (let round = 0; round < 10; round += 1) {
    const fresh = listDescendants(child.pid).filter((pid) => !killed.has(pid));
    for (const pid of fresh) {
      killed.add(pid);
      sendSignal(pid, constants.signals.SIGKILL);
    }
    if (fresh.length === 0) break;
  }
  child.kill(constants.signals.SIGKILL);
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
  const processFile = await step('exec-sync/write-process', () =>
    writeExecProcess(request.bundle, request.command, false),
  );
  let failure: RuntimeError | undefined;
  try {
    const child = await step('exec-sync/run', () =>
      runtime.exec(containerId, processFile, { stdin: 'null', stdout: 'pipe', stderr: 'pipe' }),
    );
    const stdout = collect(child.stdout!, outputLimitBytes);
    const stderr = collect(child.stderr!, outputLimitBytes);
    const stop = (error: RuntimeError) => {
      failure ??= error;
      killExec(child);
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
    const status = await child.exited;
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    const drain = setTimeout(() => {
      child.stdout!.destroy();
      child.stderr!.destroy();
    }, request.drainMs);
    await Promise.all([stdout.done, stderr.done]);
    clearTimeout(drain);
    if (failure) throw failure;
    const output = bounded(stdout.bytes(), stderr.bytes());
    const exitCode = status.type === 'exited' ? status.code : 128 + status.signal;
    throwIfNeverRan(containerId, exitCode, `${processFile}.log`);
    return { ...output, exitCode };
  } finally {
    await step('exec-sync/remove-process', () => {
      rmSync(processFile, { force: true });
      rmSync(`${processFile}.log`, { force: true });
    });
  }
}

/** The OCI runtime's own failure is told from the command's by its log file: a command cannot write there. */
function throwIfNeverRan(containerId: string, exitCode: number, logFile: string): void {
  if (exitCode === 0) return;
  let words = '';
  try {
    words = lastWords(readFileSync(logFile, 'utf8'));
  } catch {
    return; // nothing was logged: the command ran
  }
  if (words !== '') throw new RuntimeError('Internal', `exec in container ${containerId}: ${words}`);
}
