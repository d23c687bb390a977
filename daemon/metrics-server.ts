/** /metrics and /healthz over HTTP, for Prometheus and for whoever watches the daemon. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Metrics } from '#base/metrics.ts';

export interface MetricsServerOptions {
  /** HOST:PORT; an IPv6 address stands in brackets. */
  readonly address: string;
  readonly metrics: Metrics;
  /** Whether the daemon serves all calls; decides /healthz. */
  readonly isReady: () => boolean;
}

export interface MetricsServer {
  /** Where it listens, such as `127.0.0.1:9095`. */
  readonly address: string;
  close(): Promise<void>;
}

/** Listens. Throws Unavailable if the address cannot be had. */
export async function serveMetrics(options: MetricsServerOptions): Promise<MetricsServer> {
  const match = /^\[?(.*?)\]?:(\d+)$/.exec(options.address);
  if (!match) throw new RuntimeError('InvalidArgument', `serve metrics: ${options.address} is not HOST:PORT`);
  const server = createServer({ keepAliveTimeout: 30_000, requestTimeout: 10_000 }, (request, response) => {
    answer(request.method ?? '', request.url ?? '', options).then(
      ({ code, type, text }) => response.writeHead(code, { 'content-type': type }).end(text),
      (error) => response.writeHead(500, { 'content-type': 'text/plain' }).end(`${messageOf(error)}\n`),
    );
  });
  await listen(server, match[1]!, Number(match[2]), options.address);
  // It must not hold a daemon up that has nothing else to do.
  server.unref();
  const bound = server.address() as AddressInfo;
  return {
    address: bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number, shown: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new RuntimeError(
          'Unavailable',
          `serve metrics on ${shown}: ${messageOf(error)}; set metrics.address`,
          {
            cause: error,
          },
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
}

async function answer(
  method: string,
  url: string,
  { metrics, isReady }: MetricsServerOptions,
): Promise<{ code: number; type: string; text: string }> {
  const plain = 'text/plain; charset=utf-8';
  if (method !== 'GET' && method !== 'HEAD') return { code: 405, type: plain, text: 'only GET\n' };
  const [path] = url.split('?');
  if (path === '/metrics') return { code: 200, type: metrics.contentType, text: await metrics.render() };
  if (path !== '/healthz') return { code: 404, type: plain, text: 'see /metrics and /healthz\n' };
  return isReady()
    ? { code: 200, type: plain, text: 'ok\n' }
    : { code: 503, type: plain, text: 'recovering\n' };
}
