/**
 * client-go's own exec and port-forward clients against the streaming server, with processes of this machine in the
 * place of containers. Needs the Go toolchain.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import pino from 'pino';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ExecRequest } from '#cri/streaming/process.ts';
import { StreamingServer } from '#cri/streaming/server.ts';
import { LocalProvider } from '#cri/streaming/testing/local-provider.ts';
import type { ContainerId } from '#runtime/container/config.ts';
import type { SandboxId } from '#runtime/sandbox/config.ts';
import { buildStreamingClient } from './build.ts';

let program = '';
let provider: LocalProvider;
let server: StreamingServer;
const clients: ChildProcessWithoutNullStreams[] = [];

/** A fresh Debian has no Go; everything else of `make test` runs there. */
const hasGo = spawnSync('go', ['version']).status === 0;
if (!hasGo) console.warn('skipping the tests with client-go: they need Go, and there is none in PATH');

beforeAll(async () => {
  if (hasGo) program = await buildStreamingClient();
}, 600_000);

beforeEach(async () => {
  provider = new LocalProvider(['sh', '-c', 'cat; exit 9']);
  server = new StreamingServer({ provider, log: pino({ level: 'silent' }) });
  await server.listen();
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.kill('SIGKILL');
  await expect.poll(() => server.openSessions, { timeout: 10_000 }).toBe(0);
  for (const process of provider.processes) expect(process.detachCalls).toBe(1);
  await server.close();
});

function run(args: string[]): ChildProcessWithoutNullStreams {
  const client = spawn(program, args);
  clients.push(client);
  client.stdin.on('error', () => undefined);
  return client;
}

async function finish(client: ChildProcessWithoutNullStreams) {
  const [stdout, stderr, [code]] = await Promise.all([
    text(client.stdout),
    text(client.stderr),
    once(client, 'exit'),
  ]);
  return { stdout, stderr, code: code as number };
}

function execUrl(command: string[], streams: Partial<ExecRequest> = {}): string {
  const containerId = 'c1' as ContainerId;
  return server.execUrl({
    containerId,
    command,
    stdin: true,
    stdout: true,
    stderr: true,
    tty: false,
    ...streams,
  });
}

describe.skipIf(!hasGo).each(['spdy', 'websocket'])('exec over %s', (transport) => {
  const flags = ['-transport', transport];

  test('both outputs and the exit code come back', async () => {
    const url = execUrl(['sh', '-c', 'echo out; echo err >&2; exit 42'], { stdin: false });
    expect(await finish(run(['exec', '-url', url, ...flags]))).toEqual({
      stdout: 'out\n',
      stderr: 'err\ncommand terminated with exit code 42\n',
      code: 42,
    });
  });

  test('success is success', async () => {
    const url = execUrl(['true'], { stdin: false });
    expect(await finish(run(['exec', '-url', url, ...flags]))).toEqual({ stdout: '', stderr: '', code: 0 });
  });

  test('what cannot be started is told', async () => {
    const url = execUrl(['/no/such/program'], { stdin: false });
    const { stderr, code } = await finish(run(['exec', '-url', url, ...flags]));
    expect(code).toBe(125);
    expect(stderr).toBe('Internal error occurred: start /no/such/program: no such file\n');
  });

  test('64 MiB through stdin, cat and stdout come back unaltered after the half-close of stdin', async () => {
    const url = execUrl(['cat'], { stderr: false });
    const { stdout, stderr, code } = await finish(run(['pump', '-url', url, ...flags]));
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^67108864 bytes each way/);
  });

  test('a command that leaves its input unread ends at once', async () => {
    const url = execUrl(['sh', '-c', 'sleep 0.2; echo done'], { stderr: false });
    const client = run(['exec', '-stdin', '-stderr=false', '-url', url, ...flags]);
    const block = Buffer.alloc(1024 * 1024);
    for (let i = 0; i < 32; i++) client.stdin.write(block);
    expect(await finish(client)).toMatchObject({ stdout: 'done\n', code: 0 });
  });

  test('a terminal gets its sizes', async () => {
    const url = execUrl(['cat'], { stderr: false, tty: true });
    const client = run(['exec', '-stdin', '-tty', '-sizes', '80x24,120x40', '-url', url, ...flags]);
    await expect
      .poll(() => provider.processes[0]?.sizes.at(-1), { timeout: 5000 })
      .toEqual({ width: 120, height: 40 });
    client.stdin.write('typed');
    const [echo] = (await once(client.stdout, 'data')) as [Buffer];
    expect(echo.toString()).toBe('typed');
    provider.processes[0]!.child.kill('SIGKILL');
    expect((await finish(client)).code).toBe(137);
  });

  test('attach ends with success when the container exits', async () => {
    const containerId = 'c1' as ContainerId;
    const url = server.attachUrl({ containerId, stdin: true, stdout: true, stderr: true, tty: false });
    const client = run(['exec', '-stdin', '-url', url, ...flags]);
    client.stdin.end('through and through');
    expect(await finish(client)).toMatchObject({ stdout: 'through and through', code: 0 });
  });

  test('a client that is cut off takes its process along', async () => {
    const client = run(['exec', '-url', execUrl(['sleep', '1000'], { stdin: false }), ...flags]);
    await expect.poll(() => provider.processes.length, { timeout: 5000 }).toBe(1);
    client.kill('SIGKILL');
    expect(await provider.processes[0]!.detached.promise).toBe('client-left');
  });

  test('a server that stops cuts its clients', async () => {
    const client = run(['exec', '-url', execUrl(['sleep', '1000'], { stdin: false }), ...flags]);
    const ended = finish(client);
    await expect.poll(() => provider.processes.length, { timeout: 5000 }).toBe(1);
    await server.close();
    expect(await provider.processes[0]!.detached.promise).toBe('stopped');
    await ended;
  });
});

