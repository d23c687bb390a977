/**
 * A server for `calls.ts`: that of `cri/` of a checkout, or Node's HTTP/2 with nothing around it, which is what the former
 * could cost at best. Says so when it listens.
 *
 *   node conformance/bench/answering.ts FOLDER|node:http2 SOCKET
 */
import { createServer } from 'node:http2';
import { join } from 'node:path';
import { encode } from '#proto/codec.ts';
import { ImageService, RuntimeService } from '#proto/generated/cri.ts';

/** What is used of a checkout, whichever it is. */
interface ServerModule {
  readonly CriServer: new (
    options: object,
  ) => { readonly readiness: { open(): void }; listen(socket: object): Promise<void> };
}
interface MetricsModule {
  readonly Metrics: new () => { work(name: string, label: string, subject: string): unknown };
}

const [source, socket] = process.argv.slice(2) as [string, string];
const version = { runtime_name: 'berth', runtime_api_version: 'v1' };
/** About as large as that of a pod of ten containers. */
const podStatus = encode('PodSandboxStatusResponse', { info: { info: 'x'.repeat(2000) } });

if (source === 'node:http2') answerBare();
else await answerByServer();
console.log('listening');

function answerBare(): void {
  const framed = (body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(body.length, 1);
    return Buffer.concat([head, body]);
  };
  const replies = {
    Version: framed(encode('VersionResponse', version)),
    PodSandboxStatus: framed(podStatus),
  };
  const server = createServer();
  server.on('stream', (stream, headers) => {
    const name = String(headers[':path']).split('/').at(-1) as keyof typeof replies;
    stream.on('data', () => {});
    stream.on('end', () => {
      stream.respond({ 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(replies[name]);
    });
  });
  server.listen(socket);
}

async function answerByServer(): Promise<void> {
  const { CriServer } = (await import(join(source, 'cri/server.ts'))) as ServerModule;
  const { Metrics } = (await import(join(source, 'base/metrics.ts'))) as MetricsModule;
  const names = [RuntimeService, ImageService].flatMap((service) => Object.keys(service));
  const handlers = {
    ...Object.fromEntries(names.map((name) => [name, () => ({})])),
    Version: () => version,
    PodSandboxStatus: () => podStatus,
  };
  const silent = { isLevelEnabled: () => false };
  const server = new CriServer({
    handlers,
    log: silent,
    metrics: new Metrics().work('berth_rpc', 'rpc', 'calls'),
  });
  server.readiness.open();
  await server.listen({ path: socket, mode: 0o600, group: 0 });
}
