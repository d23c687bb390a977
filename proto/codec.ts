/** Messages of the CRI to bytes and back; see `message-codec.ts` for how. */
import type { MessageInits, MessageName, Messages } from './generated/cri.ts';
import { decodeMessage, encodeMessage } from './message-codec.ts';
import { PlanTable } from './plan.ts';

export { encodeRepeatedField } from './message-codec.ts';

const plans = new PlanTable(new URL('generated/cri.json', import.meta.url), 'runtime.v1');

/**
 * The bytes of `value` as message `typeName`, with fields in the order of their numbers and defaults left out.
 * Properties the message does not have are ignored. Throws Internal if a value has the wrong type (a number where a
 * bigint belongs): the value is ours, so that is a bug of ours.
 */
export function encode<K extends MessageName>(typeName: K, value: MessageInits[K]): Buffer {
  return encodeMessage(plans.get(typeName), value);
}

/**
 * The message `typeName` in `bytes`. Unknown fields are skipped. `bytes` fields (environment values) are
 * exact copies and do not keep the input alive. Absent fields get their default; empty lists and maps are shared and
 * frozen. Throws InvalidArgument if the bytes are not such a message, or a string in it is not UTF-8.
 */
export function decode<K extends MessageName>(typeName: K, bytes: Uint8Array): Messages[K] {
  return decodeMessage(plans.get(typeName), bytes) as unknown as Messages[K];
}
