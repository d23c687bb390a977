import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { ProtocolError } from './protocol-error.ts';
import { maskedFrame } from './testing/websocket-client.ts';
import {
  closeFrame,
  frameHead,
  opcode,
  unmask,
  WebSocketDecoder,
  type WebSocketEvent,
} from './websocket-frames.ts';

function decode(bytes: Buffer, pieceBytes: number, masked = true): WebSocketEvent[] {
  const events: WebSocketEvent[] = [];
  const decoder = new WebSocketDecoder(masked, (event) => events.push(event));
  // A copy: unmasking happens in place.
  const own = Buffer.from(bytes);
  for (let at = 0; at < own.length; at += pieceBytes) decoder.push(own.subarray(at, at + pieceBytes));
  return events;
}

function messages(events: readonly WebSocketEvent[]): string[] {
  const out: string[] = [];
  for (const event of events) {
    if (event.type !== 'data') out.push(event.type);
    else if (event.first)
      out.push(`${event.text ? 'text' : 'binary'}:${event.chunk}${event.last ? '.' : ''}`);
    else out[out.length - 1] += `${event.chunk}${event.last ? '.' : ''}`;
  }
  return out;
}

test.each([1, 2, 7, 1000])('decodes frames that arrive %i bytes at a time', (pieceBytes) => {
  const long = 'x'.repeat(300);
  const fragments = [
    maskedFrame(opcode.binary, Buffer.from('one ')),
    maskedFrame(opcode.continuation, Buffer.from('two')),
  ];
  fragments[0]![0] = opcode.binary; // no FIN
  const bytes = Buffer.concat([
    maskedFrame(opcode.text, Buffer.from('hi')),
    maskedFrame(opcode.binary, Buffer.from(long)),
    maskedFrame(opcode.binary, Buffer.alloc(0)),
    ...fragments,
    maskedFrame(opcode.ping, Buffer.from('are you there')),
    maskedFrame(opcode.close, Buffer.from([0x03, 0xe8])),
  ]);
  expect(messages(decode(bytes, pieceBytes))).toEqual([
    'text:hi.',
    `binary:${long}.`,
    'binary:.',
    'binary:one two.',
    'ping',
    'close',
  ]);
});

test('a ping between the fragments of a message does not disturb it', () => {
  const first = maskedFrame(opcode.text, Buffer.from('a'));
  first[0] = opcode.text;
  const bytes = Buffer.concat([
    first,
    maskedFrame(opcode.ping, Buffer.from('p')),
    maskedFrame(opcode.continuation, Buffer.from('b')),
  ]);
  const events = decode(bytes, 1000);
  expect(
    events
      .filter((event) => event.type === 'data')
      .map((event) => `${event.chunk} ${event.first} ${event.last}`),
  ).toEqual(['a true false', 'b false true']);
});

test('unmasks at every offset and alignment', () => {
  const mask = randomBytes(6);
  for (let offset = 0; offset < 4; offset++) {
    for (let start = 0; start < 5; start++) {
      const plain = randomBytes(41);
      const piece = Buffer.alloc(64).subarray(start, start + plain.length);
      plain.forEach((byte, i) => {
        piece[i] = byte ^ mask[2 + ((offset + i) % 4)]!;
      });
      unmask(piece, mask, 2, offset);
      expect(piece.equals(plain)).toBe(true);
    }
  }
});

test('a frame length above 64 KiB round-trips', () => {
  const events = decode(
    Buffer.concat([frameHead(opcode.binary, 70_000), Buffer.alloc(70_000)]),
    100_000,
    false,
  );
  expect(events).toMatchObject([{ type: 'data', first: true, last: true }]);
});

test('a close frame carries its code and reason', () => {
  expect(decode(closeFrame(1002, 'bad'), 100, false)).toEqual([{ type: 'close', code: 1002, reason: 'bad' }]);
  expect(decode(frameHead(opcode.close, 0), 100, false)).toEqual([{ type: 'close', code: 1005, reason: '' }]);
});

test.each([
  ['an unmasked frame of a client', '8100'],
  ['reserved bits', 'c180' + '00000000'],
  ['a reserved data opcode', '8380' + '00000000'],
  ['a reserved control opcode', '8b80' + '00000000'],
  ['a fragmented ping', '0980' + '00000000'],
  ['a ping of 126 bytes', '89fe007e' + '00000000'],
  ['a continuation of nothing', '8080' + '00000000'],
  ['a message inside a message', '0180' + '00000000' + '8180' + '00000000'],
  ['a close frame of one byte', '8881' + '00000000' + '00'],
  ['a length beyond 2^53', '82ff' + '7fffffffffffffff' + '00000000'],
])('refuses %s', (_name, hex) => {
  expect(() => decode(Buffer.from(hex, 'hex'), 100)).toThrow(ProtocolError);
});

test('noise ends in a protocol error or in nothing', () => {
  for (let round = 0; round < 2000; round++) {
    const noise = randomBytes(200);
    noise[1] = noise[1]! | 0x80;
    try {
      decode(noise, 5);
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
    }
  }
});
