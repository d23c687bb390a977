import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** The decision over an upgrade request. Pure: the server writes what it says. */
export type UpgradeDecision<Spdy extends string, WebSocket extends string> =
  | { readonly kind: 'spdy'; readonly protocol: Spdy; readonly response: string }
  | { readonly kind: 'websocket'; readonly protocol: WebSocket; readonly response: string }
  | { readonly kind: 'refused'; readonly response: string };

export interface UpgradeOffer<Spdy extends string, WebSocket extends string> {
  readonly spdy: readonly Spdy[];
  /** May contain the empty name, for clients that offer no subprotocol. */
  readonly webSocket: readonly WebSocket[];
}

type RequestHead = Pick<IncomingMessage, 'method' | 'headers'>;

const webSocketGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const crlf = '\r\n';

const reasons = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  426: 'Upgrade Required',
} as const;
export type RefusalStatus = keyof typeof reasons;

/** A whole plain-text response that also closes the connection. */
export function refusal(status: RefusalStatus, text: string, headers: readonly string[] = []): string {
  const body = `${text}\n`;
  return [
    `HTTP/1.1 ${status} ${reasons[status]}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...headers,
    '',
    body,
  ].join(crlf);
}

/**
 * Chooses between SPDY and WebSocket by the Upgrade header and then the first protocol of the client's list that the
 * server speaks (RFC 6455, section 4.2, for WebSocket).
 */
export function decideUpgrade<Spdy extends string, WebSocket extends string>(
  request: RequestHead,
  offer: UpgradeOffer<Spdy, WebSocket>,
): UpgradeDecision<Spdy, WebSocket> {
  const upgrade = request.headers.upgrade?.toLowerCase() ?? '';
  const connection = request.headers.connection?.toLowerCase() ?? '';
  if (connection.includes('upgrade')) {
    if (upgrade.includes('websocket')) return decideWebSocket(request, offer.webSocket);
    if (upgrade.includes('spdy/3.1')) return decideSpdy(request, offer.spdy);
  }
  return refused(400, 'unable to upgrade: the request must ask for SPDY/3.1 or websocket');
}

function refused(
  status: RefusalStatus,
  text: string,
  headers: readonly string[] = [],
): { kind: 'refused'; response: string } {
  return { kind: 'refused', response: refusal(status, text, headers) };
}

function listOf(header: string | string[] | undefined): string[] {
  // Node joins repeated headers with commas.
  return [header ?? []]
    .flat()
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '');
}

function firstKnown<Name extends string>(
  offered: readonly string[],
  known: readonly Name[],
): Name | undefined {
  for (const name of offered) {
    const match = known.find((candidate) => candidate === name);
    if (match !== undefined) return match;
  }
  return undefined;
}

function decideSpdy<Spdy extends string>(
  request: RequestHead,
  known: readonly Spdy[],
): UpgradeDecision<Spdy, never> {
  const offered = listOf(request.headers['x-stream-protocol-version']);
  if (offered.length === 0) return refused(400, 'unable to upgrade: no X-Stream-Protocol-Version header');
  const protocol = firstKnown(offered, known);
  if (protocol === undefined) {
    return refused(
      403,
      `unable to upgrade: none of the stream protocols is known: ${offered.join(', ')}`,
      known.map((name) => `X-Accepted-Stream-Protocol-Versions: ${name}`),
    );
  }
  const lines = ['Connection: Upgrade', 'Upgrade: SPDY/3.1', `X-Stream-Protocol-Version: ${protocol}`];
  return { kind: 'spdy', protocol, response: switching(lines) };
}

function decideWebSocket<WebSocket extends string>(
  request: RequestHead,
  known: readonly WebSocket[],
): UpgradeDecision<never, WebSocket> {
  const { headers, method } = request;
  if (method !== 'GET') return refused(405, 'a WebSocket upgrade must be a GET request', ['Allow: GET']);
  if (headers['sec-websocket-version'] !== '13') {
    return refused(426, 'unsupported WebSocket version', ['Sec-WebSocket-Version: 13']);
  }
  const key = headers['sec-websocket-key'] ?? '';
  if (!/^[A-Za-z0-9+/]{22}==$/.test(key)) return refused(400, 'bad Sec-WebSocket-Key');
  const offered = listOf(headers['sec-websocket-protocol']);
  const protocol = firstKnown(offered.length === 0 ? [''] : offered, known);
  if (protocol === undefined) {
    return refused(
      403,
      `none of the WebSocket subprotocols is known: ${offered.join(', ') || 'none offered'}`,
    );
  }
  const accept = createHash('sha1')
    .update(key + webSocketGuid)
    .digest('base64');
  const lines = ['Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Accept: ${accept}`];
  if (protocol !== '') lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
  return { kind: 'websocket', protocol, response: switching(lines) };
}

function switching(lines: readonly string[]): string {
  return ['HTTP/1.1 101 Switching Protocols', ...lines, '', ''].join(crlf);
}
