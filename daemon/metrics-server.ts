/** /metrics, /healthz and the status page over HTTP, for Prometheus and for whoever watches the daemon. Nothing can be changed here. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Metrics } from '#base/metrics.ts';
import type { NodeInsight } from './insight.ts';
import type { SlowSpans } from './slow-spans.ts';
import { isOwnHost } from './status-page/asked-host.ts';
import { statusPage } from './status-page/serve.ts';

export interface MetricsServerOptions {
  /** HOST:PORT; an IPv6 address stands in brackets. */
  readonly address: string;
  readonly metrics: Metrics;
  /** What the status page shows; whether it is ready decides /healthz. */
  readonly insight: NodeInsight;
  readonly slow: SlowSpans;
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
    answer(request, options).then(
      ({ code, type, text, headers }) =>
        response.writeHead(code, { 'content-type': type, ...headers }).end(text),
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

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const plain = 'text/plain; charset=utf-8';

async function answer(
  { method = '', url = '', headers }: IncomingMessage,
  { metrics, insight, slow }: MetricsServerOptions,
): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return { code: 405, type: plain, text: 'only GET\n' };
  const [path = ''] = url.split('?');
  if (path === '/metrics') return { code: 200, type: metrics.contentType, text: await metrics.render() };
  if (path === '/healthz')
    return insight.isReady()
      ? { code: 200, type: plain, text: 'ok\n' }
      : { code: 503, type: plain, text: 'recovering\n' };
  // Not /metrics: Prometheus may know the node by any name.
  if (['/', '/status', '/status.json'].includes(path) && !isOwnHost(headers.host))
    return { code: 403, type: plain, text: 'ask for this page by the address or the name of the node\n' };
  const page = await statusPage(path, insight, slow);
  if (page) return { code: 200, ...page };
  return { code: 404, type: plain, text: 'see /status, /metrics and /healthz\n' };
}
