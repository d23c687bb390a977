import { randomBytes } from 'node:crypto';
import { RuntimeError } from '#base/errors.ts';

/** 128 bits: nobody who may try for a minute, at whatever rate, finds one of a thousand. */
const tokenBytes = 16;

interface Pending<Request> {
  readonly request: Request;
  readonly expiresAtMs: number;
}

export interface TokenStoreOptions {
  /** Life of a token. Default 60 s. */
  readonly lifeMs?: number;
  /** Tokens that may wait at one time. Default 1,000. */
  readonly maxPending?: number;
  /** A monotonic clock in milliseconds. Default `performance.now`. */
  readonly nowMs?: () => number;
}

/**
 * Requests accepted over gRPC that wait for their HTTP connection, each under a token of 22 base64url characters that
 * works once. Expired ones go when the next one comes: all live equally long, so the oldest stand first and no timer is
 * needed.
 */
export class TokenStore<Request> {
  readonly #pending = new Map<string, Pending<Request>>();
  readonly #lifeMs: number;
  readonly #maxPending: number;
  readonly #nowMs: () => number;

  constructor(options: TokenStoreOptions = {}) {
    this.#lifeMs = options.lifeMs ?? 60_000;
    this.#maxPending = options.maxPending ?? 1000;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** Keeps `request` and returns its token. Throws ResourceExhausted while too many tokens wait. */
  add(request: Request): string {
    this.#dropExpired();
    if (this.#pending.size >= this.#maxPending) {
      throw new RuntimeError(
        'ResourceExhausted',
        `issue a streaming token: ${this.#pending.size} requests wait for their connection, retry in a minute`,
      );
    }
    for (;;) {
      const token = randomBytes(tokenBytes).toString('base64url');
      if (this.#pending.has(token)) continue;
      this.#pending.set(token, { request, expiresAtMs: this.#nowMs() + this.#lifeMs });
      return token;
    }
  }

  /** The request under `token`, which `accept` must want, and uses the token up; undefined for any other token. */
  take<Wanted extends Request>(
    token: string,
    accept: (request: Request) => request is Wanted,
  ): Wanted | undefined {
    this.#dropExpired();
    const request = this.#pending.get(token)?.request;
    if (request === undefined || !accept(request)) return undefined;
    this.#pending.delete(token);
    return request;
  }

  #dropExpired(): void {
    const nowMs = this.#nowMs();
    for (const [token, { expiresAtMs }] of this.#pending) {
      if (expiresAtMs > nowMs) return;
      this.#pending.delete(token);
    }
  }
}
