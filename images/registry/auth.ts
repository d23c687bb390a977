/**
 * Answers to a registry's 401 (distribution-spec, authentication; the token protocol of the distribution project): a
 * bearer token fetched from the realm it names, or Basic. What was learnt is kept per host for the life of one pull.
 */

import type { Secret } from './credentials.ts';
import { RegistryFailure } from './errors.ts';
import { hostKey, isLoopback, type RegistryHost } from './hosts.ts';
import type { HttpRequest, HttpResponse, Transport } from './transport.ts';

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Parses WWW-Authenticate headers (RFC 9110, 11.6.1); what does not follow the grammar is passed over. */
export function parseChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Record<string, string> }[] = [];
  const token = /\s*,?\s*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/y;
  for (let match = token.exec(header); match; match = token.exec(header)) {
    const [, name, quoted, plain] = match;
    const value = quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1');
    if (value === undefined) challenges.push({ scheme: name!.toLowerCase(), parameters: {} });
    else if (challenges.length > 0) challenges.at(-1)!.parameters[name!.toLowerCase()] = value;
  }
  return challenges;
}

interface Grant {
  readonly header: string;
  readonly expiresAtMs: number;
}

/** What one pull has learnt about authorization, as plain data, so that a process that fetches layers need not ask again. */
export type Grants = Readonly<Record<string, Grant>>;

const defaultLifetimeS = 60;
/** Shorter ones are found in any text. */
const shortestRedacted = 4;
const tokenLimitBytes = 1 << 20;
/** Servers take some kilobytes of headers; tokens with long lists of rights are a few. */
const longestToken = 64 << 10;

export class Authorizer {
  readonly #transport: Transport;
  readonly #repository: string;
  readonly #secretFor: (host: RegistryHost) => Secret | undefined;
  readonly #now: () => number;
  readonly #grants: Map<string, Grant>;
  readonly #scopes: readonly string[] | undefined;
  readonly #asking = new Map<string, Promise<boolean>>();

  constructor(options: {
    transport: Transport;
    repository: string;
    secretFor: (host: RegistryHost) => Secret | undefined;
    /** Milliseconds since the epoch. */
    now: () => number;
    grants: Grants | undefined;
    /** What a token must be good for; pulls from the repository unless given. */
    scopes?: readonly string[];
  }) {
    this.#transport = options.transport;
    this.#repository = options.repository;
    this.#secretFor = options.secretFor;
    this.#now = options.now;
    this.#scopes = options.scopes;
    this.#grants = new Map(Object.entries(options.grants ?? {}));
  }

  /** What was granted until now. Holds tokens: never log it. */
  grants(): Grants {
    return Object.fromEntries(this.#grants);
  }

  /**
   * `text` without what was sent to `host` or what it granted: a registry may say in its refusal what it was asked with, and its
   * words go into logs and events.
   */
  redact(host: RegistryHost, text: string): string {
    const header = this.#grants.get(hostKey(host))?.header;
    const secret = this.#secretFor(host);
    const words = [
      header?.replace(/^\S+ /, ''),
      ...(secret?.type === 'password'
        ? [secret.password, basicHeader(secret.username, secret.password).slice('Basic '.length)]
        : [secret?.token]),
    ];
    let redacted = text;
    for (const word of words)
      if (word !== undefined && word.length >= shortestRedacted) redacted = redacted.replaceAll(word, '***');
    return redacted;
  }

  /** The Authorization header to send to `host`, if one is known. */
  headerFor(host: RegistryHost): string | undefined {
    const grant = this.#grants.get(hostKey(host));
    if (grant && grant.expiresAtMs > this.#now()) return grant.header;
    const secret = this.#secretFor(host);
    return secret?.type === 'bearer' ? `Bearer ${secret.token}` : undefined;
  }

  /**
   * Learns from a 401 whose request carried `sent`. Whether it is worth asking again. Concurrent requests for the same host
   * share one answer. Throws RegistryFailure when the realm refuses or cannot be reached.
   */
  async answer(
    host: RegistryHost,
    header: string,
    sent: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const current = this.#grants.get(hostKey(host));
    // Another request has renewed it in the meantime.
    if (current && current.header !== sent && current.expiresAtMs > this.#now()) return true;
    const asking = this.#asking.get(hostKey(host));
    if (asking) return asking;
    this.#grants.delete(hostKey(host));
    const answer = this.#answerOnce(host, header, sent, signal).finally(() =>
      this.#asking.delete(hostKey(host)),
    );
    this.#asking.set(hostKey(host), answer);
    return answer;
  }

  async #answerOnce(
    host: RegistryHost,
    header: string,
    sent: string | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const challenges = parseChallenges(header);
    const secret = this.#secretFor(host);
    const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm);
    if (bearer && secret?.type !== 'bearer') {
      const grant = await this.#fetchToken(host, bearer.parameters, secret, signal);
      this.#grants.set(hostKey(host), grant);
      return true;
    }
    if (challenges.some(({ scheme }) => scheme === 'basic') && secret?.type === 'password') {
      const basic = basicHeader(secret.username, secret.password);
      if (sent === basic) return false;
      this.#grants.set(hostKey(host), { header: basic, expiresAtMs: Infinity });
      return true;
    }
    return false;
  }

