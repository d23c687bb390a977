import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What an HTTP upgrade was answered with. */
export interface UpgradeAnswer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

/** Sends an upgrade request and reads the answer's head; the socket then carries the new protocol. */
export async function upgrade(
  url: string,
  method: string,
  headers: readonly string[],
): Promise<{ socket: Socket; answer: UpgradeAnswer; rest: Buffer }> {
  const { hostname, port, pathname, search } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => {
    // Tests look at what was received; a cut connection is often what they ask for.
  });
  await once(socket, 'connect');
  socket.write([`${method} ${pathname}${search} HTTP/1.1`, 'Host: test', ...headers, '', ''].join('\r\n'));
  let received: Buffer = Buffer.alloc(0);
  while (!received.includes('\r\n\r\n')) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    received = Buffer.concat([received, chunk]);
  }
  const end = received.indexOf('\r\n\r\n') + 4;
  socket.pause();
  const head = received.toString('latin1', 0, end);
  const status = Number(head.split(' ')[1]);
  const rest = received.subarray(end);
  return { socket, rest, answer: { status, headers: head, body: status === 101 ? '' : rest.toString() } };
}
