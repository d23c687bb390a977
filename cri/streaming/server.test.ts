import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import pino from 'pino';
import { afterEach, expect, test, vi } from 'vitest';
import { isRuntimeError } from '#base/errors.ts';
import type { ContainerId } from '#runtime/container/config.ts';
import type { SandboxId } from '#runtime/sandbox/config.ts';
import { defaultLimits, type StreamingLimits } from './limits.ts';
import type { ExecRequest, PortForwardRequest, StreamSelection } from './process.ts';
import { StreamingServer, type StreamingServerOptions } from './server.ts';
import { LocalProvider } from './testing/local-provider.ts';
import { headerBlock, SpdyClient, synStream } from './testing/spdy-client.ts';
import { upgrade } from './testing/upgrade.ts';
import { WebSocketClient } from './testing/websocket-client.ts';
import { opcode } from './websocket-frames.ts';

// Hundreds of sessions and megabytes take their time on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const containerId = 'c1' as ContainerId;
const sandboxId = 's1' as SandboxId;
const all: StreamSelection = { stdin: true, stdout: true, stderr: true, tty: false };
const terminal: StreamSelection = { stdin: true, stdout: true, stderr: false, tty: true };
const success = { metadata: {}, status: 'Success' };

const cleanups: (() => Promise<unknown> | unknown)[] = [];

/** What keeps the process alive at this moment, but the runner's own. */
function resources(): string[] {
  return process.getActiveResourcesInfo().filter((name) => /TCP|Timeout|Process|Pipe|TLS/.test(name));
}
let resourcesBefore = resources();

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  // Every test ends with nothing left: no socket, pipe, child or timer.
  await expect.poll(() => resources().length, { timeout: 3000 }).toBeLessThanOrEqual(resourcesBefore.length);
});

async function start(
  limits: Partial<StreamingLimits> = {},
  provider = new LocalProvider(),
  options: Partial<StreamingServerOptions> = {},
): Promise<{ server: StreamingServer; provider: LocalProvider }> {
  resourcesBefore = resources();
  const server = new StreamingServer({ provider, log: pino({ level: 'silent' }), limits, ...options });
  await server.listen();
  cleanups.push(() => server.close());
  return { server, provider };
}

function exec(server: StreamingServer, command: string[], streams: Partial<ExecRequest> = {}): string {
  return server.execUrl({ ...all, ...streams, containerId, command });
}

async function connectSpdy(
  url: string,
  versions = ['v5.channel.k8s.io', 'v4.channel.k8s.io'],
): Promise<SpdyClient> {
  const client = await SpdyClient.connect(url, versions);
  cleanups.push(() => client.socket.destroy());
  return client;
}

async function connectWebSocket(url: string, protocols: string[]): Promise<WebSocketClient> {
  const client = await WebSocketClient.connect(url, protocols);
  cleanups.push(() => client.socket.destroy());
  return client;
}

/** Opens the streams of an exec or attach. */
async function openStreams(client: SpdyClient, selection: StreamSelection = all) {
  const open = (name: string) => client.stream({ streamtype: name });
  const error = await open('error');
  const stdin = selection.stdin ? await open('stdin') : undefined;
  const stdout = selection.stdout ? await open('stdout') : undefined;
  const stderr = selection.stderr ? await open('stderr') : undefined;
  const resize = selection.tty ? await open('resize') : undefined;
  return { error, stdin: stdin!, stdout: stdout!, stderr: stderr!, resize: resize! };
}

async function listenLocally(serve: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return { server, port: (server.address() as AddressInfo).port };
}

function forwardUrl(server: StreamingServer, ports: number[] = []): string {
  return server.portForwardUrl({ sandboxId, ports } satisfies PortForwardRequest);
}

async function openForward(client: SpdyClient, port: number | string, requestid: string) {
  const error = await client.stream({ streamtype: 'error', port: String(port), requestid });
  error.end();
  const data = await client.stream({ streamtype: 'data', port: String(port), requestid });
  return { error, data };
}

// --- HTTP ---

test('a URL is absolute, works once and only for its verb; the query says nothing', async () => {
  const { server } = await start();
  const url = exec(server, ['true']);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/exec\/[A-Za-z0-9_-]{22}$/);
  const status = async (target: string, headers: string[] = ['Connection: Upgrade', 'Upgrade: SPDY/3.1']) => {
    const { socket, answer } = await upgrade(target, 'POST', headers);
    socket.destroy();
    return answer.status;
  };
  expect(await status(url.replace('/exec/', '/attach/'))).toBe(404);
  expect(await status(`${server.baseUrl}/exec/unknown0`)).toBe(404);
  const client = await connectSpdy(`${url}?command=false`);
  const { error } = await openStreams(client);
  expect(JSON.parse(await error.all())).toEqual(success);
  expect(await status(url)).toBe(404);
});

