/**
 * Changed SPDY and WebSocket frames, for the decoders alone and for sessions of the real streaming server. A decoder emits
 * events or throws ProtocolError; a session ends; every process is let go once; the server serves on.
 */

import { connect, type Socket } from 'node:net';
import { type Duplex, PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import pino from 'pino';
import type { ContainerId } from '#runtime/container/config.ts';
import type { SandboxId } from '#runtime/sandbox/config.ts';
import type { StreamedProcess, StreamingProvider } from '../../cri/streaming/process.ts';
import { ProtocolError } from '../../cri/streaming/protocol-error.ts';
import { StreamingServer } from '../../cri/streaming/server.ts';
import {
  dataFrameHead,
  goawayFrame,
  pingFrame,
  rstStreamFrame,
  SpdyDecoder,
  SpdyEncoder,
} from '../../cri/streaming/spdy-frames.ts';
import {
  frameHead,
  type Opcode,
  opcode,
  unmask,
  WebSocketDecoder,
} from '../../cri/streaming/websocket-frames.ts';
import { cpuMs, heldBytes } from './measure.ts';
import { edgeIntegers, mutateBytes, mutateText } from './mutate.ts';
import { Random } from './random.ts';
import type { Report } from './report.ts';

const framesPerSession = 12;
const parallel = 16;
const sessionMs = 2000;
const growthBytes = 16 << 20;

/** A frame's bytes, some of its head overwritten: the type, flags, length or stream that it claims. */
function overwriteHead(random: Random, frame: Buffer, headBytes: number): Buffer {
  const copy = Buffer.from(frame);
  const at = random.below(Math.min(headBytes, copy.length));
  copy[at] = random.chance(0.5) ? Number(BigInt.asUintN(8, random.pick(edgeIntegers))) : random.next() & 0xff;
  return copy;
}

/** Frames of one session are damaged seldom, so that those after the first damage are reached, or often. */
const rates = [0.03, 0.1, 0.5];

function damage(random: Random, frame: Buffer, headBytes: number, rate: number): Buffer {
  if (!random.chance(rate)) return frame;
  const kind = random.below(6);
  if (kind < 4) return overwriteHead(random, frame, headBytes);
  if (kind === 4) return Buffer.concat([frame, frame]);
  return mutateBytes(random, frame);
}

const streamTypes = ['error', 'stdin', 'stdout', 'stderr', 'resize', 'data', 'error', 'data'];

/** A session of a client: frames in a sensible order, some of them damaged. */
export function spdySession(random: Random, isForward: boolean): Buffer[] {
  const encoder = new SpdyEncoder();
  const rate = random.pick(rates);
  const streams = isForward ? ['error', 'data'] : ['error', 'stdin', 'stdout', 'stderr'];
  const frames = streams.map((streamtype, index) => {
    const type = random.chance(0.95)
      ? streamtype
      : mutateText(random, random.pick(streamTypes)).slice(0, 2000);
    const headers: [string, string][] = [['streamtype', type]];
    if (isForward)
      headers.push(
        ['port', random.chance(0.9) ? '80' : mutateText(random, '80').slice(0, 100)],
        ['requestid', '0'],
      );
    if (random.chance(0.03))
      headers.push(...Array.from({ length: random.below(400) }, (_, n): [string, string] => [`h${n}`, 'x']));
    return encoder.synStream(random.chance(0.95) ? 1 + 2 * index : random.below(20), headers);
  });
  while (frames.length < framesPerSession) {
    const id = random.pick([1, 3, 5, 7, 2, 0, 2 ** 31 - 1]);
    const content = random.bytes(random.below(200));
    frames.push(
      random.pick([
        () => Buffer.concat([dataFrameHead(3, content.length, random.chance(0.2)), content]),
        () => Buffer.concat([dataFrameHead(id, content.length, random.chance(0.2)), content]),
        () => pingFrame(random.next()),
        () => rstStreamFrame(id, 5),
        () => goawayFrame(id, 0),
        () => encoder.synReply(id),
        () => Buffer.concat([Buffer.from('80030004000000040000', 'hex'), Buffer.alloc(2)]),
        () => Buffer.concat([Buffer.from('8003000900000008', 'hex'), random.bytes(8)]),
      ])(),
    );
  }
  return frames.map((frame) => damage(random, frame, 12, rate));
}

function masked(random: Random, code: Opcode, payload: Buffer): Buffer {
  const head = frameHead(code, payload.length, 4);
  head[1] = head[1]! | 0x80;
  const mask = random.bytes(4);
  mask.copy(head, head.length - 4);
  const body = Buffer.from(payload);
  unmask(body, mask, 0, 0);
  return Buffer.concat([head, body]);
}

export function webSocketSession(random: Random): Buffer[] {
  const rate = random.pick(rates);
  return Array.from({ length: framesPerSession }, () => {
    const channel = random.pick([0, 0, 1, 2, 3, 4, 255, 9]);
    const size = JSON.stringify({ Width: Number(random.pick(edgeIntegers)), Height: 24 });
    const content =
      channel === 4
        ? Buffer.from(random.chance(0.5) ? size : mutateText(random, size))
        : random.bytes(random.below(200));
    const code = random.pick([
      opcode.binary,
      opcode.binary,
      opcode.binary,
      opcode.binary,
      opcode.binary,
      opcode.ping,
      opcode.pong,
      ...(rate > 0.1 ? [opcode.text, opcode.continuation, opcode.close] : []),
    ]);
    const isControl = code >= opcode.close;
    const payload = isControl ? content.subarray(0, 100) : Buffer.concat([Buffer.from([channel]), content]);
    return damage(random, masked(random, code, payload), 14, rate);
  });
}

/** Feeds a session to a decoder in pieces; whatever it emits must have been in the input. */
function decode(random: Random, input: Buffer, decoder: { push(chunk: Buffer): void }): void {
  for (let at = 0; at < input.length; ) {
    const length = 1 + random.below(300);
    decoder.push(Buffer.from(input.subarray(at, at + length)));
    at += length;
  }
}

function fuzzDecoders(seed: number, frames: number, report: Report): void {
  for (const name of ['SPDY', 'WebSocket'] as const) {
    let refused = 0;
    for (let index = 0; index * framesPerSession < frames; index += 1) {
      const random = new Random(seed, name, 'decoder', index);
      const input = Buffer.concat(
        name === 'SPDY' ? spdySession(random, random.chance(0.5)) : webSocketSession(random),
      );
      let emitted = 0;
      const count = (event: { readonly type: string; readonly chunk?: Buffer }) => {
        emitted += event.chunk?.length ?? 0;
      };
      const started = process.cpuUsage();
      try {
        decode(random, input, name === 'SPDY' ? new SpdyDecoder(count) : new WebSocketDecoder(true, count));
      } catch (error) {
        refused += 1;
        if (!(error instanceof ProtocolError))
          report.finding(`${name} decoder case ${index}: ${(error as Error).stack?.slice(0, 400)}`, input);
      }
      if (emitted > input.length)
        report.finding(`${name} decoder case ${index}: more came out than went in`, input);
      const ms = cpuMs(started);
      if (ms > 2000) report.finding(`${name} decoder case ${index}: took ${Math.round(ms)} ms`, input);
    }
    report.note(`${name} decoder: ${frames} frames, ${refused} sessions refused`);
  }
}

/** Processes and ports of this process alone, which give back what they get. */
class EchoProvider implements StreamingProvider {
  opened = 0;
  detached = 0;

  #open(): StreamedProcess {
    this.opened += 1;
    const pipe = new PassThrough();
    const stderr = new PassThrough();
    const { promise: exited, resolve } = Promise.withResolvers<{ exitCode: number }>();
    const end = () => {
      pipe.destroy();
      stderr.destroy();
      resolve({ exitCode: 0 });
    };
    pipe.once('end', end);
    return {
      stdin: pipe,
      stdout: pipe,
      stderr,
      resize: () => {},
      exited,
      detach: () => {
        this.detached += 1;
        end();
      },
    };
  }

  async exec(): Promise<StreamedProcess> {
    return this.#open();
  }

  async attach(): Promise<StreamedProcess> {
    return this.#open();
  }

  async dial(): Promise<Duplex> {
    return new PassThrough();
  }
}

