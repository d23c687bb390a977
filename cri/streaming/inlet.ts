import type { Writable } from 'node:stream';

/**
 * What a client sends toward one process or application: queued until that is there, then written as fast as it takes
 * the bytes. Says when the client should be held back, so that memory stays bounded.
 */
export class Inlet {
  readonly #limitBytes: number;
  readonly #onHeld: (held: boolean) => void;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #sink: Writable | undefined;
  #state: 'open' | 'ended' | 'finished' | 'discarding' = 'open';
  #held = false;
  #unwritten = 0;
  #onEmpty: (() => void) | undefined;

  /** `onHeld(true)`: stop reading the client; `onHeld(false)`: go on. Strictly alternating. */
  constructor(limitBytes: number, onHeld: (held: boolean) => void) {
    this.#limitBytes = limitBytes;
    this.#onHeld = onHeld;
  }

  push(chunk: Buffer): void {
    if (this.#state !== 'open' || chunk.length === 0) return;
    if (this.#sink === undefined) {
      this.#queue.push(chunk);
      this.#queuedBytes += chunk.length;
      this.#setHeld(this.#queuedBytes >= this.#limitBytes);
    } else this.#write(this.#sink, chunk);
  }

  /** The client half-closed: ends the sink once it has everything. */
  end(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ended';
    this.#sink?.end();
  }

  /** The client half-closed: takes no more, leaves the sink open, and calls back once that has everything. */
  finish(onEmpty: () => void): void {
    if (this.#state === 'discarding') onEmpty();
    if (this.#state !== 'open') return;
    this.#onEmpty = onEmpty;
    this.#state = 'finished';
    this.#callIfEmpty();
  }

  /** The sink is there. Its errors and its early close mean that it wants no more. */
  connect(sink: Writable): void {
    if (this.#state === 'discarding') return;
    this.#sink = sink;
    sink.on('error', () => this.discard());
    sink.once('close', () => this.discard());
    sink.on('drain', () => this.#setHeld(false));
    this.#setHeld(false);
    for (const chunk of this.#queue.splice(0)) this.#write(sink, chunk);
    this.#queuedBytes = 0;
    if (this.#state === 'ended') sink.end();
    this.#callIfEmpty();
  }

  /** Throws away what is queued and whatever still comes, and holds nobody back any more. Idempotent. */
  discard(): void {
    this.#state = 'discarding';
    this.#onEmpty = undefined;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#setHeld(false);
  }

  #write(sink: Writable, chunk: Buffer): void {
    this.#unwritten += 1;
    const onWritten = (): void => {
      this.#unwritten -= 1;
      this.#callIfEmpty();
    };
    // The stream's own mark is lower: a few chunks in flight keep the pipe full.
    if (!sink.write(chunk, onWritten) && sink.writableLength >= this.#limitBytes) this.#setHeld(true);
  }

  #callIfEmpty(): void {
    if (this.#onEmpty === undefined || this.#sink === undefined || this.#unwritten > 0) return;
    const call = this.#onEmpty;
    this.#onEmpty = undefined;
    call();
  }

  #setHeld(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    this.#onHeld(held);
  }
}
