/**
 * Exec, attach and port-forward through a real berthd: what a thousand sessions leave, and what a client that does not
 * read costs. The protocols themselves are tested in `cri/streaming/`.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dataFrameHead } from '#cri/streaming/spdy-frames.ts';
import { type ClientStream, SpdyClient } from '#cri/streaming/testing/spdy-client.ts';
import { upgrade } from '#cri/streaming/testing/upgrade.ts';
import { maskedFrame, WebSocketClient } from '#cri/streaming/testing/websocket-client.ts';
import { opcode } from '#cri/streaming/websocket-frames.ts';
import { listDescendants, readCommandLine } from '#host/proc.ts';
import { ContainerState, NamespaceMode } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod, until } from './bed.ts';

let bed: BehaviourBed;
let pod: Pod;
/** In it servers take IPv6 only. */
let pod6: Pod;
/** Its process copies its input to its output, and beside it a server echoes. */
let id: string;
const port = 81;

async function runEcho(where: Pod): Promise<string> {
  const command = ['sh', '-c', `nc -ll -p ${port} -e cat & exec cat`];
  const echo = await bed.run(where, 'echo', { command, stdin: true });
  await bed.sh(echo, `until netstat -ltn | grep -q ":${port} "; do sleep 0.1; done`);
  return echo;
}

beforeAll(async () => {
  bed = await BehaviourBed.start();
  pod = await bed.runPod();
  id = await runEcho(pod);
  pod6 = await bed.runPod({ linux: { sysctls: { 'net.ipv6.bindv6only': '1' } } });
  await runEcho(pod6);
});
afterAll(() => bed.close());

type Transport = 'spdy' | 'websocket';
const transports: readonly Transport[] = ['spdy', 'websocket'];
const half = Buffer.from([255, 0]);

async function execUrl(cmd: readonly string[], more: { tty?: boolean; id?: string } = {}): Promise<string> {
  const { tty = false } = more;
  const streams = { tty, stdin: true, stdout: true, stderr: false };
  return (await bed.call('Exec', { container_id: more.id ?? id, cmd, ...streams })).url;
}

async function attachUrl(container = id): Promise<string> {
  const streams = { tty: false, stdin: true, stdout: true, stderr: true };
  return (await bed.call('Attach', { container_id: container, ...streams })).url;
}

async function forwardUrl(of: Pod = pod, to = port): Promise<string> {
  return (await bed.call('PortForward', { pod_sandbox_id: of.id, port: [to] })).url;
}

interface Opened {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  /** Bytes of output so far. */
  readonly received: () => Buffer;
  /** What the error stream or channel says so far. */
  readonly verdict: () => string;
  readonly write: (bytes: Buffer) => boolean;
  /** Says that more is to come than is sent. */
  readonly writeHalfFrame: () => void;
  /** Ends the input in order. */
  readonly end: () => void;
  /** Leaves in order. */
  readonly leave: () => void;
}

function overSpdy(
  client: SpdyClient,
  error: ClientStream,
  input: ClientStream,
  output: ClientStream,
): Opened {
  return {
    socket: client.socket,
    closed: client.closed,
    received: () => Buffer.concat(output.chunks),
    verdict: () => error.text,
    write: (bytes) => input.write(bytes),
    writeHalfFrame: () => client.send(dataFrameHead(input.id, 100_000, false), Buffer.alloc(10)),
    end: () => input.end(),
    leave: () => {
      client.sendGoaway();
      client.socket.end();
    },
  };
}

async function openCommand(transport: Transport, url: string, selection: readonly string[]): Promise<Opened> {
  if (transport === 'spdy') {
    const client = await SpdyClient.connect(url, ['v4.channel.k8s.io']);
    const error = await client.stream({ streamtype: 'error' });
    const streams = new Map<string, ClientStream>();
    for (const streamtype of selection) streams.set(streamtype, await client.stream({ streamtype }));
    return overSpdy(client, error, streams.get('stdin')!, streams.get('stdout')!);
  }
  const client = await WebSocketClient.connect(url, ['v5.channel.k8s.io']);
  return {
    socket: client.socket,
    closed: client.closed,
    received: () => client.channel(1),
    verdict: () => client.channel(3).toString(),
    write: (bytes) => client.sendChannel(0, bytes),
    writeHalfFrame: () =>
      client.socket.write(maskedFrame(opcode.binary, Buffer.alloc(70_000)).subarray(0, 5000)),
    end: () => client.send(opcode.binary, half),
    leave: () => client.send(opcode.close, Buffer.from([0x03, 0xe8])),
  };
}