test('an upgrade must name a protocol that the server speaks', async () => {
  const { server } = await start();
  const ask = async (method: string, headers: string[], kind: 'exec' | 'forward' = 'exec') => {
    const url = kind === 'exec' ? exec(server, ['true']) : forwardUrl(server);
    const { socket, answer } = await upgrade(url, method, headers);
    socket.destroy();
    return answer;
  };
  const spdy = ['Connection: Upgrade', 'Upgrade: spdy/3.1'];
  expect((await ask('GET', [])).status).toBe(400);
  expect((await ask('POST', ['Connection: Upgrade', 'Upgrade: h2c'])).status).toBe(400);
  expect((await ask('POST', spdy)).status).toBe(400);
  const unknown = await ask('POST', [...spdy, 'X-Stream-Protocol-Version: v9.channel.k8s.io']);
  expect(unknown.status).toBe(403);
  expect(unknown.headers.match(/X-Accepted-Stream-Protocol-Versions: /g)).toHaveLength(4);
  const list = await ask('GET', [...spdy, 'X-Stream-Protocol-Version: v5.channel.k8s.io, v2.channel.k8s.io']);
  expect(list.status).toBe(101);
  expect(list.headers).toContain('X-Stream-Protocol-Version: v2.channel.k8s.io\r\n');
  const webSocket = ['Connection: keep-alive, Upgrade', 'Upgrade: WebSocket', 'Sec-WebSocket-Version: 13'];
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  expect((await ask('GET', webSocket)).status).toBe(400);
  expect((await ask('POST', [...webSocket, key])).status).toBe(405);
  expect((await ask('GET', [...webSocket, key, 'Sec-WebSocket-Protocol: v6.channel.k8s.io'])).status).toBe(
    403,
  );
  const plain = await ask('GET', [...webSocket, key]);
  expect(plain.status).toBe(101);
  expect(plain.headers).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  expect(plain.headers).not.toContain('Sec-WebSocket-Protocol');
  // The old port forwarding takes its ports from the request.
  expect((await ask('GET', [...webSocket, key], 'forward')).status).toBe(400);
});

test('impossible streams are refused before a URL is made', async () => {
  const { server } = await start();
  const refused = expect.toSatisfy((error) => isRuntimeError(error, 'InvalidArgument'));
  expect(() => exec(server, ['x'], { tty: true })).toThrow(refused);
  expect(() => exec(server, ['x'], { stdin: false, stdout: false, stderr: false })).toThrow(refused);
});

// --- exec and attach over SPDY ---

test('exec: output, standard error and the exit code come back, every stream ends, then the connection', async () => {
  const { server, provider } = await start();
  const client = await connectSpdy(exec(server, ['sh', '-c', 'cat; echo oops >&2; exit 3']));
  const { error, stdin, stdout, stderr } = await openStreams(client);
  stdin.write('hello ');
  stdin.write('world');
  stdin.end();
  expect(await stdout.all()).toBe('hello world');
  expect(await stderr.all()).toBe('oops\n');
  expect(JSON.parse(await error.all())).toEqual({
    metadata: {},
    status: 'Failure',
    message: 'command terminated with non-zero exit code: exit code 3',
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: '3' }] },
  });
  expect(await stdout.ended.promise).toBe('fin');
  await client.closed;
  expect(client.goaway).toBe(true);
  expect(provider.processes[0]!.detachCalls).toBe(1);
});

test('exec: what cannot be started is an internal error', async () => {
  const { server } = await start();
  const client = await connectSpdy(exec(server, ['/no/such/program']));
  const { error } = await openStreams(client);
  expect(JSON.parse(await error.all())).toMatchObject({
    status: 'Failure',
    reason: 'InternalError',
    code: 500,
    message: 'Internal error occurred: start /no/such/program: no such file',
  });
});

test.each(['v3.channel.k8s.io', 'v2.channel.k8s.io'])(
  'exec: %s reports a failure as text and success as nothing',
  async (version) => {
    const { server } = await start();
    const failing = await openStreams(await connectSpdy(exec(server, ['false']), [version]));
    expect(await failing.error.all()).toBe('command terminated with non-zero exit code: exit code 1');
    const working = await openStreams(await connectSpdy(exec(server, ['echo', 'x']), [version]));
    expect(await working.error.all()).toBe('');
    expect(await working.stdout.all()).toBe('x\n');
  },
);

