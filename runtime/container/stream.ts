/**
 * The process side of Exec, Attach and PortForward. Exec runs the OCI runtime directly, attach speaks to the monitor's
 * socket, port forwarding opens a socket inside the pod's network namespace. None of them starts a helper.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Readable, Writable } from 'node:stream';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { step, stepAnyway } from '#base/step.ts';
import { UndoList } from '#base/undo.ts';
import type { CgroupMigrations } from '#host/cgroup-migration.ts';
import { awaitAdopted, describeStatus, type ExitStatus, sendSignal, succeeded } from '#host/launch.ts';
import { SystemCallError } from '#host/libc.ts';
import { connectInside } from '#host/netns-socket.ts';
import { connectPacketSocket } from '#host/packet-socket.ts';
import { findProcess, isRunning, listDescendants, type ProcessIdentity, signalProcess } from '#host/proc.ts';
import { ConsoleSocket, type Terminal } from '#host/terminal.ts';
import type { HandlerTable } from '../handlers.ts';
import { resizeTerminal } from '../monitor/control-fifo.ts';
import type { RuntimePaths } from '../paths.ts';
import type { SandboxId } from '../sandbox/config.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import { AttachOutput } from './attach-output.ts';
import type { ContainerId } from './config.ts';
import { markProcess } from './exec-mark.ts';
import {
  closeAll,
  describeExec,
  type ExecOverrides,
  execWords,
  mustDetach,
  nextExecFile,
  removeExecFiles,
  startExecIn,
  writeExecFile,
} from './exec-process.ts';
import type { ContainerRecord } from './record.ts';

const sigkill = 9;
const sighup = 1;
/** conmon reads at most 32 KiB of a packet. */
const packetBytes = 8192;

export interface StreamSelection {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

export interface StreamedProcess {
  readonly stdin?: Writable;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  resize(size: TerminalSize): void;
  readonly exited: Promise<{ readonly exitCode: number }>;
  detach(reason: 'exited' | 'client-left' | 'stopped'): void;
}

export interface OpenOptions {
  readonly initialSize?: TerminalSize;
  readonly signal: AbortSignal;
}

export interface ContainerStreamsOptions {
  readonly getContainer: (id: string) => ContainerRecord;
  readonly getSandbox: (id: string) => SandboxRecord;
  /** Settles when the container's exit is recorded. */
  readonly whenExited: (id: ContainerId) => Promise<void>;
  /** Kills the commands that files describe, with all that they started. */
  readonly endCommands: (record: ContainerRecord, files: readonly string[]) => void;
  readonly handlers: HandlerTable;
  readonly migrations: CgroupMigrations;
  readonly paths: RuntimePaths;
  readonly log: Log;
}

function exitCodeOf(status: ExitStatus): number {
  return status.type === 'exited' ? status.code : 128 + status.signal;
}

let counter = 0;

export class ContainerStreams {
  readonly #options: ContainerStreamsOptions;

  constructor(options: ContainerStreamsOptions) {
    this.#options = options;
  }

