/**
 * conmon as seen from outside: it starts the OCI runtime's create, holds the container's stdio, writes the log, and writes
 * the exit code into a file. It outlives the daemon. Interface: conmon 2.1 (`conmon --help`, src/cli.c).
 */
import { readFileSync } from 'node:fs';
import { messageOf, RuntimeError } from '#base/errors.ts';
import { awaitAdopted, defaultPath, type ExitStatus, type Launched, launchAside } from '#host/launch.ts';
import { close, pipe } from '#host/libc.ts';
import { findProcess, type ProcessIdentity } from '#host/proc.ts';
import { type CliRuntime, checkpointOptions } from '../oci/cli-runtime.ts';
import { kindOfFailure, lastWords, withAdvice } from '../oci/errors.ts';
import { killCreation, watchCreation } from './lost-creation.ts';
import { parseAnswer, readAnswer } from './sync-pipe.ts';

export interface MonitorRequest {
  readonly containerId: string;
  /** Shown in journald logs and errors only. */
  readonly name: string;
  readonly bundle: string;
  readonly exitDir: string;
  /** Directory for the short symbolic links to attach sockets (sun_path is 108 bytes). */
  readonly socketDir: string;
  /** '' writes no log. */
  readonly logPath: string;
  readonly hasTty: boolean;
  readonly hasStdin: boolean;
  /** Whether stdin stays open after an attached client leaves. */
  readonly leaveStdinOpen: boolean;
  readonly runtime: CliRuntime;
  /** Go on from a checkpoint instead of creating: the process runs when the call returns. */
  readonly restore?: {
    /** CRIU's images. */
    readonly imagePath: string;
    /** Where the OCI runtime finds criu: PATH. */
    readonly searchPath: string;
  };
}

export interface MonitorStarted {
  readonly container: ProcessIdentity;
  readonly monitor: ProcessIdentity;
  /** The monitor's own end; only reported while this daemon lives. */
  readonly monitorExited: Promise<ExitStatus>;
}

function monitorArgs(request: MonitorRequest): string[] {
  const { runtime } = request;
  return [
    '--bundle',
    request.bundle,
    '--cid',
    request.containerId,
    '--cuuid',
    request.containerId,
    '--name',
    request.name,
    '--exit-dir',
    request.exitDir,
    '--log-path',
    request.logPath === '' ? 'none:' : `k8s-file:${request.logPath}`,
    '--log-level',
    'warn',
    '--conmon-pidfile',
    `${request.bundle}/conmon.pid`,
    '--container-pidfile',
    `${request.bundle}/container.pid`,
    '--socket-dir-path',
    request.socketDir,
    '--runtime',
    runtime.executable(),
    ...runtime.globalArgs.flatMap((arg) => ['--runtime-arg', arg]),
    ...(runtime.usesSystemd ? ['--systemd-cgroup'] : []),
    // A log is flushed by the kernel; an fsync per container exit would stall the node's disk.
    '--no-sync-log',
    ...(request.hasTty ? ['--terminal'] : []),
    ...(request.hasStdin ? ['--stdin'] : []),
    ...(request.hasStdin && request.leaveStdinOpen ? ['--leave-stdin-open'] : []),
    ...(request.restore === undefined
      ? []
      : [
          '--restore',
          request.restore.imagePath,
          ...checkpointOptions.flatMap((option) => ['--runtime-opt', option]),
        ]),
  ];
}

/** How long a create that is not wanted any more may go on before it is killed; it takes some tens of milliseconds. */
const abandonMs = 2000;

/**
 * Creates a container: the process exists and waits for `start`. On failure the OCI runtime and conmon have cleaned up
 * after themselves but for the bundle. Throws Internal with the runtime's words, or InvalidArgument if it is that the
 * image has no such program. An abort does not cut the work short, for what is half made cannot be found: the create ends
 * first, or is killed after some seconds. The caller looks at the signal, and must then remove the container from the runtime.
 */
export async function createMonitored(
  conmonPath: string,
  request: MonitorRequest,
  signal: AbortSignal,
): Promise<MonitorStarted> {
  const [syncRead, syncWrite] = pipe();
  const [startRead, startWrite] = pipe();
  let child: Launched;
  try {
    child = await launchAside({
      path: conmonPath,
      args: monitorArgs(request),
      env: {
        PATH: request.restore?.searchPath ?? defaultPath,
        _OCI_SYNCPIPE: '3',
        _OCI_STARTPIPE: '4',
        // The log's time zone: UTC, whatever the daemon runs in.
        TZ: 'UTC',
      },
      cwd: request.bundle,
      stderr: 'pipe',
      descriptors: { 3: syncWrite, 4: startRead },
    });
  } catch (error) {
    close(syncRead);
    throw error;
  } finally {
    close(syncWrite);
    close(startRead);
    // conmon waits for one chunk or the end of the start pipe before it does anything.
    close(startWrite);
  }
  const stderrChunks: Buffer[] = [];
  child.stderr!.on('data', (chunk: Buffer) => stderrChunks.push(chunk));
  let patience: NodeJS.Timeout | undefined;
  const onAbort = () => {
    patience = setTimeout(() => killCreation(child, request.bundle), abandonMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const watch = watchCreation(child, request.bundle);
  try {
    const [text] = await Promise.all([readAnswer(syncRead), child.exited]);
    const parsed = parseAnswer(text);
    if (!parsed || !(parsed.pid > 0)) {
      // An answer that is none says nothing about the OCI runtime, which may still be at work.
      killCreation(child, request.bundle);
      const words = lastWords(parsed?.message ?? '') || Buffer.concat(stderrChunks).toString().trim();
      throw new RuntimeError(
        kindOfFailure(words),
        `${request.runtime.name} ${request.restore ? 'restore' : 'create'} of container ${request.containerId}: ${withAdvice(words) || (watch.wasLost() ? 'it died before it had finished' : 'no answer from conmon')}`,
        {
          details: { message: parsed?.message },
        },
      );
    }
    const monitorPid = Number(readFileSync(`${request.bundle}/conmon.pid`, 'utf8'));
    const monitorExited = awaitAdopted(monitorPid);
    const monitor = findProcess(monitorPid) ?? { pid: monitorPid, startTime: -1 };
    // A process that is gone already still gets an identity: its exit file tells the rest.
    const container = findProcess(parsed.pid) ?? { pid: parsed.pid, startTime: -1 };
    return { container, monitor, monitorExited };
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError(
      'Internal',
      `creating container ${request.containerId} through conmon: ${messageOf(error)}`,
      { cause: error },
    );
  } finally {
    clearTimeout(patience);
    watch.stop();
    signal.removeEventListener('abort', onAbort);
    child.stderr!.destroy();
  }
}