test('exec: version 1 resets the error stream and ends stdin on its side before the process runs', async () => {
  const { server } = await start();
  const client = await connectSpdy(exec(server, ['head', '-c3'], { stderr: false }), ['channel.k8s.io']);
  const { error, stdin, stdout } = await openStreams(client, { ...all, stderr: false });
  expect(await error.ended.promise).toBe('reset');
  expect(await stdin.ended.promise).toBe('fin');
  stdin.write('abcdef');
  expect(await stdout.all()).toBe('abc');
});

test('exec: the process starts only when every stream has come', async () => {
  const { server, provider } = await start({ streamCreationMs: 300 });
  const client = await connectSpdy(exec(server, ['true']));
  await client.stream({ streamtype: 'error' });
  await client.stream({ streamtype: 'stdin' });
  await client.stream({ streamtype: 'stdout' });
  await client.closed;
  expect(client.goaway).toBe(true);
  expect(provider.processes).toHaveLength(0);
});

test('exec: unknown and repeated streams are reset, others that were not asked for stay empty', async () => {
  const { server } = await start();
  const client = await connectSpdy(exec(server, ['cat'], { stderr: false, stdin: false }));
  await client.stream({ streamtype: 'error' });
  await expect(client.stream({ streamtype: 'nonsense' })).rejects.toThrow('reset');
  await expect(client.stream({ streamtype: 'error' })).rejects.toThrow('reset');
  await expect(client.stream({})).rejects.toThrow('reset');
  const stdin = await client.stream({ streamtype: 'stdin' });
  stdin.write('ignored');
  const stdout = await client.stream({ streamtype: 'stdout' });
  expect(await stdout.all()).toBe('');
});

test('exec: sizes reach the process, the latest first, and a terminal does not end with its client half-closing', async () => {
  const { server, provider } = await start();
  const client = await connectSpdy(exec(server, ['cat'], terminal));
  // All in one segment: the sizes are there before the process is.
  const streams = [];
  for (const streamtype of ['error', 'stdin', 'resize'])
    streams.push(await client.startStream({ streamtype }));
  streams[2]!.write('{"Width":80,"Height":24}\n{"Width":100,"Height":30}\n');
  const stdout = await client.stream({ streamtype: 'stdout' });
  await expect.poll(() => provider.processes.length).toBe(1);
  const [process] = provider.processes;
  await expect.poll(() => process!.sizes).toEqual([{ width: 100, height: 30 }]);
  streams[2]!.write('{"Width":1,"Height":2}\n');
  await expect.poll(() => process!.sizes.at(-1)).toEqual({ width: 1, height: 2 });
  streams[2]!.write('garbage}');
  streams[1]!.write('still here');
  streams[1]!.end();
  await expect.poll(() => stdout.text).toBe('still here');
  process!.child.kill('SIGTERM');
  expect(JSON.parse(await streams[0]!.all())).toMatchObject({ reason: 'NonZeroExitCode' });
});

test('exec: a client that leaves takes its process along', async () => {
  const { server, provider } = await start();
  const client = await connectSpdy(exec(server, ['sleep', '1000']));
  await openStreams(client);
  await expect.poll(() => provider.processes.length).toBe(1);
  client.socket.destroy();
  expect(await provider.processes[0]!.detached.promise).toBe('client-left');
  await expect.poll(() => server.openSessions).toBe(0);
});

test('exec: a client that vanishes while its input cannot be taken is noticed', async () => {
  const { server, provider } = await start({ probeMs: 50 });
  const client = await connectSpdy(exec(server, ['sleep', '1000']));
  const { stdin } = await openStreams(client);
  // Until nothing more goes out: the process does not read, so the server does not.
  const block = Buffer.alloc(256 * 1024);
  while (stdin.write(block)) await new Promise(setImmediate);
  await expect.poll(() => client.socket.writableLength, { interval: 100 }).toBeGreaterThan(1024 * 1024);
  client.socket.resetAndDestroy();
  expect(await provider.processes[0]!.detached.promise).toBe('client-left');
});

test('exec: a client that goes away while the process is being started', async () => {
  const { server, provider } = await start();
  const opened = Promise.withResolvers<AbortSignal>();
  const proceed = Promise.withResolvers<void>();
  const realExec = provider.exec.bind(provider);
  provider.exec = async (request, options) => {
    opened.resolve(options.signal);
    await proceed.promise;
    return realExec(request, options);
  };
  const client = await connectSpdy(exec(server, ['sleep', '1000']));
  await openStreams(client);
  const signal = await opened.promise;
  client.socket.destroy();
  await once(signal, 'abort');
  proceed.resolve();
  await expect.poll(() => provider.processes.length).toBe(1);
  expect(await provider.processes[0]!.detached.promise).toBe('client-left');
});

