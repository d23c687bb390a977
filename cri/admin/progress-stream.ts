/** Tells a client of progress no faster than it listens, and not more often than somebody can look. */
import type { LayerProgress } from '#images/operator/contract.ts';
import type { MessageInits } from '#proto/berth/generated/admin.ts';

type Progress = MessageInits['TransferProgress'];

const everyMs = 100;

export class ProgressStream {
  readonly #send: (message: Progress) => Promise<void>;
  #latest: readonly LayerProgress[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> = Promise.resolve();
  #isEnded = false;

  constructor(send: (message: Progress) => Promise<void>) {
    this.#send = send;
  }

  /** Takes note of how far it is; only the latest is told. */
  offer(layers: readonly LayerProgress[]): void {
    this.#latest = layers;
    if (this.#isEnded) return;
    this.#timer ??= setTimeout(() => this.#flush(), everyMs).unref();
  }

  #flush(): void {
    const layers = this.#latest;
    if (layers === undefined || this.#isEnded) return;
    this.#latest = undefined;
    this.#sending = this.#sending
      .then(() => this.#send({ layers: layers.map(encoded) }))
      // The call has ended: whoever works for it hears of that by its signal.
      .catch(() => {})
      .finally(() => {
        this.#timer = undefined;
        if (this.#latest) this.offer(this.#latest);
      });
  }

  /** Tells where it came to in the end, and the result. */
  async end(result: MessageInits['TransferResult']): Promise<void> {
    const layers = this.#latest ?? [];
    this.#isEnded = true;
    clearTimeout(this.#timer);
    await this.#sending;
    await this.#send({ layers: layers.map(encoded), result });
  }
}

function encoded({ digest, sizeBytes, doneBytes, state }: LayerProgress): MessageInits['TransferLayer'] {
  return { digest, size_bytes: BigInt(sizeBytes), done_bytes: BigInt(Math.max(0, doneBytes)), state };
}