test.skipIf(!hasGo).each([
  ['spdy', 'v4.channel.k8s.io', 3],
  ['spdy', 'v3.channel.k8s.io', 125],
  ['spdy', 'v2.channel.k8s.io', 125],
  // Version 1 loses the failure.
  ['spdy', 'channel.k8s.io', 0],
  ['websocket', 'v4.channel.k8s.io', 3],
])('older protocol over %s: %s', async (transport, version, expected) => {
  const url = execUrl(['sh', '-c', 'echo out; exit 3'], { stdin: false });
  const flags = ['-transport', transport, '-protocols', version];
  const { stdout, code } = await finish(run(['exec', '-url', url, ...flags]));
  expect(stdout).toBe('out\n');
  expect(code).toBe(expected);
});

describe.skipIf(!hasGo).each(['spdy', 'websocket'])('port forward over %s', (transport) => {
  async function forward(port: number) {
    const url = server.portForwardUrl({ sandboxId: 's1' as SandboxId, ports: [] });
    const client = run(['forward', '-transport', transport, '-url', url, '-ports', `0:${port}`]);
    const errors = text(client.stderr);
    const [line] = (await once(client.stdout, 'data')) as [Buffer];
    const local = Number(/127\.0\.0\.1:(\d+) ->/.exec(line.toString())?.[1]);
    client.stdout.resume();
    return { client, errors, local };
  }

  async function talk(port: number, message: Buffer): Promise<Buffer> {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    const received: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.end(message);
    await once(socket, 'close');
    return Buffer.concat(received);
  }

  test('many connections at a time, large and small, and none is left behind', async () => {
    const app = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(app, 'listening');
    const { client, errors, local } = await forward((app.address() as AddressInfo).port);
    const messages = Array.from({ length: 20 }, (_, i) =>
      Buffer.alloc(i === 0 ? 16 * 1024 * 1024 : 1000 * i, `${i};`),
    );
    const answers = await Promise.all(messages.map((message) => talk(local, message)));
    expect(answers.map((answer) => answer.length)).toEqual(messages.map((message) => message.length));
    expect(answers.every((answer, i) => answer.equals(messages[i]!))).toBe(true);
    await expect.poll(() => provider.openConnections).toBe(0);
    client.stdin.end();
    expect(await errors).toBe('');
    app.close();
  });

  test('an application that cannot be reached is told', async () => {
    const { client, errors, local } = await forward(1);
    expect(await talk(local, Buffer.from('hello'))).toEqual(Buffer.alloc(0));
    client.stdin.end();
    expect(await errors).toMatch(/error forwarding port 1 to pod s1, uid : .*ECONNREFUSED/);
  });

  test('a client that is cut off closes its applications', async () => {
    const app = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
    await once(app, 'listening');
    const { client, local } = await forward((app.address() as AddressInfo).port);
    const socket = connect(local, '127.0.0.1').on('error', () => undefined);
    socket.write('half a message');
    await expect.poll(() => provider.openConnections).toBe(1);
    client.kill('SIGKILL');
    await expect.poll(() => provider.openConnections).toBe(0);
    app.close();
  });
});