async function openForward(transport: Transport, url: string, to = port): Promise<Opened> {
  let client: SpdyClient;
  if (transport === 'spdy') client = await SpdyClient.connect(url, ['portforward.k8s.io']);
  else {
    const { socket, rest } = await upgrade(url, 'GET', [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      'Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io',
    ]);
    client = new SpdyClient(socket, rest, true);
  }
  const headers = { port: String(to), requestid: '0' };
  const error = await client.stream({ streamtype: 'error', ...headers });
  const data = await client.stream({ streamtype: 'data', ...headers });
  return overSpdy(client, error, data, data);
}

const withoutTty = ['stdin', 'stdout'];
const kinds: Readonly<Record<string, (transport: Transport) => Promise<Opened>>> = {
  exec: async (transport) => openCommand(transport, await execUrl(['cat']), withoutTty),
  terminal: async (transport) =>
    openCommand(transport, await execUrl(['cat'], { tty: true }), [...withoutTty, 'resize']),
  attach: async (transport) => openCommand(transport, await attachUrl(), [...withoutTty, 'stderr']),
  forward: async (transport) => openForward(transport, await forwardUrl()),
  forward6: async (transport) => openForward(transport, await forwardUrl(pod6)),
};

const cuts: readonly ((session: Opened) => void)[] = [
  ({ socket }) => socket.destroy(),
  ({ socket }) => socket.resetAndDestroy(),
  ({ socket }) => socket.end(),
  (session) => {
    session.writeHalfFrame();
    session.socket.destroySoon();
  },
  (session) => {
    // Leaves with its output unread.
    session.socket.pause();
    session.write(Buffer.alloc(200_000, 'x'));
    session.socket.destroySoon();
  },
];

const message = Buffer.from('a line that must come back\n');

/** Session `index` of all: every kind by either protocol; every second one is cut off, in all ways. */
async function runSession(index: number): Promise<void> {
  const names = Object.keys(kinds);
  const kind = names[index % names.length]!;
  const round = Math.floor(index / names.length);
  const session = await kinds[kind]!(transports[round % 2]!);
  const isCut = Math.floor(round / 2) % 2 === 1;
  session.write(message);
  const cut = cuts[Math.floor(round / 4) % cuts.length]!;
  // Half of the cut ones do not even wait for the first output.
  if (!isCut || Math.floor(round / 20) % 2 === 0) {
    await until(
      () => session.received().includes('must come back') || undefined,
      20_000,
      `the echo of session ${index}, ${kind}`,
    );
  }
  if (isCut) cut(session);
  else if (kind === 'attach') session.leave();
  else {
    if (kind === 'terminal') session.write(Buffer.from([4]));
    else session.end();
    if (kind.startsWith('forward')) {
      await delay(0);
      session.leave();
    }
  }
  await session.closed;
}

interface Holdings {
  readonly descriptors: readonly string[];
  readonly listeners: number;
  readonly children: number;
  readonly inPod: number;
}