async function runSession(url: string, head: readonly string[], frames: readonly Buffer[]): Promise<void> {
  const { port, pathname } = new URL(url);
  const socket: Socket = connect(Number(port), '127.0.0.1');
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {}); // cut by the server, as it may
  socket.resume();
  socket.write(
    [`GET ${pathname} HTTP/1.1`, 'Host: fuzz', 'Connection: Upgrade', ...head, '', ''].join('\r\n'),
  );
  for (const frame of frames) {
    if (socket.destroyed) break;
    socket.write(Buffer.from(frame));
  }
  socket.end();
  const patience = new AbortController();
  await Promise.race([closed, delay(sessionMs, undefined, { signal: patience.signal }).catch(() => {})]);
  patience.abort();
  socket.destroy();
}

const spdyHead = (version: string) => ['Upgrade: SPDY/3.1', `X-Stream-Protocol-Version: ${version}`];
const webSocketHead = [
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  'Sec-WebSocket-Protocol: v5.channel.k8s.io',
];

async function fuzzServer(seed: number, frames: number, report: Report): Promise<void> {
  const provider = new EchoProvider();
  const complaints: string[] = [];
  const log = pino(
    { level: 'debug' },
    {
      write: (line: string) =>
        void (/TypeError|RangeError|ReferenceError/.test(line) && complaints.push(line)),
    },
  );
  const server = new StreamingServer({
    provider,
    log,
    limits: { streamCreationMs: 300, lingerMs: 100, drainMs: 300, outputSilenceMs: 50, halfClosedMs: 200 },
  });
  await server.listen();
  const uncaught = (error: unknown) =>
    report.finding(`streaming server: uncaught ${(error as Error).stack ?? error}`);
  process.on('uncaughtException', uncaught);
  const startBytes = heldBytes();
  const sessions = Math.ceil((2 * frames) / framesPerSession);
  let next = 0;
  const worker = async () => {
    while (next < sessions) {
      const index = next;
      next += 1;
      const random = new Random(seed, 'session', index);
      const kind = index % 4;
      const streams = { stdin: true, stdout: true, stderr: true, tty: false };
      const container = { ...streams, containerId: 'c' as ContainerId, command: ['x'] };
      if (kind === 0)
        await runSession(
          server.execUrl(container),
          spdyHead('v5.channel.k8s.io'),
          spdySession(random, false),
        );
      else if (kind === 1)
        await runSession(
          server.portForwardUrl({ sandboxId: 's' as SandboxId, ports: [80] }),
          spdyHead('portforward.k8s.io'),
          spdySession(random, true),
        );
      else
        await runSession(
          kind === 2 ? server.execUrl(container) : server.attachUrl(container),
          webSocketHead,
          webSocketSession(random),
        );
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  for (let round = 0; round < 100 && server.openSessions > 0; round += 1) await delay(100);
  if (server.openSessions > 0) report.finding(`streaming server: ${server.openSessions} sessions never end`);
  if (provider.opened !== provider.detached)
    report.finding(`streaming server: ${provider.opened} processes opened, ${provider.detached} let go`);
  const grownBytes = heldBytes() - startBytes;
  if (grownBytes > growthBytes) report.finding(`streaming server: keeps ${grownBytes} bytes`);
  for (const line of complaints.slice(0, 5)) report.finding(`streaming server: ${line.slice(0, 400)}`);
  await server.close();
  process.off('uncaughtException', uncaught);
  report.note(`streaming server: ${sessions} sessions, ${provider.opened} processes opened and let go`);
}

export async function fuzzStreams(seed: number, frames: number, report: Report): Promise<void> {
  fuzzDecoders(seed, frames, report);
  await fuzzServer(seed, frames, report);
  report.count('SPDY frames', 2 * frames);
  report.count('WebSocket frames', 2 * frames);
}
