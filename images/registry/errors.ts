/**
 * What can go wrong between us and a registry host, so that the client can decide: try again, try the next host, give up.
 * Only the client sees these; its callers get a RuntimeError of kind Unknown, whose text the kubelet shows.
 */
import { RuntimeError } from '#base/errors.ts';

export type FailureType =
  /** No connection, or no answer to it. */
  | 'unreachable'
  /** The connection broke or the body ended early. */
  | 'broken'
  /** Too few bytes for too long. */
  | 'stalled'
  /** An HTTP status that is no success. */
  | 'status'
  /** What came is not what was promised: digest, size, form. */
  | 'mismatch';

export class RegistryFailure extends Error {
  readonly type: FailureType;
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  readonly retryAfterMs: number | undefined;

  constructor(
    type: FailureType,
    message: string,
    options: { status?: number; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RegistryFailure';
    this.type = type;
    this.status = options.status ?? 0;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The same failure in other words; itself if the words are the same. Its cause goes: it would tell the old ones. */
  withMessage(message: string): RegistryFailure {
    if (message === this.message) return this;
    return new RegistryFailure(this.type, message, { status: this.status, retryAfterMs: this.retryAfterMs });
  }

  /** Whether the same request to the same host may do better a moment later. */
  get isTransient(): boolean {
    if (this.type === 'broken') return true;
    return this.type === 'status' && (this.status === 429 || this.status >= 500) && this.status !== 501;
  }

  /** Whether the host is down rather than unwilling. */
  get isUnavailable(): boolean {
    return this.type === 'unreachable' || this.type === 'stalled' || [502, 503, 504].includes(this.status);
  }
}

/** The kubelet knows this prefix and reports the reason RegistryUnavailable (CRI api, pkg/errors). */
export const registryUnavailable = 'RegistryUnavailable';

/**
 * The error of a request that no host fulfilled: the last host's words, then those of the others. With the prefix
 * RegistryUnavailable when none could be reached at all.
 */
export function noHostLeft(attempted: string, failures: readonly RegistryFailure[]): RuntimeError {
  const last = failures.at(-1);
  const texts = [...new Set(failures.map(({ message }) => message))];
  const lastText = last?.message ?? 'no host is configured that may serve this';
  const others = texts.filter((text) => text !== lastText);
  const before = others.length > 0 ? ` (earlier: ${others.join('; ')})` : '';
  const isDown = failures.length > 0 && failures.every(({ isUnavailable }) => isUnavailable);
  const prefix = isDown ? `${registryUnavailable}: ` : '';
  return new RuntimeError('Unknown', `${prefix}${attempted}: ${lastText}${before}`, { cause: last });
}

const statusWords: Readonly<Record<number, string>> = {
  401: 'authorization failed: check the image pull secret',
  403: 'access denied: check the image pull secret and its rights',
  404: 'not found',
  429: 'too many requests',
};

/** The words for a refused request: the registry's own, which are JSON if it follows the distribution-spec, and ours for the status. */
export function describeStatus(status: number, body: string): string {
  let said = '';
  try {
    const errors = (JSON.parse(body) as { errors?: { code?: string; message?: string }[] }).errors ?? [];
    said = errors.map(({ code, message }) => [code, message].filter(Boolean).join(': ')).join('; ');
  } catch {
    // Not JSON: the status has to speak for itself.
  }
  const words = statusWords[status] ?? (status >= 500 ? 'the registry failed' : 'unexpected answer');
  return `${words} (HTTP ${status}${said === '' ? '' : `, ${said.slice(0, 300)}`})`;
}

/** Milliseconds that a Retry-After header asks for (RFC 9110, 10.2.3); undefined if it says nothing usable. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
