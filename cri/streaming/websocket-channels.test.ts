import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { ProtocolError } from './protocol-error.ts';
import { ChannelDecoder, type ChannelEncoding, sendChannelMessages } from './websocket-channels.ts';
import { WebSocketDecoder } from './websocket-frames.ts';

function decode(
  encoding: ChannelEncoding,
  message: Buffer,
  pieceBytes: number,
  halfClose = false,
): Map<number, string> {
  const received = new Map<number, string>();
  const decoder = new ChannelDecoder(encoding, halfClose, (event) => {
    if (event.type === 'half-close') received.set(event.channel, 'closed');
    if (event.type === 'data') {
      received.set(event.channel, (received.get(event.channel) ?? '') + event.chunk.toString('latin1'));
    }
  });
  for (let at = 0; at < message.length; at += pieceBytes) {
    const chunk = message.subarray(at, at + pieceBytes);
    decoder.push({
      type: 'data',
      text: encoding === 'base64',
      chunk,
      first: at === 0,
      last: at + pieceBytes >= message.length,
    });
  }
  return received;
}

test.each([1, 2, 3, 5, 1000])('decodes both encodings from pieces of %i bytes', (pieceBytes) => {
  const text = 'a message of some length\n';
  expect(decode('binary', Buffer.from(`\0${text}`), pieceBytes)).toEqual(new Map([[0, text]]));
  const encoded = Buffer.from(`4${Buffer.from(text).toString('base64')}`);
  expect(decode('base64', encoded, pieceBytes)).toEqual(new Map([[4, text]]));
});

test('version 5 half-closes a channel with two bytes, other versions know no such thing', () => {
  expect(decode('binary', Buffer.from([255, 0]), 1, true)).toEqual(new Map([[0, 'closed']]));
  expect(decode('binary', Buffer.from([255, 0]), 1, false)).toEqual(new Map([[255, '\0']]));
  expect(() => decode('binary', Buffer.from([255, 0, 0]), 10, true)).toThrow(ProtocolError);
  expect(() => decode('binary', Buffer.from([255]), 10, true)).toThrow(ProtocolError);
});

test('refuses what is not base64', () => {
  for (const text of ['0ab*d', '0====', '0YQ==YQ==']) {
    expect(() => decode('base64', Buffer.from(text), 100)).toThrow(ProtocolError);
  }
});

test.each(['binary', 'base64'] as const)(
  'sends payloads of any size in messages of at most 32 KiB: %s',
  (encoding) => {
    const payload = randomBytes(100_000);
    const wire: Buffer[] = [];
    sendChannelMessages((...parts) => wire.push(...parts) > 0, encoding, 1, payload);
    const received: Buffer[] = [];
    let messages = 0;
    const channels = new ChannelDecoder(encoding, false, (event) => {
      if (event.type === 'data') received.push(event.chunk);
      if (event.type === 'message-end') messages++;
    });
    const frames = new WebSocketDecoder(false, (event) => {
      if (event.type === 'data') channels.push(event);
    });
    frames.push(Buffer.concat(wire));
    expect(Buffer.concat(received).equals(payload)).toBe(true);
    expect(messages).toBe(4);
  },
);