test('exec: an output that a descendant holds open does not keep the session', async () => {
  const { server, provider } = await start({ outputSilenceMs: 100 });
  const client = await connectSpdy(exec(server, ['sh', '-c', 'sleep 60 & echo $!']));
  const { error, stdout } = await openStreams(client);
  expect(JSON.parse(await error.all())).toEqual(success);
  process.kill(Number(stdout.text), 'SIGKILL');
  expect(await provider.processes[0]!.detached.promise).toBe('exited');
});

test('exec: a descendant that writes on and on does not keep the session either', async () => {
  const { server } = await start();
  const client = await connectSpdy(exec(server, ['sh', '-c', 'yes & echo $! >&2']));
  const { error, stdout, stderr } = await openStreams(client);
  stdout.keep = false;
  expect(JSON.parse(await error.all())).toEqual(success);
  // It dies of SIGPIPE once its output is let go; make sure of it.
  try {
    process.kill(Number(stderr.text), 'SIGKILL');
  } catch {
    // Already gone.
  }
});

test('exec: a client that stops reading stops the process, not the server, and memory stays bounded', async () => {
  const { server, provider } = await start({ drainMs: 300 });
  const client = await connectSpdy(exec(server, ['sh', '-c', 'yes']));
  const { stdout } = await openStreams(client);
  stdout.keep = false;
  client.socket.pause();
  const [process] = await (async () => {
    await expect.poll(() => provider.processes.length).toBe(1);
    return provider.processes;
  })();
  await expect.poll(() => process!.stdout!.isPaused(), { timeout: 5000 }).toBe(true);
  // Another session goes on as if nothing were.
  const other = await openStreams(await connectSpdy(exec(server, ['echo', 'well'])));
  expect(await other.stdout.all()).toBe('well\n');
  // The process's end is not held up by its client: the bounded drain, then the cut.
  process!.child.kill('SIGKILL');
  expect(await process!.detached.promise).toBe('exited');
  await expect.poll(() => server.openSessions, { timeout: 5000 }).toBe(0);
});