  async #fetchToken(
    host: RegistryHost,
    parameters: Readonly<Record<string, string>>,
    secret: Exclude<Secret, { type: 'bearer' }> | undefined,
    signal: AbortSignal,
  ): Promise<Grant> {
    const stated = parameters.realm!;
    const realm = URL.canParse(stated) ? new URL(stated) : undefined;
    if (!realm || !/^https?:$/.test(realm.protocol))
      throw new RegistryFailure(
        'mismatch',
        `${host.name}: names ${JSON.stringify(stated.slice(0, 200))} as its token server`,
      );
    const isPlain = realm.protocol === 'http:' && !isLoopback(realm.host);
    if (secret && isPlain && realm.origin !== host.origin)
      throw new RegistryFailure(
        'mismatch',
        `${host.name}: refusing to send credentials to ${realm.origin} without TLS`,
      );
    const scopes = new Set((parameters.scope ?? '').split(' ').filter((scope) => scope !== ''));
    for (const scope of this.#scopes ?? [`repository:${host.repository ?? this.#repository}:pull`])
      scopes.add(scope);
    const question = new URLSearchParams();
    if (parameters.service) question.set('service', parameters.service);
    const endpoint = realm.origin === host.origin ? host : undefined;
    const ask = (request: HttpRequest) => this.#transport.request(request, endpoint, signal);
    let response: HttpResponse | undefined;
    if (secret) {
      response = await ask(postForm(realm, question, scopes, secret));
      // Not every token server knows the POST form; the GET form carries a password only.
      if ([400, 401, 404, 405].includes(response.status) && secret.type === 'password') {
        response.discard();
        response = undefined;
      }
    }
    if (!response) {
      const url = new URL(realm);
      for (const [name, value] of question) url.searchParams.set(name, value);
      for (const scope of scopes) url.searchParams.append('scope', scope);
      const headers =
        secret?.type === 'password' ? { Authorization: basicHeader(secret.username, secret.password) } : {};
      if (secret?.type === 'password') url.searchParams.set('account', secret.username);
      response = await ask({ method: 'GET', url: url.href, headers });
    }
    return this.#readToken(response, realm.host);
  }

  async #readToken(response: HttpResponse, realmHost: string): Promise<Grant> {
    const body = (await response.text(tokenLimitBytes)).toString('utf8');
    if (response.status !== 200) {
      const words =
        response.status === 401 ? 'authorization failed: check the image pull secret' : 'no token was given';
      throw new RegistryFailure('status', `${realmHost}: ${words} (HTTP ${response.status})`, {
        status: response.status,
      });
    }
    let reply: { token?: unknown; access_token?: unknown; expires_in?: unknown; issued_at?: unknown };
    try {
      reply = Object(JSON.parse(body)) as typeof reply;
    } catch {
      throw new RegistryFailure('mismatch', `${realmHost}: its token is not JSON`);
    }
    const token = [reply.token, reply.access_token].find(isUsableToken);
    if (token === undefined)
      throw new RegistryFailure('mismatch', `${realmHost}: its answer holds no usable token`);
    const lifetimeS =
      typeof reply.expires_in === 'number' && reply.expires_in > 0 ? reply.expires_in : defaultLifetimeS;
    const issued = typeof reply.issued_at === 'string' ? Date.parse(reply.issued_at) : Number.NaN;
    // A token server whose clock is ahead must not make a token look longer-lived than it is.
    const startMs = Number.isNaN(issued) ? this.#now() : Math.min(issued, this.#now());
    // Clocks that differ by more than the token's life would make every token stale at once: then ours counts.
    const expiresAtMs = startMs + lifetimeS * 900;
    return {
      header: `Bearer ${token}`,
      expiresAtMs: expiresAtMs > this.#now() ? expiresAtMs : this.#now() + lifetimeS * 900,
    };
  }
}

/** Whether a header can carry it (RFC 6750, b64token, and what else some servers use), and a registry would take it. */
function isUsableToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x20-\x7e]+$/.test(value) && value.length <= longestToken;
}

function basicHeader(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
}

function postForm(
  realm: URL,
  question: URLSearchParams,
  scopes: ReadonlySet<string>,
  secret: Exclude<Secret, { type: 'bearer' }>,
): HttpRequest {
  const form = new URLSearchParams(question);
  form.set('client_id', 'berth');
  form.set('access_type', 'offline');
  if (scopes.size > 0) form.set('scope', [...scopes].join(' '));
  if (secret.type === 'password') {
    form.set('grant_type', 'password');
    form.set('username', secret.username);
    form.set('password', secret.password);
  } else {
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', secret.token);
  }
  return {
    method: 'POST',
    url: realm.href,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
  };
}
