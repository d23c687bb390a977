import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { CommandOutcome } from './command-status.ts';
import { Inlet } from './inlet.ts';
import type { StreamingLimits } from './limits.ts';
import type { LinkEnd } from './link.ts';
import { Outlet } from './outlet.ts';
import type { DetachReason, OpenOptions, StreamedProcess, StreamSelection, TerminalSize } from './process.ts';

/** Output that may still come out of pipes after the process has exited; more is the work of a descendant. */
const lateOutputBytes = 4 * 1024 * 1024;

export type OutputName = 'stdout' | 'stderr';

/** The client's side of an exec or attach session, over SPDY or WebSocket. */
export interface CommandTransport {
  /** False: hold back until the session's `drained` is called. */
  sendOutput(name: OutputName, chunk: Buffer): boolean;
  /** Stops and goes on reading the client. */
  holdInput(held: boolean): void;
  /** Reports the outcome, ends every stream and closes, in bounded time. */
  finish(outcome: CommandOutcome): void;
  /** Closes at once. */
  destroy(cause: LinkEnd): void;
}

export interface CommandSessionOptions {
  readonly kind: 'exec' | 'attach';
  readonly streams: StreamSelection;
  readonly limits: StreamingLimits;
  readonly transport: CommandTransport;
  /** Opens the process; called once, when the client is ready. */
  readonly open: (options: OpenOptions) => Promise<StreamedProcess>;
  readonly log: Log;
}

/**
 * One exec or attach: moves bytes between a client and a process until the process has exited or the client has left.
 * The transport tells it what the client does by `stdin`, `stdinEnd`, `resize`, `drained` and `closed`.
 */
export class CommandSession {
  readonly #options: CommandSessionOptions;
  readonly #inlet: Inlet;
  readonly #opening = new AbortController();
  readonly #outlets = new Map<OutputName, Outlet>();
  #state: 'idle' | 'opening' | 'running' | 'draining' | 'ended' = 'idle';
  #process: StreamedProcess | undefined;
  #size: TerminalSize | undefined;
  #exitCode = 0;
  #silence: NodeJS.Timeout | undefined;
  #drainDeadline: NodeJS.Timeout | undefined;
  #takenAtExit = 0;
  #opened: Promise<void> = Promise.resolve();
  #endReason: DetachReason = 'client-left';

  constructor(options: CommandSessionOptions) {
    this.#options = options;
    this.#inlet = new Inlet(options.limits.inputBytes, (held) => options.transport.holdInput(held));
    if (!options.streams.stdin) this.#inlet.discard();
  }

