/**
 * Sends spans to a collector in batches, by OTLP over HTTP. The collector may be slow or away: spans wait in a queue with an
 * end, and the oldest are dropped; no call ever waits for it.
 */
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { type EndedSpan, encodeSpans, type TraceResource } from './otlp.ts';

export interface SpanExporterOptions {
  /** `http://HOST:4318`; without a path, `/v1/traces` is added (OTLP specification, endpoint URLs). */
  readonly endpoint: string;
  readonly resource: TraceResource;
  readonly log: Log;
  readonly onOutcome: (result: 'sent' | 'dropped', count: number) => void;
  /** How long the first span of a batch waits for others, ms. Default 2000. */
  readonly delayMs?: number;
}

type SendRequest = (
  url: URL,
  options: RequestOptions,
  onResponse: (response: IncomingMessage) => void,
) => ClientRequest;

const mostWaiting = 4096;
const mostPerBatch = 512;
const requestTimeoutMs = 10_000;
const longestPauseMs = 60_000;
/** Answers after which the same batch may be sent again (OTLP specification, failures). */
const passing = new Set([429, 502, 503, 504]);

export class SpanExporter {
  readonly #options: SpanExporterOptions;
  readonly #url: URL;
  readonly #delayMs: number;
  #queue: EndedSpan[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #pauseMs: number;
  #isAway = false;
  #isClosed = false;

  constructor(options: SpanExporterOptions) {
    this.#options = options;
    this.#url = new URL(options.endpoint);
    if (this.#url.pathname === '/') this.#url.pathname = '/v1/traces';
    this.#delayMs = options.delayMs ?? 2000;
    this.#pauseMs = this.#delayMs;
  }

  add(span: EndedSpan): void {
    if (this.#isClosed) return;
    this.#queue.push(span);
    this.#trim();
    if (this.#queue.length >= mostPerBatch && !this.#isAway) this.#send();
    else this.#sendLater();
  }

  /** Sends what waits, for `patienceMs` at most; the rest is dropped. */
  async close(patienceMs: number): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const over = performance.now() + patienceMs;
    while (this.#queue.length > 0 && performance.now() < over && !this.#isAway) {
      this.#send();
      let timer: NodeJS.Timeout | undefined;
      const patience = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, over - performance.now());
      });
      await Promise.race([this.#sending, patience]);
      clearTimeout(timer);
    }
    if (this.#queue.length > 0) this.#options.onOutcome('dropped', this.#queue.length);
    this.#queue = [];
  }

  #trim(): void {
    const surplus = this.#queue.length - mostWaiting;
    if (surplus <= 0) return;
    this.#queue.splice(0, surplus);
    this.#options.onOutcome('dropped', surplus);
  }

  #sendLater(): void {
    if (this.#timer !== undefined || this.#sending !== undefined || this.#isClosed) return;
    this.#timer = setTimeout(() => this.#send(), this.#pauseMs).unref();
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending ??= this.#sendBatch().finally(() => {
      this.#sending = undefined;
      if (this.#queue.length > 0) this.#sendLater();
    });
  }

  async #sendBatch(): Promise<void> {
    const { resource, onOutcome, log } = this.#options;
    const batch = this.#queue.splice(0, mostPerBatch);
    if (batch.length === 0) return;
    try {
      const status = await this.#post(encodeSpans(batch, resource));
      if (status < 300) {
        if (this.#isAway) log.info({ collector: this.#url.origin }, 'the trace collector answers again');
        this.#isAway = false;
        this.#pauseMs = this.#delayMs;
        onOutcome('sent', batch.length);
        return;
      }
      if (!passing.has(status)) {
        log.warn({ collector: this.#url.origin }, `the trace collector refuses spans with status ${status}`);
        onOutcome('dropped', batch.length);
        return;
      }
      throw new Error(`status ${status}`);
    } catch (error) {
      // Told once until it answers again.
      if (!this.#isAway)
        log.warn({ collector: this.#url.origin }, `sending spans failed, trying on: ${messageOf(error)}`);
      this.#isAway = true;
      this.#pauseMs = Math.min(this.#pauseMs * 2, longestPauseMs);
      this.#queue.unshift(...batch);
      this.#trim();
    }
  }

  async #post(body: string): Promise<number> {
    const secure = this.#url.protocol === 'https:';
    const { request } = (secure ? await import('node:https') : await import('node:http')) as {
      request: SendRequest;
    };
    return new Promise((resolve, reject) => {
      const sent = request(
        this.#url,
        {
          method: 'POST',
          timeout: requestTimeoutMs,
          headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        },
        (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? 0));
          response.on('error', reject);
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${requestTimeoutMs} ms`)));
      sent.on('error', reject);
      sent.end(body);
    });
  }
}
