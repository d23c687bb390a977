/** Messages of the admin service to bytes and back; see `../message-codec.ts` for how. */
import { decodeMessage, encodeMessage } from '../message-codec.ts';
import { PlanTable } from '../plan.ts';
import type { MessageInits, MessageName, Messages } from './generated/admin.ts';

const plans = new PlanTable(new URL('generated/admin.json', import.meta.url), 'berth.admin.v1');

/** The bytes of a message. Throws Internal if a value has the wrong type. */
export function encode<K extends MessageName>(typeName: K, value: MessageInits[K]): Buffer {
  return encodeMessage(plans.get(typeName), value);
}

/** A message. Throws InvalidArgument if the bytes are none. */
export function decode<K extends MessageName>(typeName: K, bytes: Uint8Array): Messages[K] {
  return decodeMessage(plans.get(typeName), bytes) as unknown as Messages[K];
}
