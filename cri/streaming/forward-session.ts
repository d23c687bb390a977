import type { Duplex } from 'node:stream';
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { Inlet } from './inlet.ts';
import type { StreamingLimits } from './limits.ts';
import { Outlet } from './outlet.ts';

/** The client's side of one forwarded connection, over SPDY or WebSocket. */
export interface ForwardTransport {
  /** False: hold back until the forward's `drained` is called. */
  send(chunk: Buffer): boolean;
  /** Stops and goes on reading the client. */
  holdInput(held: boolean): void;
  /** The application sends no more: half-closes the data stream and closes the error stream, empty. */
  end(): void;
  /**
   * Reports that the connection could not be made, then closes both streams. Never used later: the Go clients take any
   * error text as the end of all their forwarded connections.
   */
  fail(message: string): void;
  /** Nothing moves any more in either direction: forget this forward, and reset what the client has not closed. */
  done(): void;
}

export interface ForwardSessionOptions {
  readonly port: number;
  /** For the error text only. */
  readonly sandboxId: string;
  readonly limits: StreamingLimits;
  readonly transport: ForwardTransport;
  readonly dial: (signal: AbortSignal) => Promise<Duplex>;
  readonly log: Log;
}

/**
 * One forwarded connection: copies both ways between a client and an application, each direction ending on its own. The
 * transport tells it what the client does by `data`, `fin`, `reset` and `drained`.
 */
export class ForwardSession {
  readonly #options: ForwardSessionOptions;
  readonly #inlet: Inlet;
  readonly #dialing = new AbortController();
  #application: Duplex | undefined;
  #outlet: Outlet | undefined;
  #clientEnded = false;
  #applicationEnded = false;
  #ended = false;
  #halfClosed: NodeJS.Timeout | undefined;

  constructor(options: ForwardSessionOptions) {
    this.#options = options;
    this.#inlet = new Inlet(options.limits.inputBytes, (held) => options.transport.holdInput(held));
  }

  /** Dials the application. Called once. */
  begin(): void {
    const { dial, transport, port, sandboxId, log } = this.#options;
    dial(this.#dialing.signal).then(
      (application) => this.#connect(application),
      (error: unknown) => {
        if (this.#ended) return;
        log.debug({ err: error, sandboxId, port }, 'port forward: the application cannot be reached');
        transport.fail(`error forwarding port ${port} to pod ${sandboxId}, uid : ${messageOf(error)}`);
        this.#end();
      },
    );
  }

  data(chunk: Buffer): void {
    this.#halfClosed?.refresh();
    this.#inlet.push(chunk);
  }

  /** The client sends no more. */
  fin(): void {
    if (this.#clientEnded) return;
    this.#clientEnded = true;
    this.#inlet.end();
    if (this.#applicationEnded) this.#end();
    else if (this.#application !== undefined) this.#armHalfClosed();
  }

  /** The client wants nothing more, or its connection is gone. Idempotent. */
  reset(): void {
    this.#end();
  }

  drained(): void {
    this.#outlet?.drained();
  }

  #connect(application: Duplex): void {
    if (this.#ended) {
      application.on('error', () => {
        // Nobody is left to be told.
      });
      application.destroy();
      return;
    }
    this.#application = application;
    this.#inlet.connect(application);
    this.#outlet = new Outlet(application, {
      send: (chunk) => {
        this.#halfClosed?.refresh();
        return this.#options.transport.send(chunk);
      },
      onEnd: () => this.#applicationDone(),
    });
    application.once('close', () => this.#applicationGone());
    if (this.#clientEnded) this.#armHalfClosed();
  }

  #applicationDone(): void {
    if (this.#ended || this.#applicationEnded) return;
    this.#applicationEnded = true;
    this.#options.transport.end();
    if (this.#clientEnded || this.#application?.destroyed) this.#end();
    else this.#armHalfClosed();
  }

  #applicationGone(): void {
    this.#applicationDone();
    this.#end();
  }

  /** One direction has ended: the other may not keep the connection for good without moving a byte. */
  #armHalfClosed(): void {
    clearTimeout(this.#halfClosed);
    this.#halfClosed = setTimeout(() => this.#end(), this.#options.limits.halfClosedMs);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#halfClosed);
    if (this.#application === undefined) this.#dialing.abort();
    this.#outlet?.stop();
    this.#inlet.discard();
    this.#destroyApplication();
    this.#options.transport.done();
  }

  /** Destroys the application's connection, but lets bytes on their way to it arrive if the client ended in order. */
  #destroyApplication(): void {
    const application = this.#application;
    if (application === undefined || application.destroyed) return;
    if (!this.#clientEnded || !this.#applicationEnded) {
      application.destroy();
      return;
    }
    // Both directions ended in order: the stream closes itself once its last bytes are written, within the bound.
    const bound = setTimeout(() => application.destroy(), this.#options.limits.drainMs);
    application.once('close', () => clearTimeout(bound));
  }
}
