import { CommandSession, type CommandSessionOptions, type OutputName } from './command-session.ts';
import { type CommandOutcome, encodeStatus } from './command-status.ts';
import type { Link, LinkEnd } from './link.ts';
import { SpdyConnection, type SpdyStream, type SpdyStreamHandler } from './spdy-connection.ts';
import { resetStatus } from './spdy-frames.ts';
import { ResizeDecoder } from './terminal-size.ts';

/**
 * The channel protocol versions over SPDY that the server speaks. Version 1 closes the server's half of stdin and
 * resets the error stream before the process starts, 2 adds the clean half-close of stdin, 3 resizing, 4 the structured
 * status. Clients list 5 too, which adds nothing here.
 */
export const spdyCommandVersions = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
] as const;
export type SpdyCommandVersion = (typeof spdyCommandVersions)[number];

const streamNames = ['error', 'stdin', 'stdout', 'stderr', 'resize'] as const;
type StreamName = (typeof streamNames)[number];

export interface SpdyCommandOptions extends Omit<CommandSessionOptions, 'transport'> {
  readonly link: Link;
  readonly version: SpdyCommandVersion;
  readonly onClosed: () => void;
}

/** Serves one exec or attach session over SPDY until its connection has closed. */
export function serveSpdyCommand(options: SpdyCommandOptions): void {
  new SpdyCommand(options).open();
}

class SpdyCommand {
  readonly #options: SpdyCommandOptions;
  readonly #connection: SpdyConnection;
  readonly #session: CommandSession;
  readonly #streams = new Map<StreamName, SpdyStream>();
  readonly #expected: Set<StreamName>;
  readonly #resize = new ResizeDecoder();
  #creation: NodeJS.Timeout | undefined;

  constructor(options: SpdyCommandOptions) {
    this.#options = options;
    this.#expected = expectedStreams(options);
    const { link, limits } = options;
    if (options.kind === 'attach') link.outputLimitBytes = limits.attach.bufferBytes;
    this.#connection = new SpdyConnection({
      link,
      limits,
      onStream: (stream) => this.#addStream(stream),
      onDrain: () => this.#session.drained(),
      onGoaway: () => this.#leaveIfForsaken(),
      onClosed: (cause) => this.#closed(cause),
    });
    this.#session = new CommandSession({
      ...options,
      transport: {
        sendOutput: (name, chunk) => this.#sendOutput(name, chunk),
        holdInput: (held) => {
          if (held) this.#connection.hold(this);
          else this.#connection.release(this);
        },
        finish: (outcome) => this.#finish(outcome),
        destroy: (cause) => this.#connection.destroy(cause),
      },
    });
  }

  open(): void {
    this.#creation = setTimeout(() => this.#connection.finish(), this.#options.limits.streamCreationMs);
    this.#connection.open();
  }

  #closed(cause: LinkEnd): void {
    clearTimeout(this.#creation);
    this.#session.closed(cause).then(this.#options.onClosed);
  }

  #addStream(stream: SpdyStream): void {
    const name = streamNames.find((known) => known === stream.headers.get('streamtype'));
    if (name === undefined || this.#streams.has(name)) {
      stream.reset(resetStatus.protocolError);
      return;
    }
    this.#streams.set(name, stream);
    // A stream that the gRPC request did not ask for is accepted, so that its client can go on, and stays empty.
    stream.accept(this.#handlerOf(name));
    this.#expected.delete(name);
    if (this.#expected.size > 0) return;
    clearTimeout(this.#creation);
    if (this.#options.version === 'channel.k8s.io') {
      this.#streams.get('stdin')?.end();
      this.#streams.get('error')?.reset(resetStatus.cancel);
    }
    this.#session.begin();
  }

  #handlerOf(name: StreamName): SpdyStreamHandler {
    const session = this.#session;
    const reset = (): void => this.#leaveIfForsaken();
    const ignore = (): void => undefined;
    if (name === 'stdin') {
      return {
        data: (chunk) => session.stdin(chunk),
        fin: () => session.stdinEnd(),
        reset: () => {
          session.stdinEnd();
          reset();
        },
      };
    }
    if (name !== 'resize' || !this.#options.streams.tty) return { data: ignore, fin: ignore, reset };
    return {
      data: (chunk) => {
        const size = this.#resize.push(chunk).at(-1);
        if (size !== undefined) session.resize(size);
      },
      fin: ignore,
      reset,
    };
  }

  /** A client that has reset all its streams, or said goodbye with none open, has left. */
  #leaveIfForsaken(): void {
    if (this.#streams.size > 0 && this.#connection.openStreams === 0) this.#connection.destroy('peer');
  }

  #sendOutput(name: OutputName, chunk: Buffer): boolean {
    return this.#streams.get(name)?.write(chunk) ?? true;
  }

  #finish(outcome: CommandOutcome): void {
    const format = this.#options.version === 'v4.channel.k8s.io' ? 'json' : 'text';
    const status = encodeStatus(outcome, format);
    if (status.length > 0) this.#streams.get('error')?.write(status);
    for (const name of ['stdout', 'stderr', 'error', 'stdin', 'resize'] as const)
      this.#streams.get(name)?.end();
    this.#connection.finish();
  }
}

function expectedStreams(options: SpdyCommandOptions): Set<StreamName> {
  const { stdin, stdout, stderr, tty } = options.streams;
  const expected = new Set<StreamName>(['error']);
  if (stdin) expected.add('stdin');
  if (stdout) expected.add('stdout');
  if (stderr && !tty) expected.add('stderr');
  const hasResize = options.version === 'v4.channel.k8s.io' || options.version === 'v3.channel.k8s.io';
  if (tty && hasResize) expected.add('resize');
  return expected;
}
