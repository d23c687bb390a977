/** Messages of NRI and the envelopes of ttrpc to bytes and back; see `../message-codec.ts` for how. */
import { decodeMessage, encodeMessage } from '../message-codec.ts';
import { PlanTable } from '../plan.ts';
import type { MessageInits, MessageName, Messages } from './generated/nri.ts';
import type {
  MessageInits as EnvelopeInits,
  MessageName as EnvelopeName,
  Messages as Envelopes,
} from './generated/ttrpc.ts';

export { encodeRepeatedField } from '../message-codec.ts';

const plans = new PlanTable(new URL('generated/nri.json', import.meta.url), 'nri.pkg.api.v1alpha1');
const envelopes = new PlanTable(new URL('generated/ttrpc.json', import.meta.url), 'ttrpc');

/** The bytes of a message of NRI. Throws Internal if a value has the wrong type. */
export function encode<K extends MessageName>(typeName: K, value: MessageInits[K]): Buffer {
  return encodeMessage(plans.get(typeName), value);
}

/** A message of NRI. Throws InvalidArgument if the bytes are none. */
export function decode<K extends MessageName>(typeName: K, bytes: Uint8Array): Messages[K] {
  return decodeMessage(plans.get(typeName), bytes) as unknown as Messages[K];
}

/** The bytes of an envelope. */
export function encodeEnvelope<K extends EnvelopeName>(typeName: K, value: EnvelopeInits[K]): Buffer {
  return encodeMessage(envelopes.get(typeName), value);
}

/** An envelope. Throws InvalidArgument if the bytes are none. */
export function decodeEnvelope<K extends EnvelopeName>(typeName: K, bytes: Uint8Array): Envelopes[K] {
  return decodeMessage(envelopes.get(typeName), bytes) as unknown as Envelopes[K];
}