  /** The client is ready, all its streams are open: starts or attaches the process. */
  begin(): void {
    if (this.#state !== 'idle') return;
    this.#state = 'opening';
    this.#opened = this.#open().catch((error: unknown) => {
      this.#options.log.debug({ err: error }, `${this.#options.kind} session failed`);
      this.#end({ kind: 'failed', message: messageOf(error) }, 'stopped');
    });
  }

  stdin(chunk: Buffer): void {
    this.#inlet.push(chunk);
  }

  stdinEnd(): void {
    const { kind, streams } = this.#options;
    // The end of input is no end of file on a terminal, see StreamedProcess.stdin. What closes the input of a terminal
    // that one is attached to is the client's detach keys; it then waits for the rest of the session to end.
    if (!streams.tty) this.#inlet.end();
    else if (kind === 'attach' && streams.stdin) this.#inlet.finish(() => this.#detached());
  }

  #detached(): void {
    if (this.#state === 'running') this.#end({ kind: 'exited', exitCode: 0 }, 'client-left');
  }

  resize(size: TerminalSize): void {
    this.#size = size;
    if (this.#state === 'running') this.#process?.resize(size);
  }

  /** The client has taken everything that was queued. */
  drained(): void {
    for (const outlet of this.#outlets.values()) outlet.drained();
    if (this.#state === 'draining') {
      this.#armDrainDeadline();
      this.#watchSilence();
    }
  }

  /** The client's connection is gone. Resolves when the process is let go too, also one that was still being opened. */
  closed(cause: LinkEnd): Promise<void> {
    this.#end(undefined, cause === 'stopped' ? 'stopped' : 'client-left');
    return this.#opened;
  }

  async #open(): Promise<void> {
    const { open, streams } = this.#options;
    const signal = this.#opening.signal;
    const initialSize = this.#size;
    const process = await open(initialSize === undefined ? { signal } : { signal, initialSize });
    if (this.#state !== 'opening') {
      process.exited.catch(() => {
        // Nobody is left to be told.
      });
      process.detach(this.#endReason);
      return;
    }
    this.#process = process;
    this.#state = 'running';
    if (this.#size !== undefined && this.#size !== initialSize) process.resize(this.#size);
    if (streams.stdin && process.stdin !== undefined) this.#inlet.connect(process.stdin);
    else this.#inlet.discard();
    process.exited.then(
      ({ exitCode }) => this.#exited(exitCode),
      (error: unknown) => this.#end({ kind: 'failed', message: messageOf(error) }, 'exited'),
    );
    if (streams.stdout) this.#connectOutput('stdout', process);
    if (streams.stderr && !streams.tty) this.#connectOutput('stderr', process);
  }

  #connectOutput(name: OutputName, process: StreamedProcess): void {
    const source = process[name];
    if (source === undefined) return;
    const { kind, limits, transport } = this.#options;
    const outlet = new Outlet(source, {
      send: (chunk) => {
        const accepted = transport.sendOutput(name, chunk);
        if (this.#state === 'draining') this.#watchSilence();
        return accepted;
      },
      onEnd: () => this.#endIfDrained(),
      ...(kind === 'attach' && {
        patience: { holdMs: limits.attach.holdMs, onExhausted: () => this.#clientTooSlow() },
      }),
    });
    this.#outlets.set(name, outlet);
  }

  #clientTooSlow(): 'drop' | 'hold' {
    const { bufferBytes, holdMs, onSlowClient } = this.#options.limits.attach;
    // Once the container has exited nothing is stalled any more, and the drain deadline bounds the rest.
    if (this.#state !== 'running') return 'hold';
    if (onSlowClient === 'drop') return 'drop';
    const message =
      `attach client too slow: it left ${bufferBytes} bytes of output unread for ${holdMs} ms, ` +
      'attach again or read the container log';
    this.#end({ kind: 'failed', message }, 'client-left');
    return 'hold';
  }

  #exited(exitCode: number): void {
    if (this.#state !== 'running') return;
    this.#state = 'draining';
    // An attach ends well when its container ends, however that ended.
    this.#exitCode = this.#options.kind === 'exec' ? exitCode : 0;
    this.#inlet.discard();
    this.#takenAtExit = this.#takenBytes();
    this.#armDrainDeadline();
    this.#watchSilence();
    this.#endIfDrained();
  }

  #takenBytes(): number {
    let sum = 0;
    for (const outlet of this.#outlets.values()) sum += outlet.takenBytes;
    return sum;
  }

  #endIfDrained(): void {
    if (this.#state !== 'draining') return;
    if ([...this.#outlets.values()].every((outlet) => outlet.isStopped)) this.#endExited();
  }

  /** A descendant may hold an output open for good: without news from it for a while, the session ends anyway. */
  #watchSilence(): void {
    clearTimeout(this.#silence);
    if (this.#takenBytes() - this.#takenAtExit > lateOutputBytes) {
      this.#endExited();
      return;
    }
    this.#silence = setTimeout(() => {
      // A source that is held back is not silent, its client is: that has its own deadline.
      if (![...this.#outlets.values()].some((outlet) => outlet.isHeld)) this.#endExited();
    }, this.#options.limits.outputSilenceMs);
  }

  #armDrainDeadline(): void {
    clearTimeout(this.#drainDeadline);
    this.#drainDeadline = setTimeout(() => this.#endExited(), this.#options.limits.drainMs);
  }

  #endExited(): void {
    this.#end({ kind: 'exited', exitCode: this.#exitCode }, 'exited');
  }

  /** The one way out. Without an outcome there is nobody to tell it. */
  #end(outcome: CommandOutcome | undefined, reason: DetachReason): void {
    if (this.#state === 'ended') return;
    if (this.#state === 'opening') this.#opening.abort();
    this.#state = 'ended';
    this.#endReason = reason;
    clearTimeout(this.#silence);
    clearTimeout(this.#drainDeadline);
    for (const outlet of this.#outlets.values()) outlet.stop();
    this.#inlet.discard();
    if (outcome === undefined) this.#options.transport.destroy(reason === 'stopped' ? 'stopped' : 'peer');
    else this.#options.transport.finish(outcome);
    const process = this.#process;
    this.#process = undefined;
    process?.detach(reason);
  }
}
