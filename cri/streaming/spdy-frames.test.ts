import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { ProtocolError } from './protocol-error.ts';
import {
  dataFrameHead,
  goawayFrame,
  pingFrame,
  rstStreamFrame,
  SpdyDecoder,
  SpdyEncoder,
  type SpdyEvent,
} from './spdy-frames.ts';

function decode(bytes: Buffer, pieceBytes: number): SpdyEvent[] {
  const events: SpdyEvent[] = [];
  const decoder = new SpdyDecoder((event) => events.push(event));
  for (let at = 0; at < bytes.length; at += pieceBytes) decoder.push(bytes.subarray(at, at + pieceBytes));
  return events;
}

/** Joins the pieces in which data frames arrive, which depend on how the bytes were cut. */
function joined(events: readonly SpdyEvent[]): unknown[] {
  const out: (
    | Exclude<SpdyEvent, { type: 'data' }>
    | { type?: never; streamId: number; text: string; fin: boolean }
  )[] = [];
  for (const event of events) {
    const last = out.at(-1);
    if (event.type !== 'data') out.push(event);
    else if (last !== undefined && 'text' in last && last.streamId === event.streamId && !last.fin) {
      last.text += event.chunk.toString();
      last.fin = event.fin;
    } else out.push({ streamId: event.streamId, text: event.chunk.toString(), fin: event.fin });
  }
  return out;
}

test.each([1, 3, 8, 100_000])('decodes frames that arrive %i bytes at a time', (pieceBytes) => {
  const encoder = new SpdyEncoder();
  const bytes = Buffer.concat([
    encoder.synStream(1, [['streamtype', 'stdin']]),
    dataFrameHead(1, 5, false),
    Buffer.from('hello'),
    dataFrameHead(1, 0, false),
    pingFrame(3),
    encoder.synStream(3, [['streamtype', 'error']]),
    dataFrameHead(3, 2, true),
    Buffer.from('by'),
    dataFrameHead(1, 0, true),
    rstStreamFrame(1, 5),
    goawayFrame(3, 0),
  ]);
  expect(joined(decode(bytes, pieceBytes))).toEqual([
    {
      type: 'syn-stream',
      streamId: 1,
      fin: false,
      unidirectional: false,
      headers: new Map([['streamtype', 'stdin']]),
    },
    { streamId: 1, text: 'hello', fin: false },
    { type: 'ping', id: 3 },
    {
      type: 'syn-stream',
      streamId: 3,
      fin: false,
      unidirectional: false,
      headers: new Map([['streamtype', 'error']]),
    },
    { streamId: 3, text: 'by', fin: true },
    { streamId: 1, text: '', fin: true },
    { type: 'rst-stream', streamId: 1, status: 5 },
    { type: 'goaway', lastStreamId: 3, status: 0 },
  ]);
});

test('ignores SETTINGS and WINDOW_UPDATE', () => {
  const settings = Buffer.from('80030004000000040000000080030009000000080000000100001000', 'hex');
  expect(decode(settings, 5)).toEqual([]);
});

test('hands a frame of 16 MiB on as it comes, without copying', () => {
  const chunk = Buffer.alloc(64 * 1024);
  const seen: SpdyEvent[] = [];
  const decoder = new SpdyDecoder((event) => seen.push(event));
  decoder.push(dataFrameHead(1, 0xffffff, false));
  decoder.push(chunk);
  expect(seen[0]?.type === 'data' && seen[0].chunk === chunk).toBe(true);
});

test.each([
  ['data for stream 0', '0000000000000001aa'],
  ['version 2', '8002000600000004' + '00000001'],
  ['an unknown type', '80030005' + '00000000'],
  ['a RST_STREAM of 4 bytes', '80030003' + '00000004' + '00000001'],
  ['a PING of 8 bytes', '80030006' + '00000008' + '0000000100000000'],
  ['a GOAWAY of 4 bytes', '80030007' + '00000004' + '00000001'],
  ['a WINDOW_UPDATE of 4 bytes', '80030009' + '00000004' + '00000001'],
  ['a reset of stream 0', '80030003' + '00000008' + '0000000000000001'],
  ['a SYN_STREAM of 9 bytes', '80030001' + '00000009' + '000000010000000000'],
  ['a SYN_STREAM without a header block', '80030001' + '0000000a' + '00000001000000000000'],
  ['a control frame of 16 MiB', '8003000100ffffff'],
])('refuses %s', (_name, hex) => {
  expect(() => decode(Buffer.from(hex, 'hex'), 64)).toThrow(ProtocolError);
});

test('noise ends in a protocol error or in nothing, and never gathers much', () => {
  for (let round = 0; round < 2000; round++) {
    const noise = randomBytes(300);
    // Half of the rounds begin with a plausible control frame.
    if (round % 2 === 0) noise.writeUInt32BE(0x80030000 + (round % 10), 0);
    if (round % 4 === 0) noise.writeUInt32BE(round % 200, 4);
    try {
      decode(noise, 7);
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
    }
  }
});
