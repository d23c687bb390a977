/**
 * Messages to bytes and back by their plan, on protobufjs' Reader and Writer.
 *
 * What differs from protobufjs' own `Type.encode` and `Type.decode`: 64-bit numbers are bigint; maps are safe for any
 * key; every absent field is filled in; a submessage that is cut short or reaches past its parent is an error; lone
 * surrogates in strings are written as U+FFFD, because Go clients refuse a message with malformed UTF-8.
 * Source: Protocol Buffers, "Encoding" and the proto3 language guide, "Default Values" and "Updating A Message Type".
 */
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { MessagePlan } from './plan.ts';
import { readMessage, StrictReader } from './reader.ts';
import { ContiguousWriter, varintSize, writeMessage } from './writer.ts';

/** One for all calls: encoding never yields, and `reset` clears what a failed call left. */
const writer = new ContiguousWriter();

/**
 * The bytes of `value`, with fields in the order of their numbers and defaults left out. Properties the message does not
 * have are ignored. Throws Internal if a value has the wrong type: the value is ours, so that is a bug of ours.
 */
export function encodeMessage(plan: MessagePlan, value: object): Buffer {
  try {
    writeMessage(writer, plan, value as Record<string, unknown>);
    return writer.finish();
  } catch (error) {
    throw new RuntimeError('Internal', `encode message ${plan.name}: ${messageOf(error)}`, { cause: error });
  } finally {
    writer.reset();
  }
}

/** The message in `bytes`, every field present. Throws InvalidArgument if the bytes are not such a message. */
export function decodeMessage(plan: MessagePlan, bytes: Uint8Array): Record<string, unknown> {
  try {
    return readMessage(new StrictReader(bytes), plan);
  } catch (error) {
    throw new RuntimeError('InvalidArgument', `decode message ${plan.name}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/**
 * The bytes of a message whose repeated field `fieldNumber` holds the messages already encoded in `items`: a list
 * reply made of cached containers, for instance. Pieces may be joined with Buffer.concat, since the concatenation of
 * two encodings is their merge. An empty list gives no bytes. Source: Protocol Buffers, "Encoding", "Last One Wins".
 */
export function encodeRepeatedField(fieldNumber: number, items: readonly Uint8Array[]): Buffer {
  const tag = (fieldNumber << 3) | 2;
  let sizeBytes = 0;
  for (const item of items) sizeBytes += varintSize(tag) + varintSize(item.length) + item.length;
  const out = Buffer.allocUnsafe(sizeBytes);
  let position = 0;
  for (const item of items) {
    position = putVarint(out, tag, position);
    position = putVarint(out, item.length, position);
    out.set(item, position);
    position += item.length;
  }
  return out;
}

function putVarint(out: Buffer, value: number, at: number): number {
  let position = at;
  let rest = value >>> 0;
  while (rest > 127) {
    out[position++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  out[position++] = rest;
  return position;
}
