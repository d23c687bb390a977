import type { Duplex } from 'node:stream';
import type { Log } from '#base/log.ts';
import { ForwardSession } from './forward-session.ts';
import type { StreamingLimits } from './limits.ts';
import type { Link } from './link.ts';
import type { PortForwardRequest } from './process.ts';
import { ChannelDecoder, type ChannelEncoding, sendChannelMessages } from './websocket-channels.ts';
import { closeCode, WebSocketConnection } from './websocket-connection.ts';

/** The subprotocols of the old port forwarding over WebSocket; the empty name serves clients that offer none. */
export const webSocketForwardProtocols = {
  '': 'binary',
  'v4.channel.k8s.io': 'binary',
  'v4.base64.channel.k8s.io': 'base64',
} as const satisfies Record<string, ChannelEncoding>;
export type WebSocketForwardProtocol = keyof typeof webSocketForwardProtocols;

export interface WebSocketForwardOptions {
  readonly link: Link;
  readonly request: PortForwardRequest;
  readonly protocol: WebSocketForwardProtocol;
  readonly dial: (port: number, signal: AbortSignal) => Promise<Duplex>;
  readonly limits: StreamingLimits;
  readonly log: Log;
  readonly onClosed: () => void;
}

/**
 * Serves the old port forwarding over WebSocket: one connection to each requested port, channel 2i for the data of the
 * i-th and 2i + 1 for its errors. The protocol has no half-close; the connection ends when the last application has.
 */
export function serveWebSocketForward(options: WebSocketForwardOptions): void {
  const { link, request, protocol, dial, limits, log } = options;
  const encoding = webSocketForwardProtocols[protocol];
  const sessions: ForwardSession[] = [];
  let open = request.ports.length;
  const decoder = new ChannelDecoder(encoding, false, (event) => {
    if (event.type === 'data' && event.channel % 2 === 0) sessions[event.channel / 2]?.data(event.chunk);
  });
  const connection = new WebSocketConnection({
    link,
    limits,
    onMessage: (piece) => decoder.push(piece),
    onDrain: () => {
      for (const session of sessions) session.drained();
    },
    onClosed: () => {
      for (const session of sessions) session.reset();
      options.onClosed();
    },
  });
  const send = (channel: number, payload: Buffer): boolean =>
    sendChannelMessages(connection.write, encoding, channel, payload);

  request.ports.forEach((port, index) => {
    const session: ForwardSession = new ForwardSession({
      port,
      sandboxId: request.sandboxId,
      limits,
      log,
      dial: (signal) => dial(port, signal),
      transport: {
        send: (chunk) => send(2 * index, chunk),
        holdInput: (held) => {
          if (held) connection.hold(index);
          else connection.release(index);
        },
        end: () => session.fin(),
        fail: (message) => send(2 * index + 1, Buffer.from(message)),
        done: () => {
          connection.release(index);
          open--;
          if (open === 0) connection.finish(closeCode.normal);
        },
      },
    });
    sessions.push(session);
  });

  connection.open();
  request.ports.forEach((port, index) => {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(port);
    send(2 * index, bytes);
    send(2 * index + 1, bytes);
  });
  for (const session of sessions) session.begin();
}
