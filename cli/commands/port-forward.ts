import { createServer, type Server, type Socket } from 'node:net';
import { openChannels } from '../channel-socket.ts';
import { type CommandBody, CommandError, UsageError } from '../command.ts';
import type { Connection } from '../connection.ts';
import { findContainer, findPod } from '../containers.ts';
import type { Output } from '../output.ts';

interface Pair {
  /** 0: the kernel chooses. */
  readonly local: number;
  readonly remote: number;
}

/** `8080:80`, `80`, `:80`. */
function parsePair(text: string): Pair {
  const match = /^(?:(\d*):)?(\d+)$/.exec(text);
  const remote = Number(match?.[2]);
  const local = match?.[1] === undefined ? remote : Number(match[1]);
  if (match === null || remote < 1 || remote > 65535 || local > 65535)
    throw new UsageError(`${JSON.stringify(text)} is not [LOCAL:]PORT`, 'For instance 8080:80.');
  return { local, remote };
}

export const command: CommandBody = {
  description: [
    "Listens on ports of this machine and passes each connection on to a port in a pod, on the pod's own loopback: also to servers that listen there only, and without a published port. Until it is ended.",
    'A connection ends in both directions at once: the protocol knows no half-close.',
  ],
  arguments: [
    { name: 'POD', required: true, help: 'a pod, or a container of it', complete: 'container' },
    { name: '[LOCAL:]PORT', required: true, repeatable: true, help: 'with :PORT a free one is chosen' },
  ],
  flags: [
    { long: 'listen', kind: 'string', valueName: 'ADDRESS', help: 'where to listen', default: '127.0.0.1' },
  ],
  examples: [{ text: 'port 8080 here, port 80 there', command: 'berth port-forward web 8080:80' }],
  async run({ args, flags, output, signal, connect }) {
    const [given, ...ports] = args;
    const pairs = ports.map(parsePair);
    const connection = await connect();
    const podId = await findContainer(connection, given!, { signal }).then(
      ({ pod_sandbox_id }) => pod_sandbox_id,
      async () => (await findPod(connection, given!, { signal })).id,
    );
    const address = flags.string('listen')!;
    const sockets = new Set<Socket>();
    const servers: Server[] = [];
    try {
      for (const pair of pairs) {
        const server = await listen(address, pair, (socket) => {
          sockets.add(socket);
          socket.once('close', () => sockets.delete(socket));
          forward(connection, podId, pair.remote, socket, output, signal);
        });
        servers.push(server);
        const bound = server.address();
        const port = typeof bound === 'object' ? bound?.port : pair.local;
        output.line(`forwarding ${address}:${port} -> ${pair.remote}`);
      }
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    } finally {
      for (const server of servers) server.close();
      for (const socket of sockets) socket.destroy();
    }
    return 0;
  },
};

function listen(address: string, { local }: Pair, onSocket: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ pauseOnConnect: true }, onSocket);
    server.once('error', (error) =>
      reject(
        new CommandError(`listening on ${address} port ${local}: ${error.message}`, {
          hint: 'Choose another one: LOCAL:PORT, or :PORT for any that is free.',
        }),
      ),
    );
    server.listen(local, address, () => resolve(server));
  });
}

/** One connection, to its end. What goes wrong is told, and the others go on. */
async function forward(
  connection: Connection,
  podId: string,
  port: number,
  socket: Socket,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  socket.on('error', () => socket.destroy());
  try {
    const { url } = await connection.call('PortForward', { pod_sandbox_id: podId, port: [port] }, { signal });
    // Each channel begins with the port's number, two bytes that are not for the application.
    const seen = new Set<number>();
    const channels = await openChannels(url, 'v4.channel.k8s.io', {
      onData(number, payload) {
        const data = seen.has(number) ? payload : payload.subarray(2);
        seen.add(number);
        if (data.length === 0) return;
        if (number === 1) output.note(`berth: port ${port}: ${data.toString()}`);
        else if (!socket.write(data)) {
          channels.hold(true);
          socket.once('drain', () => channels.hold(false));
        }
      },
      onClose: () => socket.end(),
    });
    socket.on('data', (chunk: Buffer) => {
      if (channels.send(0, chunk)) return;
      socket.pause();
      channels.drained().then(() => socket.resume());
    });
    socket.once('close', () => channels.close());
    socket.resume();
  } catch (error) {
    output.note(`berth: port ${port}: ${error instanceof Error ? error.message : String(error)}`);
    socket.destroy();
  }
}
