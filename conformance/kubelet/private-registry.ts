/** A door with a lock in front of a registry: Basic authentication, everything else passed through. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PrivateRegistry {
  readonly host: string;
  readonly user: string;
  readonly password: string;
  /** How many requests were turned away for want of the right password. */
  refusals(): number;
  stop(): Promise<void>;
}

/** Serves `target` (`127.0.0.1:PORT`) on a port of its own to those who know user and password. */
export async function lockRegistry(target: string, user: string, password: string): Promise<PrivateRegistry> {
  const [hostname, port] = target.split(':');
  const expected = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  let refusals = 0;
  const server = createServer((incoming, outgoing) => {
    if (incoming.headers.authorization !== expected) {
      refusals++;
      outgoing.writeHead(401, { 'www-authenticate': 'Basic realm="private"' }).end();
      return;
    }
    const { authorization: _, ...headers } = incoming.headers;
    const inner = request(
      { hostname, port, path: incoming.url, method: incoming.method, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    inner.on('error', () => outgoing.writeHead(502).end());
    incoming.pipe(inner);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    user,
    password,
    refusals: () => refusals,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
