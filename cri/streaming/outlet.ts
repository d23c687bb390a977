import type { Readable } from 'node:stream';

export interface OutletOptions {
  /** Passes a chunk on. False: hold back until `drained` is called. */
  readonly send: (chunk: Buffer) => boolean;
  /** Called once, when the source has ended or failed, or `stop` was called. */
  readonly onEnd: () => void;
  /** For a source that must not be held back for long: what to do when it has been for `holdMs`. */
  readonly patience?: { readonly holdMs: number; readonly onExhausted: () => 'drop' | 'hold' };
}

/** Pumps one output of a process or application to a client, no faster than the client takes it. */
export class Outlet {
  readonly #source: Readable;
  readonly #options: OutletOptions;
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);
  readonly #onDone = (): void => this.stop();
  #state: 'flowing' | 'held' | 'dropping' | 'stopped' = 'flowing';
  #patience: NodeJS.Timeout | undefined;
  /** Bytes taken from the source so far, also those left out. */
  takenBytes = 0;

  constructor(source: Readable, options: OutletOptions) {
    this.#source = source;
    this.#options = options;
    source.on('data', this.#onData);
    source.once('end', this.#onDone);
    source.once('close', this.#onDone);
    // Kept after the end too: an unhandled late error would end the daemon.
    source.on('error', this.#onDone);
    if (source.destroyed || source.readableEnded) queueMicrotask(this.#onDone);
  }

  get isHeld(): boolean {
    return this.#state === 'held';
  }

  get isStopped(): boolean {
    return this.#state === 'stopped';
  }

  /** The client has taken everything that was queued. */
  drained(): void {
    if (this.#state !== 'held' && this.#state !== 'dropping') return;
    const wasHeld = this.#state === 'held';
    this.#state = 'flowing';
    clearTimeout(this.#patience);
    if (wasHeld) this.#source.resume();
  }

  /** Takes nothing more from the source. Idempotent. */
  stop(): void {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    clearTimeout(this.#patience);
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onDone);
    this.#source.off('close', this.#onDone);
    this.#source.pause();
    this.#options.onEnd();
  }

  #take(chunk: Buffer): void {
    this.takenBytes += chunk.length;
    if (this.#state === 'dropping') return;
    if (this.#options.send(chunk) || this.#state !== 'flowing') return;
    this.#state = 'held';
    this.#source.pause();
    const patience = this.#options.patience;
    if (patience === undefined) return;
    this.#patience = setTimeout(() => {
      if (this.#state !== 'held' || patience.onExhausted() === 'hold') return;
      this.#state = 'dropping';
      this.#source.resume();
    }, patience.holdMs);
  }
}
