/**
 * conmon as seen from outside: it starts the OCI runtime's create, holds the container's stdio, writes the log, and writes
 * the exit code into a file. It outlives the daemon. Interface: conmon 2.1 (`conmon --help`, src/cli.c).
 */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { messageOf, RuntimeError } from '#base/errors.ts';
import { awaitAdopted, type ExitStatus, launch } from '#host/launch.ts';
import { close, pipe } from '#host/libc.ts';
import { findProcess, type ProcessIdentity } from '#host/proc.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import { lastWords } from '../oci/errors.ts';

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
    runtime.path,
    ...runtime.globalArgs.flatMap((arg) => ['--runtime-arg', arg]),
    ...(runtime.usesSystemd ? ['--systemd-cgroup'] : []),
    // A log is flushed by the kernel; an fsync per container exit would stall the node's disk.
    '--no-sync-log',
    ...(request.hasTty ? ['--terminal'] : []),
    ...(request.hasStdin ? ['--stdin'] : []),
    ...(request.hasStdin && request.leaveStdinOpen ? ['--leave-stdin-open'] : []),
  ];
}

/** Reads the sync pipe to the first line or its end. */
function readAnswer(fd: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd, readable: true, writable: false });
    let text = '';
    const finish = (outcome: () => void) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      outcome();
    };
    const onAbort = () => finish(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      if (text.includes('\n')) finish(() => resolve(text));
    });
    socket.once('end', () => finish(() => resolve(text)));
    socket.once('error', (error) => finish(() => reject(error)));
  });
}

/** conmon escapes only some control characters, and passes the runtime's bytes raw: what JSON refuses is cleaned first. */
function parseAnswer(text: string): { pid: number; message: string } | undefined {
  const line = text.split('\n')[0] ?? '';
  if (line.trim() === '') return undefined;
  const cleaned = line.replace(/[\u0000-\u001f]/g, ' ');
  try {
    const answer = JSON.parse(cleaned) as { pid?: unknown; data?: unknown; message?: unknown };
    const pid = Number(answer.pid ?? answer.data);
    return { pid, message: typeof answer.message === 'string' ? answer.message : '' };
  } catch {
    return { pid: -1, message: line }; // the words are still the best explanation there is
  }
}

/**
 * Creates a container: the process exists and waits for `start`. On failure the OCI runtime and conmon have cleaned up
 * after themselves but for the bundle. Throws Internal with the runtime's words; Canceled, and then the caller must remove
 * the container from the runtime, for create may have gone through.
 */
export async function createMonitored(
  conmonPath: string,
  request: MonitorRequest,
  signal: AbortSignal,
): Promise<MonitorStarted> {
  const [syncRead, syncWrite] = pipe();
  const [startRead, startWrite] = pipe();
  let answer: Promise<string>;
  let child: ReturnType<typeof launch>;
  try {
    child = launch({
      path: conmonPath,
      args: monitorArgs(request),
      env: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
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
  try {
    answer = readAnswer(syncRead, signal);
    const [text] = await Promise.all([answer, child.exited]);
    const parsed = parseAnswer(text);
    if (!parsed || !(parsed.pid > 0)) {
      const words = lastWords(parsed?.message ?? '') || Buffer.concat(stderrChunks).toString().trim();
      throw new RuntimeError(
        'Internal',
        `${request.runtime.name} create of container ${request.containerId}: ${words || 'no answer from conmon'}`,
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
    child.stderr!.destroy();
  }
}