/** What the daemon has at this moment: descriptors by kind, sockets that listen, programs, and the pod's processes. */
async function holdings(): Promise<Holdings> {
  const links = readdirSync(`/proc/${bed.pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${bed.pid}/fd/${fd}`)];
    } catch {
      return []; // closed since
    }
  });
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  const listening = ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${bed.pid}/net/${table}`, 'latin1')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => words[3] === '0A' && inodes.has(words[9] ?? '')),
  );
  return {
    descriptors: links.map((link) => link.replace(/\d+/g, 'N')).sort(),
    listeners: listening.length,
    children: listDescendants(bed.pid).length,
    inPod: Number(await bed.sh(id, 'set -- /proc/[0-9]*; echo $#')),
  };
}

const sessions = 1000;
const parallel = 12;

test(`after ${sessions} sessions, half of them cut off, nothing is there that was not before`, async () => {
  // The first ones load and open what stays; the process that unpacked the image ends by itself after a while.
  for (let index = 0; index < 40; index += 1) await runSession(index);
  const isUnpacking = () =>
    listDescendants(bed.pid).some((pid) => readCommandLine(pid).join(' ').includes('berthd: layers'));
  await expect.poll(isUnpacking, { timeout: 20_000 }).toBe(false);
  let before = await holdings();
  await until(
    async () => {
      const last = before;
      await delay(100);
      before = await holdings();
      return JSON.stringify(before) === JSON.stringify(last) || undefined;
    },
    10_000,
    'the end of what the first sessions had started',
  );
  const residentBefore = residentMiB();
  const startMs = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (next < sessions) {
        next += 1;
        await runSession(next - 1);
      }
    }),
  );
  const seconds = (performance.now() - startMs) / 1000;
  await expect.poll(holdings, { timeout: 15_000, interval: 100 }).toEqual(before);
  const grownMiB = residentMiB() - residentBefore;
  expect(grownMiB).toBeLessThan(96);
  const { descriptors, listeners, children } = before;
  console.log(
    `${sessions} streaming sessions, half of them cut, in ${seconds.toFixed(1)} s: before and after ` +
      `${descriptors.length} descriptors, ${listeners} listeners, ${children} processes; ${grownMiB.toFixed(0)} MiB more`,
  );
  expect((await bed.status(id)).state).toBe(ContainerState.CONTAINER_RUNNING);
}, 240_000);

test('runc, which copies the streams of a command by itself or not at all, leaves nothing either', async () => {
  const other = await bed.runPod({}, 'runc');
  const main = await bed.run(other, 'main');
  const run = async (index: number) => {
    const tty = index % 2 === 0;
    const url = await execUrl(['cat'], { tty, id: main });
    const selection = tty ? [...withoutTty, 'resize'] : withoutTty;
    const session = await openCommand(transports[Math.floor(index / 2) % 2]!, url, selection);
    session.write(message);
    await until(() => session.received().includes('must come back') || undefined, 20_000, 'the echo');
    if (index % 3 > 0) cuts[index % cuts.length]!(session);
    else if (tty) session.write(Buffer.from([4]));
    else session.end();
    await session.closed;
  };
  for (let index = 0; index < 4; index += 1) await run(index);
  const count = async () => Number(await bed.sh(main, 'set -- /proc/[0-9]*; echo $#'));
  const before = await count();
  await Promise.all(Array.from({ length: 60 }, (_, index) => run(index)));
  await expect.poll(count, { timeout: 10_000 }).toBe(before);
  await bed.removePod(other);
});

function residentMiB(): number {
  const pages = Number(readFileSync(`/proc/${bed.pid}/statm`, 'latin1').split(' ')[1]);
  return (pages * 4096) / 2 ** 20;
}

/** Bytes that make a client's connection stand still: more than the buffers of kernel and daemon together. */
const floodBytes = 96 * 2 ** 20;
const flood = `head -c ${floodBytes} /dev/zero`;

/** Sessions of clients that stop reading, or of processes that do, by what they are. */
const stuck: Readonly<Record<string, (transport: Transport, where: Pod, main: string) => Promise<Opened>>> = {
  'exec, output unread': async (transport, _where, main) =>
    openCommand(transport, await execUrl(['sh', '-c', flood], { id: main }), withoutTty),
  'exec on a terminal, output unread': async (transport, _where, main) =>
    openCommand(transport, await execUrl(['sh', '-c', flood], { id: main, tty: true }), [
      ...withoutTty,
      'resize',
    ]),
  'exec, input untaken': async (transport, _where, main) =>
    openCommand(transport, await execUrl(['sleep', '1000'], { id: main }), withoutTty),
  'attach, output unread': async (transport, _where, main) =>
    openCommand(transport, await attachUrl(main), [...withoutTty, 'stderr']),
  'port-forward, output unread': async (transport, where) =>
    openForward(transport, await forwardUrl(where, 83), 83),
  'port-forward, input untaken': async (transport, where) =>
    openForward(transport, await forwardUrl(where, 84), 84),
};

test.each(Object.keys(stuck).flatMap((name) => transports.map((transport) => [name, transport] as const)))(
  '%s, over %s: memory stays bounded, and the stop does not wait for the client',
  async (name, transport) => {
    const where = await bed.runPod();
    // Its own output is a flood from the first line of input on.
    const servers = 'nc -ll -p 83 -e yes & nc -ll -p 84 -e sleep 1000 &';
    const main = await bed.run(where, 'main', {
      command: ['sh', '-c', `${servers} read line; ${flood}; sleep 1000`],
      stdin: true,
    });
    await bed.sh(main, 'until netstat -ltn | grep -q ":84 "; do sleep 0.05; done');
    const sessions: Opened[] = [];
    const before = residentMiB();
    const movedBefore = ioBytes();
    for (let index = 0; index < 6; index += 1) sessions.push(await stuck[name]!(transport, where, main));
    for (const { socket } of sessions) socket.pause();
    if (name.startsWith('attach')) sessions[0]!.write(message);
    if (name.endsWith('untaken')) {
      const block = Buffer.alloc(2 ** 20, 'x');
      for (const { write } of sessions) for (let index = 0; index < 16; index += 1) write(block);
      const unsent = () => sessions.every(({ socket }) => socket.writableLength > 4 * 2 ** 20);
      await expect.poll(unsent, { timeout: 10_000 }).toBe(true);
    }
    // Until much has moved, and then nothing does any more, or the flood is over.
    let last = -1;
    await until(
      async () => {
        const now = ioBytes();
        const isStill = now - last < 4096 && now - movedBefore > 2 * 2 ** 20;
        last = now;
        await delay(200);
        return isStill || undefined;
      },
      20_000,
      'the standstill',
    );
    const grownMiB = residentMiB() - before;
    console.log(`${sessions.length} sessions, ${name}, over ${transport}: ${grownMiB.toFixed(0)} MiB more`);
    expect(grownMiB).toBeLessThan(96);
    if (name.startsWith('attach')) {
      // The container's output does not wait: such a client is told so, and let go.
      for (const session of sessions) {
        session.socket.resume();
        await session.closed;
        expect(session.verdict()).toMatch(/too slow/);
      }
    }
    const startMs = performance.now();
    await bed.call('StopContainer', { container_id: main, timeout: 0n });
    expect((await bed.status(main)).state).toBe(ContainerState.CONTAINER_EXITED);
    expect(performance.now() - startMs).toBeLessThan(5000);
    for (const { socket } of sessions) socket.destroy();
    await bed.removePod(where);
  },
);

/** Bytes that the daemon has read and written so far. */
function ioBytes(): number {
  const io = readFileSync(`/proc/${bed.pid}/io`, 'latin1');
  return Number(/rchar: (\d+)/.exec(io)![1]) + Number(/wchar: (\d+)/.exec(io)![1]);
}

test('the ports of a pod on the node’s network are the node’s', async () => {
  const onNode = await bed.runPod({
    linux: {
      cgroup_parent: bed.cgroupParent,
      security_context: { namespace_options: { network: NamespaceMode.NODE, pid: NamespaceMode.CONTAINER } },
    },
  });
  for (const [transport, host] of [
    ['spdy', '127.0.0.1'],
    ['websocket', '::1'],
  ] as const) {
    const server = createServer((socket) => socket.end(`here is ${host}`)).listen(0, host);
    await once(server, 'listening');
    const { port: to } = server.address() as AddressInfo;
    const session = await openForward(transport, await forwardUrl(onNode, to), to);
    await expect.poll(() => session.received().toString()).toBe(`here is ${host}`);
    session.leave();
    await session.closed;
    server.close();
  }
  await bed.removePod(onNode);
});

test('a container whose attached clients come and go, in order or not, runs on and keeps its input', async () => {
  for (const [index, cut] of [...cuts, (session: Opened) => session.leave()].entries()) {
    const session = await openCommand(transports[index % 2]!, await attachUrl(), [...withoutTty, 'stderr']);
    session.write(message);
    await until(() => session.received().includes('must come back') || undefined, 5000, 'the echo');
    cut(session);
    await session.closed;
  }
  expect((await bed.status(id)).state).toBe(ContainerState.CONTAINER_RUNNING);
});
