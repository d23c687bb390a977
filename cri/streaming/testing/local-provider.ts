import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex, Readable, Writable } from 'node:stream';
import { RuntimeError } from '#base/errors.ts';
import type {
  AttachRequest,
  DetachReason,
  ExecRequest,
  OpenOptions,
  PortForwardRequest,
  StreamedProcess,
  StreamingProvider,
  StreamSelection,
  TerminalSize,
} from '../process.ts';

/** A process of this machine in the place of one in a container, with a record of what the session did to it. */
export class LocalProcess implements StreamedProcess {
  readonly child: ChildProcess;
  readonly stdin?: Writable;
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  readonly exited: Promise<{ exitCode: number }>;
  readonly sizes: TerminalSize[] = [];
  readonly detached = Promise.withResolvers<DetachReason>();
  detachCalls = 0;

  constructor(command: readonly string[], streams: StreamSelection, initialSize: TerminalSize | undefined) {
    this.child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    if (streams.stdin) this.stdin = this.child.stdin!;
    else this.child.stdin!.end();
    if (streams.stdout) this.stdout = this.child.stdout!;
    if (streams.stderr) this.stderr = this.child.stderr!;
    this.child.stdin!.on('error', () => undefined);
    if (initialSize !== undefined) this.sizes.push(initialSize);
    this.exited = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => resolve({ exitCode: signal === null ? code! : 137 }));
    });
  }

  resize(size: TerminalSize): void {
    this.sizes.push(size);
  }

  detach(reason: DetachReason): void {
    this.detachCalls++;
    this.child.stdin!.destroy();
    this.child.stdout!.destroy();
    this.child.stderr!.destroy();
    if (reason !== 'exited') this.child.kill('SIGKILL');
    this.detached.resolve(reason);
  }
}

/**
 * A StreamingProvider over this machine's own processes and ports, for tests and for measuring the server without a
 * container runtime. `attach` runs the command given to the constructor.
 */
export class LocalProvider implements StreamingProvider {
  readonly processes: LocalProcess[] = [];
  readonly #attachCommand: readonly string[];
  openConnections = 0;

  constructor(attachCommand: readonly string[] = ['cat']) {
    this.#attachCommand = attachCommand;
  }

  async exec(request: ExecRequest, options: OpenOptions): Promise<StreamedProcess> {
    return await this.#start(request.command, request, options);
  }

  async attach(request: AttachRequest, options: OpenOptions): Promise<StreamedProcess> {
    return await this.#start(this.#attachCommand, request, options);
  }

  async dial(_request: PortForwardRequest, port: number, signal: AbortSignal): Promise<Duplex> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, signal });
    await once(socket, 'connect');
    this.openConnections++;
    socket.once('close', () => this.openConnections--);
    return socket;
  }

  async #start(
    command: readonly string[],
    streams: StreamSelection,
    { initialSize }: OpenOptions,
  ): Promise<StreamedProcess> {
    const process = new LocalProcess(command, streams, initialSize);
    try {
      await once(process.child, 'spawn');
    } catch (cause) {
      throw new RuntimeError('NotFound', `start ${command[0]}: no such file`, { cause });
    }
    this.processes.push(process);
    return process;
  }
}
