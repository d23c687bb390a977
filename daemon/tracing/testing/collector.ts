/** A small collector: takes OTLP over HTTP in JSON and keeps the spans, or refuses them as told. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

interface OtlpAttribute {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly intValue?: string;
    readonly doubleValue?: number;
  };
}

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly OtlpAttribute[];
  readonly status?: { readonly code: number; readonly message: string };
}

interface OtlpBody {
  resourceSpans: {
    resource: { attributes: OtlpAttribute[] };
    scopeSpans: { scope: { name: string }; spans: ReceivedSpan[] }[];
  }[];
}

export interface Collector {
  readonly endpoint: string;
  readonly spans: ReceivedSpan[];
  /** Requests so far, refused ones too. */
  readonly requests: { path: string; type: string; count: number }[];
  /** Attributes of the resource, as last told. */
  resource: Readonly<Record<string, string | undefined>>;
  /** What the next requests are answered with. */
  status: number;
  close(): Promise<void>;
}

export async function startCollector(port = 0): Promise<Collector> {
  const collector: { -readonly [K in keyof Collector]: Collector[K] } = {
    endpoint: '',
    spans: [],
    requests: [],
    resource: {},
    status: 200,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as OtlpBody;
      const spans = body.resourceSpans.flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap((scope) => scope.spans),
      );
      collector.requests.push({
        path: request.url ?? '',
        type: request.headers['content-type'] ?? '',
        count: spans.length,
      });
      if (collector.status < 300) {
        collector.spans.push(...spans);
        const { attributes } = body.resourceSpans[0]!.resource;
        collector.resource = Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));
      }
      response.writeHead(collector.status, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  collector.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return collector;
}