test('exec: 64 MiB through cat come back unaltered', async () => {
  const { server } = await start();
  const client = await connectSpdy(exec(server, ['cat']));
  const { error, stdin, stdout } = await openStreams(client);
  const block = Buffer.alloc(64 * 1024, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
  for (let i = 0; i < 1024; i++) {
    if (!stdin.write(block)) await once(client.socket, 'drain');
  }
  stdin.end();
  expect(JSON.parse(await error.all())).toEqual(success);
  expect(stdout.receivedBytes).toBe(64 * 1024 * 1024);
  const received = Buffer.concat(stdout.chunks);
  for (let i = 0; i < 1024; i++) {
    if (received.compare(block, 0, block.length, i * block.length, (i + 1) * block.length) !== 0)
      expect.fail(`block ${i}`);
  }
});

test('attach: ends with success when the container does, whatever its exit code', async () => {
  const { server } = await start({}, new LocalProvider(['sh', '-c', 'cat; exit 7']));
  const client = await connectSpdy(server.attachUrl({ ...all, containerId }));
  const { error, stdin, stdout } = await openStreams(client);
  stdin.write('in and out');
  stdin.end();
  expect(await stdout.all()).toBe('in and out');
  expect(JSON.parse(await error.all())).toEqual(success);
});

test('attach: closing the input of a terminal detaches, once the container has all of it', async () => {
  const { server, provider } = await start({}, new LocalProvider(['cat']));
  const client = await connectSpdy(server.attachUrl({ ...terminal, containerId }));
  const { error, stdin } = await openStreams(client, terminal);
  stdin.write('x'.repeat(100_000));
  stdin.end();
  expect(JSON.parse(await error.all())).toEqual(success);
  expect(await provider.processes[0]!.detached.promise).toBe('client-left');
  await expect.poll(() => server.openSessions).toBe(0);
});

test('attach: a client too slow is told so and let go; the container is never held for long', async () => {
  const attach = { bufferBytes: 256 * 1024, holdMs: 100, onSlowClient: 'disconnect' } as const;
  const { server, provider } = await start({ attach }, new LocalProvider(['yes']));
  const client = await connectSpdy(server.attachUrl({ ...all, containerId }));
  const { error, stdout } = await openStreams(client);
  stdout.keep = false;
  client.socket.pause();
  await expect.poll(() => provider.processes.length).toBe(1);
  expect(await provider.processes[0]!.detached.promise).toBe('client-left');
  client.socket.resume();
  expect(JSON.parse(await error.all()).message).toMatch(/^Internal error occurred: attach client too slow/);
});

test('attach: with `drop`, output is left out for a slow client and the container runs on', async () => {
  const attach = { bufferBytes: 256 * 1024, holdMs: 50, onSlowClient: 'drop' } as const;
  const { server, provider } = await start({ attach }, new LocalProvider(['yes']));
  const client = await connectSpdy(server.attachUrl({ ...all, containerId }));
  const { stdout } = await openStreams(client);
  stdout.keep = false;
  client.socket.pause();
  await expect.poll(() => provider.processes.length).toBe(1);
  const source = provider.processes[0]!.stdout!;
  let bytes = 0;
  source.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await expect.poll(() => bytes, { timeout: 10_000 }).toBeGreaterThan(64 * 1024 * 1024);
  const before = stdout.receivedBytes;
  client.socket.resume();
  await expect.poll(() => stdout.receivedBytes, { timeout: 5000 }).toBeGreaterThan(before + 16 * 1024 * 1024);
});

test('pings are answered, an idle connection is closed', async () => {
  const { server, provider } = await start({ idleMs: 400 });
  const client = await connectSpdy(exec(server, ['sleep', '1000']));
  await openStreams(client);
  client.ping(1);
  client.ping(3);
  await expect.poll(() => client.pongs).toEqual([1, 3]);
  await client.closed;
  expect(await provider.processes[0]!.detached.promise).toBe('client-left');
});

test('a client that asks on without reading the answers is held back', async () => {
  const { server } = await start();
  const client = await connectSpdy(exec(server, ['sleep', '1000']));
  await openStreams(client);
  client.socket.pause();
  const pings = Buffer.alloc(12 * 5000, Buffer.from('800300060000000400000001', 'hex'));
  // Far more than the buffers of both kernels and the server hold together.
  for (let i = 0; i < 500; i++) client.send(pings);
  await expect.poll(() => client.socket.writableLength, { timeout: 5000 }).toBeGreaterThan(0);
  const stuck = client.socket.writableLength;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(client.socket.writableLength).toBe(stuck);
});

test('closing the server ends every session', async () => {
  const { server, provider } = await start();
  const client = await connectSpdy(exec(server, ['sleep', '1000']));
  await openStreams(client);
  const socketClient = await connectWebSocket(exec(server, ['sleep', '1000']), ['v5.channel.k8s.io']);
  await expect.poll(() => provider.processes.length).toBe(2);
  await server.close();
  await Promise.all([client.closed, socketClient.closed]);
  for (const process of provider.processes) expect(await process.detached.promise).toBe('stopped');
});

// --- exec over WebSocket ---

test('WebSocket v5: stdin can be half-closed, the status comes last, then close 1000', async () => {
  const { server, provider } = await start();
  const client = await connectWebSocket(exec(server, ['sh', '-c', 'cat; echo oops >&2; exit 5']), [
    'v5.channel.k8s.io',
  ]);
  expect(client.protocol).toBe('v5.channel.k8s.io');
  await client.until(() => client.messages.length > 0);
  expect(client.messages[0]).toEqual(Buffer.from([1]));
  client.sendChannel(0, 'half-');
  client.sendChannel(0, 'closed');
  client.sendChannel(9, 'nobody reads this');
  client.send(opcode.binary, Buffer.from([255, 0]));
  await client.closed;
  expect(client.channel(1).toString()).toBe('half-closed');
  expect(client.channel(2).toString()).toBe('oops\n');
  expect(JSON.parse(client.channel(3).toString())).toMatchObject({ details: { causes: [{ message: '5' }] } });
  expect(client.messages.at(-1)![0]).toBe(3);
  expect(client.closeCode).toBe(1000);
  expect(provider.processes[0]!.detachCalls).toBe(1);
});

test('WebSocket: the first protocol of the client that the server knows is taken; none offered is the oldest', async () => {
  const { server } = await start();
  const v4 = await connectWebSocket(exec(server, ['true']), [
    'v9.channel.k8s.io',
    'v4.channel.k8s.io',
    'channel.k8s.io',
  ]);
  expect(v4.protocol).toBe('v4.channel.k8s.io');
  await v4.closed;
  expect(JSON.parse(v4.channel(3).toString())).toEqual(success);
  const old = await connectWebSocket(exec(server, ['false']), []);
  expect(old.protocol).toBeUndefined();
  await old.closed;
  expect(old.channel(3).toString()).toMatch(/exit code 1$/);
});

test('WebSocket base64: text messages both ways, resizing, leaving ends the process', async () => {
  const { server, provider } = await start();
  const client = await connectWebSocket(exec(server, ['cat'], terminal), ['v4.base64.channel.k8s.io']);
  const text = (channel: number, payload: string) =>
    client.send(opcode.text, Buffer.from(`${channel}${Buffer.from(payload).toString('base64')}`));
  text(4, '{"Width":7,"Height":8}');
  text(0, 'abc');
  await client.until(() => client.messages.length >= 2);
  expect(client.messages.map(String)).toEqual(['1', '1YWJj']);
  expect(provider.processes[0]!.sizes).toEqual([{ width: 7, height: 8 }]);
  client.send(opcode.close, Buffer.from([0x03, 0xe8]));
  expect(await provider.processes[0]!.detached.promise).toBe('client-left');
  await client.closed;
});

test('WebSocket: pings are answered in the middle of everything', async () => {
  const { server } = await start();
  const client = await connectWebSocket(exec(server, ['sleep', '1000']), ['v5.channel.k8s.io']);
  client.send(opcode.ping, Buffer.from('beat'));
  await client.until(() => client.pongs.length > 0);
  expect(client.pongs).toEqual(['beat']);
});

// --- port forwarding ---

test('port forward: many connections at a time on one SPDY connection, each half-closing on its own', async () => {
  const { server, provider } = await start();
  // Answers with what it got, once the client has ended.
  const app = await listenLocally((socket) => {
    const got: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => got.push(chunk));
    socket.on('end', () => socket.end(`you said: ${Buffer.concat(got)}`));
  });
  const client = await connectSpdy(forwardUrl(server), ['portforward.k8s.io']);
  const forwards = await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const forward = await openForward(client, app.port, String(i));
      forward.data.write(`hello ${i}`);
      return forward;
    }),
  );
  await expect.poll(() => provider.openConnections).toBe(40);
  for (const [i, { data, error }] of forwards.entries()) {
    data.end();
    expect(await data.all()).toBe(`you said: hello ${i}`);
    expect(await error.all()).toBe('');
  }
  await expect.poll(() => provider.openConnections).toBe(0);
  client.sendGoaway();
  await client.closed;
});

