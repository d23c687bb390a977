import type { SpanKind } from '#base/span.ts';

export interface SlowSpan {
  readonly kind: SpanKind;
  readonly name: string;
  readonly durationMs: number;
  /** Milliseconds since the epoch. */
  readonly endedAtMs: number;
  readonly hasFailed: boolean;
}

const most = 20;
const keptForMs = 3_600_000;
/** Faster ones are not worth a place, even if there is one. */
const leastMs = 50;

/** The slowest pieces of work of the last hour, for those who look at the status page. */
export class SlowSpans {
  #spans: SlowSpan[] = [];

  note(span: SlowSpan): void {
    if (span.durationMs < leastMs) return;
    const last = this.#spans.at(-1);
    if (this.#spans.length >= most && last && last.durationMs >= span.durationMs && this.#isFresh(last))
      return;
    this.#spans = [...this.list(), span].sort((a, b) => b.durationMs - a.durationMs).slice(0, most);
  }

  /** Slowest first. */
  list(): readonly SlowSpan[] {
    return this.#spans.filter((span) => this.#isFresh(span));
  }

  #isFresh({ endedAtMs }: SlowSpan): boolean {
    return Date.now() - endedAtMs < keptForMs;
  }
}
