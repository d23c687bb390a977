import { CommandSession, type CommandSessionOptions, type OutputName } from './command-session.ts';
import { type CommandOutcome, encodeStatus } from './command-status.ts';
import type { Link } from './link.ts';
import { ResizeDecoder } from './terminal-size.ts';
import {
  ChannelDecoder,
  type ChannelEncoding,
  type ChannelEvent,
  sendChannelMessages,
} from './websocket-channels.ts';
import { closeCode, WebSocketConnection } from './websocket-connection.ts';

interface CommandProtocol {
  readonly encoding: ChannelEncoding;
  readonly statusFormat: 'json' | 'text';
  readonly halfClose: boolean;
}

/** The subprotocols of exec and attach; the empty name serves clients that offer none. */
export const webSocketCommandProtocols = {
  '': { encoding: 'binary', statusFormat: 'text', halfClose: false },
  'channel.k8s.io': { encoding: 'binary', statusFormat: 'text', halfClose: false },
  'base64.channel.k8s.io': { encoding: 'base64', statusFormat: 'text', halfClose: false },
  'v4.channel.k8s.io': { encoding: 'binary', statusFormat: 'json', halfClose: false },
  'v4.base64.channel.k8s.io': { encoding: 'base64', statusFormat: 'json', halfClose: false },
  'v5.channel.k8s.io': { encoding: 'binary', statusFormat: 'json', halfClose: true },
} as const satisfies Record<string, CommandProtocol>;
export type WebSocketCommandProtocol = keyof typeof webSocketCommandProtocols;

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;

export interface WebSocketCommandOptions extends Omit<CommandSessionOptions, 'transport'> {
  readonly link: Link;
  readonly protocol: WebSocketCommandProtocol;
  readonly onClosed: () => void;
}

/** Serves one exec or attach session over WebSocket until its connection has closed. */
export function serveWebSocketCommand(options: WebSocketCommandOptions): void {
  const { link, limits, streams } = options;
  const { encoding, statusFormat, halfClose }: CommandProtocol = webSocketCommandProtocols[options.protocol];
  if (options.kind === 'attach') link.outputLimitBytes = limits.attach.bufferBytes;
  const resize = new ResizeDecoder();
  const decoder = new ChannelDecoder(encoding, halfClose, (event) => handle(event));

  const connection = new WebSocketConnection({
    link,
    limits,
    onMessage: (piece) => decoder.push(piece),
    onDrain: () => session.drained(),
    onClosed: (cause) => {
      session.closed(cause).then(options.onClosed);
    },
  });
  const send = (to: number, payload: Buffer): boolean =>
    sendChannelMessages(connection.write, encoding, to, payload);
  const session = new CommandSession({
    ...options,
    transport: {
      sendOutput: (name: OutputName, chunk) => send(channel[name], chunk),
      holdInput: (held) => {
        if (held) connection.hold(session);
        else connection.release(session);
      },
      finish: (outcome: CommandOutcome) => {
        const status = encodeStatus(outcome, statusFormat);
        if (status.length > 0) send(channel.error, status);
        connection.finish(closeCode.normal);
      },
      destroy: (cause) => connection.destroy(cause),
    },
  });

  function handle(event: ChannelEvent): void {
    if (event.type === 'half-close') {
      if (event.channel === channel.stdin) session.stdinEnd();
    } else if (event.type === 'data') {
      if (event.channel === channel.stdin) session.stdin(event.chunk);
      else if (event.channel === channel.resize && streams.tty) {
        const size = resize.push(event.chunk).at(-1);
        if (size !== undefined) session.resize(size);
      }
    }
  }

  connection.open();
  // An empty message tells the client that the server is ready, on the first channel it may read.
  const readiness = streams.stdout ? channel.stdout : streams.stderr ? channel.stderr : channel.error;
  send(readiness, Buffer.alloc(0));
  session.begin();
}