test('port forward: an application that ends first may still be written to', async () => {
  const { server } = await start();
  const received: string[] = [];
  const app = await listenLocally((socket) => {
    socket.end('first word');
    socket.on('data', (chunk: Buffer) => received.push(chunk.toString()));
  });
  const client = await connectSpdy(forwardUrl(server), ['portforward.k8s.io']);
  const { data, error } = await openForward(client, app.port, '0');
  expect(await data.all()).toBe('first word');
  expect(await error.all()).toBe('');
  data.write('last word');
  data.end();
  await expect.poll(() => received.join('')).toBe('last word');
});

test('port forward: a dial failure is told on the error stream and harms no other connection', async () => {
  const { server } = await start();
  const app = await listenLocally((socket) => socket.pipe(socket));
  const closedPort = (await listenLocally(() => undefined)).server;
  const { port: dead } = closedPort.address() as AddressInfo;
  closedPort.close();
  await once(closedPort, 'close');
  const client = await connectSpdy(forwardUrl(server), ['portforward.k8s.io']);
  const good = await openForward(client, app.port, 'good');
  const bad = await openForward(client, dead, 'bad');
  expect(await bad.error.all()).toMatch(
    new RegExp(`^error forwarding port ${dead} to pod s1, uid : .*ECONNREFUSED`),
  );
  expect(await bad.data.all()).toBe('');
  good.data.write('still fine');
  await expect.poll(() => good.data.text).toBe('still fine');
});

test('port forward: a reset by the application is no error text; a reset by the client ends the application side', async () => {
  const { server, provider } = await start();
  const sockets: Socket[] = [];
  const app = await listenLocally((socket) => sockets.push(socket));
  const client = await connectSpdy(forwardUrl(server), ['portforward.k8s.io']);
  const first = await openForward(client, app.port, '1');
  await expect.poll(() => sockets.length).toBe(1);
  sockets[0]!.resetAndDestroy();
  expect(await first.error.all()).toBe('');
  expect(await first.data.ended.promise).toBe('fin');
  const second = await openForward(client, app.port, '2');
  await expect.poll(() => provider.openConnections).toBe(1);
  second.data.reset();
  await expect.poll(() => provider.openConnections).toBe(0);
});

