import { describe, expect, it } from 'vitest';
import {
  type Message,
  MessageReader,
  maxBodyBytes,
  messageTypes,
  pluginCalls,
  runtimeCalls,
  writeMessage,
} from './wire.ts';

function message(size: number, more: Partial<Message> = {}): Message {
  const body = Buffer.alloc(size);
  for (let at = 0; at < size; at += 1) body[at] = at % 251;
  return { connection: runtimeCalls, streamId: 7, type: messageTypes.request, body, ...more };
}

/** The frames in bytes: connection and payload length of each. */
function frames(bytes: Buffer): [number, number][] {
  const found: [number, number][] = [];
  for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32BE(at + 4))
    found.push([bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]);
  return found;
}

function frame(connection: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(connection, 0);
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

describe('messages on the wire', () => {
  it('has the header of ttrpc in a frame of the mux', () => {
    const bytes = Buffer.concat(
      writeMessage({ connection: 2, streamId: 5, type: messageTypes.response, body: Buffer.from('hi') }),
    );
    expect(bytes.toString('hex')).toBe(
      ['00000002', '0000000c', '00000002', '00000005', '02', '00', '6869'].join(''),
    );
  });

  it.each([
    [0, [10]],
    [4086, [4096]],
    [4087, [4096, 1]],
    [maxBodyBytes, [4096, maxBodyBytes - 4086]],
  ])('begins a message of %d bytes with a frame that a Go plugin can take', (size, lengths) => {
    const bytes = Buffer.concat(writeMessage(message(size)));
    expect(frames(bytes).map(([, length]) => length)).toStrictEqual(lengths);
    const [read, ...more] = new MessageReader().push(bytes);
    expect(read?.body.equals(message(size).body)).toBe(true);
    expect(more).toHaveLength(0);
  });

  it('refuses to send what ttrpc cannot carry', () => {
    expect(() => writeMessage(message(maxBodyBytes + 1))).toThrow(
      expect.objectContaining({ kind: 'ResourceExhausted' }),
    );
  });

  it('reads the same however the bytes are cut', () => {
    const sent = [
      message(3),
      message(5000, { connection: pluginCalls, streamId: 1 }),
      message(0, { streamId: 9 }),
    ];
    const bytes = Buffer.concat(sent.flatMap(writeMessage));
    for (const size of [1, 7, 4096, bytes.length]) {
      const reader = new MessageReader();
      const read: Message[] = [];
      for (let at = 0; at < bytes.length; at += size)
        read.push(...reader.push(bytes.subarray(at, at + size)));
      expect(read).toStrictEqual(sent);
    }
  });

  it('reads messages of two connections whose frames alternate, and drops frames of others', () => {
    const cut = (sent: Message): Buffer[] => {
      const payload = Buffer.concat(writeMessage(sent)).subarray(8);
      return [payload.subarray(0, 4), payload.subarray(4)];
    };
    const ours = message(20);
    const theirs = message(30, { connection: pluginCalls });
    const [a, b] = [cut(ours), cut(theirs)];
    const bytes = Buffer.concat([
      frame(runtimeCalls, a[0]!),
      frame(pluginCalls, b[0]!),
      frame(3, Buffer.from('whatever')),
      frame(pluginCalls, b[1]!),
      frame(runtimeCalls, a[1]!),
    ]);
    expect(new MessageReader().push(bytes)).toStrictEqual([theirs, ours]);
  });

  it('gives up on lengths that nobody sends', () => {
    const tooLong = { kind: 'InvalidArgument' };
    const frameHeader = Buffer.from('00000001ffffffff', 'hex');
    expect(() => new MessageReader().push(frameHeader)).toThrow(expect.objectContaining(tooLong));
    const messageHeader = frame(runtimeCalls, Buffer.from('7fffffff000000010200', 'hex'));
    expect(() => new MessageReader().push(messageHeader)).toThrow(expect.objectContaining(tooLong));
  });
});