  #running(id: ContainerId, verb: string): ContainerRecord {
    const record = this.#options.getContainer(id);
    if (record.state !== 'running')
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is ${record.state}; ${verb} needs a running one`,
      );
    if (record.isPaused === true && verb === 'exec')
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is paused, and so would the command be; berth unpause lets it go on`,
      );
    return record;
  }

  /** Starts a command in a running container. Throws NotFound, FailedPrecondition, Internal with the runtime's words. */
  async exec(
    request: StreamSelection & {
      readonly containerId: ContainerId;
      readonly command: readonly string[];
      readonly overrides?: ExecOverrides;
    },
    options: OpenOptions,
  ): Promise<StreamedProcess> {
    const record = this.#running(request.containerId, 'exec');
    this.#options.migrations.expect();
    const bundle = this.#options.paths.bundle(record.id);
    const described = describeExec(
      bundle,
      request.command,
      request.tty,
      options.initialSize,
      request.overrides,
    );
    // The mark is for the next daemon, should this one die meanwhile. A client that leaves ends what hangs together only.
    const file = nextExecFile(bundle);
    try {
      await step('exec/write-process', () => writeExecFile(file, markProcess(described).process));
      return request.tty
        ? await this.#execTerminal(record, file, request, options)
        : await this.#execPipes(record, file, request);
    } catch (error) {
      this.#options.endCommands(record, [file]);
      removeExecFiles(file);
      throw error;
    }
  }

  async #execPipes(
    record: ContainerRecord,
    file: string,
    request: StreamSelection,
  ): Promise<StreamedProcess> {
    const runtime = this.#options.handlers.get(record.handler);
    const sandbox = this.#options.getSandbox(record.sandboxId);
    const child = await startExecIn('exec/run', runtime, {
      containerId: record.id,
      processFile: file,
      stdin: request.stdin ? 'pipe' : 'null',
      isDetached: mustDetach(runtime, record.config, sandbox.config),
    });
    // Output that nobody asked for is read and dropped, or the command would block on it.
    if (!request.stdout) child.stdout.resume();
    if (!request.stderr) child.stderr.resume();
    let hasExited = false;
    const exited = child.exited
      .catch((error) => {
        // The OCI runtime may have died and left the command.
        this.#options.endCommands(record, [file]);
        throw error;
      })
      .finally(() => {
        hasExited = true;
        return stepAnyway('exec/remove-process', () => removeExecFiles(file));
      })
      .then((status) => ({ exitCode: exitCodeOf(status) }));
    exited.catch(() => {}); // the session hears of it through its own copy of the promise
    return {
      ...(child.stdin ? { stdin: child.stdin } : {}),
      ...(request.stdout ? { stdout: child.stdout } : {}),
      ...(request.stderr ? { stderr: child.stderr } : {}),
      resize: () => {},
      exited,
      detach: () => {
        if (!hasExited) child.kill();
        closeAll(child);
      },
    };
  }

  async #execTerminal(
    record: ContainerRecord,
    file: string,
    request: StreamSelection,
    options: OpenOptions,
  ): Promise<StreamedProcess> {
    const directory = join(this.#options.paths.roots.state, 'console');
    counter += 1;
    const socketPath = join(directory, `${process.pid}-${counter}`);
    const undo = new UndoList(this.#options.log);
    try {
      const console_ = new ConsoleSocket(socketPath);
      undo.add('close the console socket', () => console_.close());
      await step('exec/open-console', () => {
        mkdirSync(directory, { recursive: true, mode: 0o700 });
        return console_.listen();
      });
      const pid = await step('exec/run', () => this.#runDetached(record, file, socketPath));
      const identity = findProcess(pid);
      const exited = awaitAdopted(pid).then((end) => ({ exitCode: exitCodeOf(end) }));
      const terminal = await console_.receive();
      const started = terminalProcess(terminal, identity, exited, request);
      undo.add('end the command', () => started.detach('stopped'));
      if (options.initialSize) terminal.resize(options.initialSize);
      await stepAnyway('exec/close-console', () => console_.close());
      await stepAnyway('exec/remove-process', () => removeExecFiles(file));
      undo.commit();
      return started;
    } catch (error) {
      await undo.run();
      throw error;
    }
  }

  /** Has the OCI runtime start a command with a terminal; gives its pid. */
  async #runDetached(record: ContainerRecord, file: string, socketPath: string): Promise<number> {
    const pidFile = `${file}.pid`;
    const child = await this.#options.handlers
      .get(record.handler)
      .exec(record.id, file, { stdin: 'null', stdout: 'null', stderr: 'pipe' }, [
        '--tty',
        '--detach',
        '--console-socket',
        socketPath,
        '--pid-file',
        pidFile,
      ]);
    child.stderr!.resume();
    const status = await child.exited;
    child.stderr!.destroy();
    if (!succeeded(status))
      throw new RuntimeError(
        'Internal',
        `exec in container ${record.id}: ${execWords(file) || describeStatus(status)}`,
      );
    return Number(readFileSync(pidFile, 'latin1'));
  }

  /** Joins a running container's own stdio, from now on. */
  async attach(
    request: StreamSelection & { readonly containerId: ContainerId },
    options: OpenOptions,
  ): Promise<StreamedProcess> {
    const record = this.#options.getContainer(request.containerId);
    // Before the start too: whoever starts it with a terminal wants to see all of it.
    if (record.state !== 'running' && record.state !== 'created')
      throw new RuntimeError(
        'FailedPrecondition',
        `container ${record.id} is ${record.state}; attach needs one that runs or is to be started`,
      );
    const bundle = this.#options.paths.bundle(record.id);
    let socket: ReturnType<typeof connectPacketSocket>;
    try {
      socket = connectPacketSocket(join(this.#options.paths.sockets, record.id, 'attach'));
    } catch (error) {
      const isFull = error instanceof SystemCallError && error.code === 'EWOULDBLOCK';
      const words = isFull ? 'its monitor stands still and takes no more connections' : messageOf(error);
      throw new RuntimeError('Unavailable', `attaching to container ${record.id}: ${words}`, {
        cause: error,
      });
    }
    const output = new AttachOutput({
      stdout: request.stdout,
      stderr: request.stderr && !record.config.hasTty,
    });
    const { stdout, stderr } = output;
    const end = () => output.end();
    const over = Promise.withResolvers<{ readonly exitCode: number }>();
    over.promise.catch(() => {}); // the session may have ended for another reason
    const atExit: AtExit = {
      call: () => {
        try {
          over.resolve({ exitCode: this.#options.getContainer(record.id).exitCode });
        } catch (error) {
          over.reject(error);
        }
      },
    };
    callAtExit(this.#options.whenExited(record.id), atExit);
    socket.on('data', (packet: Buffer) => {
      if (output.take(packet)) return;
      socket.destroy();
      over.reject(
        new RuntimeError(
          'ResourceExhausted',
          'attach client too slow: it left too much output unread, attach again or read the container log',
        ),
      );
      end();
    });
    socket.once('end', end);
    socket.once('close', end);
    socket.on('error', end);
    const stdin = request.stdin && record.config.hasStdin ? packetWriter(socket) : undefined;
    const resize = (size: TerminalSize) => {
      if (!record.config.hasTty) return;
      step('attach/resize', () => resizeTerminal(bundle, size)).catch(() => {
        // the monitor is gone, so is the terminal
      });
    };
    if (options.initialSize) resize(options.initialSize);
    return {
      ...(stdin ? { stdin } : {}),
      ...(stdout ? { stdout } : {}),
      ...(stderr ? { stderr } : {}),
      resize,
      exited: over.promise,
      detach: () => {
        atExit.call = undefined;
        socket.destroy();
        end();
      },
    };
  }

  /** Connects to a port on the pod's loopback, IPv4 first. Throws NotFound, FailedPrecondition, Unavailable. */
  async dial(
    request: { readonly sandboxId: SandboxId; readonly ports: readonly number[] },
    port: number,
    signal: AbortSignal,
  ): Promise<ReturnType<typeof connectPacketSocket>> {
    const sandbox = this.#options.getSandbox(request.sandboxId);
    if (sandbox.state !== 'ready')
      throw new RuntimeError(
        'FailedPrecondition',
        `sandbox ${sandbox.id} is not ready; nothing can be forwarded to it`,
      );
    try {
      return await connectInside(sandbox.netnsPath, '127.0.0.1', port, signal);
    } catch (first) {
      if (signal.aborted) throw first;
      try {
        return await connectInside(sandbox.netnsPath, '::1', port, signal);
      } catch {
        throw new RuntimeError(
          'Unavailable',
          `connecting to port ${port} in sandbox ${sandbox.id}: ${messageOf(first)}`,
          {
            cause: first,
          },
        );
      }
    }
  }
}

interface AtExit {
  call: (() => void) | undefined;
}

/**
 * A container keeps what waits for its exit as long as it lives, which may be years of attaches: so what is kept is this
 * one small object, which the session empties when it goes.
 */
function callAtExit(exited: Promise<void>, atExit: AtExit): void {
  void exited.then(() => atExit.call?.());
}

function terminalProcess(
  terminal: Terminal,
  identity: ProcessIdentity | undefined,
  exited: Promise<{ exitCode: number }>,
  request: StreamSelection,
): StreamedProcess {
  const { stream } = terminal;
  stream.on('error', () => {}); // EIO: the slave's last process is gone, which `exited` tells
  if (!request.stdout) stream.resume();
  return {
    ...(request.stdin
      ? { stdin: new Writable({ write: (chunk, _encoding, done) => void stream.write(chunk, () => done()) }) }
      : {}),
    ...(request.stdout ? { stdout: stream } : {}),
    resize: (size) => {
      try {
        terminal.resize(size);
      } catch {
        // the terminal went away between the client's message and the call
      }
    },
    exited,
    detach: () => {
      terminal.close();
      if (!identity || !isRunning(identity)) return;
      for (const pid of listDescendants(identity.pid)) sendSignal(pid, sigkill);
      signalProcess(identity, sighup);
      signalProcess(identity, sigkill);
    },
  };
}

/** Writes packets one after the other: the kernel would take two waiting writes as one packet, too large for the reader. */
function packetWriter(socket: ReturnType<typeof connectPacketSocket>): Writable {
  const writeFrom = (chunk: Buffer, offset: number, done: (error?: Error | null) => void): void => {
    if (offset >= chunk.length) {
      done();
      return;
    }
    socket.write(chunk.subarray(offset, offset + packetBytes), (error) =>
      error ? done(error) : writeFrom(chunk, offset + packetBytes, done),
    );
  };
  return new Writable({
    write: (chunk: Buffer, _encoding, done) => writeFrom(chunk, 0, done),
    final: (done) => socket.end(() => done()),
    destroy: (error, done) => done(error),
  });
}