test('port forward: streams without a usable type or port are reset, halves of a pair expire', async () => {
  const { server } = await start({ streamCreationMs: 200 });
  const app = await listenLocally((socket) => socket.pipe(socket));
  const client = await connectSpdy(forwardUrl(server), ['portforward.k8s.io']);
  for (const headers of [
    { streamtype: 'data' },
    { streamtype: 'data', port: '0' },
    { streamtype: 'data', port: '65536' },
    { streamtype: 'data', port: 'x' },
    { streamtype: 'stdin', port: '80' },
  ]) {
    await expect(client.stream(headers as Record<string, string>)).rejects.toThrow('reset');
  }
  const half = await client.stream({ streamtype: 'error', port: '80', requestid: 'half' });
  expect(await half.ended.promise).toBe('reset');
  // Without a request id the stream ids make the pair.
  await client.stream({ streamtype: 'error', port: String(app.port) });
  const data = await client.stream({ streamtype: 'data', port: String(app.port) });
  data.write('paired');
  await expect.poll(() => data.text).toBe('paired');
});

test('port forward: a half-closed connection that says nothing more is given up', async () => {
  const { server, provider } = await start({ halfClosedMs: 200 });
  const app = await listenLocally((socket) => socket.resume());
  const client = await connectSpdy(forwardUrl(server), ['portforward.k8s.io']);
  const { data } = await openForward(client, app.port, '0');
  data.end();
  expect(await data.ended.promise).toBe('reset');
  await expect.poll(() => provider.openConnections).toBe(0);
});

test('port forward: 32 MiB each way over the WebSocket tunnel', async () => {
  const { server } = await start();
  const app = await listenLocally((socket) => socket.pipe(socket));
  const { randomBytes } = await import('node:crypto');
  const { socket, answer, rest } = await upgrade(forwardUrl(server), 'GET', [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io',
  ]);
  expect(answer.headers).toContain('Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n');
  const client = new SpdyClient(socket, rest, true);
  cleanups.push(() => socket.destroy());
  const { data, error } = await openForward(client, app.port, '0');
  const block = randomBytes(256 * 1024);
  for (let i = 0; i < 128; i++) if (!data.write(block)) await once(socket, 'drain');
  data.end();
  expect(await data.ended.promise).toBe('fin');
  expect(await error.all()).toBe('');
  expect(Buffer.concat(data.chunks).equals(Buffer.concat(Array(128).fill(block)))).toBe(true);
});

test('port forward: an application that reads nothing holds its client back', async () => {
  const { server, provider } = await start();
  const app = await listenLocally((socket) => socket.pause());
  const client = await connectSpdy(forwardUrl(server), ['portforward.k8s.io']);
  const { data } = await openForward(client, app.port, '0');
  await expect.poll(() => provider.openConnections).toBe(1);
  const block = Buffer.alloc(1024 * 1024);
  for (let i = 0; i < 64; i++) data.write(block);
  const rss = process.memoryUsage().rss;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(client.socket.writableLength).toBeGreaterThan(16 * 1024 * 1024);
  expect(process.memoryUsage().rss - rss).toBeLessThan(32 * 1024 * 1024);
});

test('port forward: the old WebSocket channels carry the ports of the request', async () => {
  const { server } = await start();
  const echo = await listenLocally((socket) => socket.once('data', (chunk: Buffer) => socket.end(chunk)));
  const client = await connectWebSocket(forwardUrl(server, [echo.port, 1]), ['v4.channel.k8s.io']);
  await client.until(() => client.messages.length >= 4);
  const port = Buffer.alloc(2);
  port.writeUInt16LE(echo.port);
  expect(client.messages.slice(0, 4)).toEqual([
    Buffer.concat([Buffer.from([0]), port]),
    Buffer.concat([Buffer.from([1]), port]),
    Buffer.from([2, 1, 0]),
    Buffer.from([3, 1, 0]),
  ]);
  client.sendChannel(0, 'echo');
  await client.closed;
  expect(client.channel(0).toString('latin1')).toBe(`${port.toString('latin1')}echo`);
  expect(client.channel(3).toString()).toMatch(/error forwarding port 1 /);
  expect(client.closeCode).toBe(1000);
});

// --- hostile clients ---

test('malformed frames close their own connection and nothing else', async () => {
  const { server } = await start();
  const bystander = await connectSpdy(exec(server, ['cat']));
  const streams = await openStreams(bystander);
  const attacks = [
    Buffer.from('80020001000000040000', 'hex'),
    Buffer.from('8003000100ffffff', 'hex'),
    Buffer.from('0000000000000001aa', 'hex'),
    synStream(1, headerBlock({ streamtype: 'error' })), // not compressed
  ];
  for (const attack of attacks) {
    const client = await connectSpdy(exec(server, ['cat']));
    client.send(attack);
    await client.closed;
  }
  const unmasked = await connectWebSocket(exec(server, ['cat']), ['v5.channel.k8s.io']);
  unmasked.socket.write(Buffer.from('820101', 'hex'));
  await unmasked.closed;
  streams.stdin.write('unharmed');
  await expect.poll(() => streams.stdout.text).toBe('unharmed');
});

