/**
 * Messages of the CRI to bytes and back, on protobufjs' Reader and Writer.
 *
 * What differs from protobufjs' own `Type.encode` and `Type.decode`: 64-bit numbers are bigint; maps are safe for any
 * key; every absent field is filled in; a submessage that is cut short or reaches past its parent is an error; lone
 * surrogates in strings are written as U+FFFD, because Go clients refuse a message with malformed UTF-8.
 * Source: Protocol Buffers, "Encoding" and the proto3 language guide, "Default Values" and "Updating A Message Type".
 */
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { MessageInits, MessageName, Messages } from './generated/cri.ts';
import { messagePlan } from './plan.ts';
import { readMessage, StrictReader } from './reader.ts';
import { ContiguousWriter, varintSize, writeMessage } from './writer.ts';

/** One for all calls: encoding never yields, and `reset` clears what a failed call left. */
const writer = new ContiguousWriter();

/**
 * The bytes of `value` as message `typeName`, with fields in the order of their numbers and defaults left out.
 * Properties the message does not have are ignored. Throws Internal if a value has the wrong type (a number where a
 * bigint belongs): the value is ours, so that is a bug of ours.
 */
export function encode<K extends MessageName>(typeName: K, value: MessageInits[K]): Buffer {
  try {
    writeMessage(writer, messagePlan(typeName), value as Record<string, unknown>);
    return writer.finish();
  } catch (error) {
    throw new RuntimeError('Internal', `encode message ${typeName}: ${messageOf(error)}`, { cause: error });
  } finally {
    writer.reset();
  }
}

/**
 * The message `typeName` in `bytes`. Unknown fields are skipped. Malformed UTF-8 in a string field becomes U+FFFD;
 * `bytes` fields (environment values) are exact copies and do not keep the input alive. Absent fields get their
 * default; empty lists and maps are shared and frozen. Throws InvalidArgument if the bytes are not such a message.
 */
export function decode<K extends MessageName>(typeName: K, bytes: Uint8Array): Messages[K] {
  const plan = messagePlan(typeName);
  try {
    return readMessage(new StrictReader(bytes), plan) as Messages[K];
  } catch (error) {
    throw new RuntimeError('InvalidArgument', `decode message ${typeName}: ${messageOf(error)}`, {
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