test('sessions with bytes changed at random end, and the server serves on', async () => {
  const { server, provider } = await start({ streamCreationMs: 200, lingerMs: 100, drainMs: 200 });
  const attack = async (webSocket: boolean) => {
    const url = exec(server, ['cat']);
    const client = webSocket
      ? await WebSocketClient.connect(url, ['v5.channel.k8s.io'])
      : await SpdyClient.connect(url, ['v4.channel.k8s.io']);
    const real = client.socket.write.bind(client.socket) as (chunk: Buffer) => boolean;
    client.socket.write = ((chunk: Buffer) => {
      const damaged = Buffer.from(chunk);
      if (Math.random() < 0.3) damaged[Math.floor(Math.random() * damaged.length)] = Math.random() * 256;
      return real(damaged);
    }) as Socket['write'];
    const act = async () => {
      if (client instanceof SpdyClient) {
        const { stdin, error } = await openStreams(client);
        stdin.write('some input');
        client.ping(1);
        stdin.end();
        await error.all();
      } else {
        client.sendChannel(0, 'some input');
        client.send(opcode.ping, Buffer.from('x'));
        client.send(opcode.binary, Buffer.from([255, 0]));
        await client.closed;
      }
    };
    await Promise.race([act().catch(() => undefined), new Promise((resolve) => setTimeout(resolve, 300))]);
    client.socket.destroy();
  };
  for (let round = 0; round < 8; round++) {
    await Promise.all(Array.from({ length: 8 }, (_, i) => attack(i % 2 === 0)));
  }
  await expect.poll(() => server.openSessions, { timeout: 5000 }).toBe(0);
  for (const process of provider.processes) expect(process.detachCalls).toBe(1);
  const { stdout } = await openStreams(await connectSpdy(exec(server, ['echo', 'alive'])));
  expect(await stdout.all()).toBe('alive\n');
}, 30_000);

test('no more streams than allowed, ids only odd and growing', async () => {
  const { server } = await start({ maxStreams: 4 });
  const client = await connectSpdy(forwardUrl(server), ['portforward.k8s.io']);
  for (const requestid of ['1', '2', '3', '4'])
    await client.stream({ streamtype: 'error', port: '80', requestid });
  await expect(client.stream({ streamtype: 'error', port: '80', requestid: '5' })).rejects.toThrow(
    'status 3',
  );
  const even = await client.compress({ streamtype: 'error', port: '80', requestid: '6' });
  client.send(synStream(20, even));
  client.ping(1);
  await expect.poll(() => client.pongs).toEqual([1]);
});

test('a half-sent request, or noise in its place, ends by itself', async () => {
  const { server } = await start();
  const { port } = new URL(server.baseUrl);
  const socket = connect({ host: '127.0.0.1', port: Number(port) });
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  socket.resume();
  socket.write('\x16\x03\x01 this is not HTTP\r\n\r\n');
  await once(socket, 'close');
});

test('after hundreds of sessions, cut and finished, nothing is left', async () => {
  const { server, provider } = await start();
  const before = process.memoryUsage().heapUsed;
  const descriptors = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 60; round++) {
    await Promise.all(
      [0, 1, 2, 3].map(async (kind) => {
        if (kind < 2) {
          const client = await SpdyClient.connect(exec(server, ['cat']), ['v4.channel.k8s.io']);
          const { stdin, error } = await openStreams(client);
          stdin.write('x'.repeat(10_000));
          if (kind === 0) client.socket.destroy();
          else {
            stdin.end();
            await error.all();
          }
          await client.closed;
        } else {
          const client = await WebSocketClient.connect(exec(server, ['cat']), ['v5.channel.k8s.io']);
          client.sendChannel(0, 'x'.repeat(10_000));
          if (kind === 2) client.socket.resetAndDestroy();
          else client.send(opcode.binary, Buffer.from([255, 0]));
          await client.closed;
        }
      }),
    );
  }
  await expect.poll(() => server.openSessions).toBe(0);
  for (const process of provider.processes) await process.detached.promise;
  expect(provider.processes.every((process) => process.detachCalls === 1)).toBe(true);
  await expect.poll(() => readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(descriptors);
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * 1024 * 1024);
});

test('the limits have their documented defaults', () => {
  expect(defaultLimits).toMatchObject({ idleMs: 14_400_000, streamCreationMs: 30_000, maxStreams: 2000 });
});
