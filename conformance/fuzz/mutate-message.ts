/**
 * Protobuf messages changed by their structure: a valid message is taken apart along its description, some fields are
 * given other values, types, lengths or places, and it is put together again (protobuf encoding guide, wire types).
 */
import type { MessagePlan } from '#proto/plan.ts';
import { edgeIntegers, mutateBytes, mutateText } from './mutate.ts';
import type { Random } from './random.ts';

interface Field {
  number: number;
  wireType: number;
  /** Varint and fixed values as numbers; bytes, or the fields of a message. */
  value: bigint | Buffer | Field[];
  /** How many bytes it says it has, where that is a lie. */
  claimedLength?: bigint;
}

function readVarint(bytes: Buffer, at: number): [bigint, number] {
  let value = 0n;
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[at]!;
    at += 1;
    value |= BigInt(byte & 0x7f) << shift;
    if ((byte & 0x80) === 0) return [value, at];
  }
}

/** A little more than the daemon takes. */
const largestBytes = 17 << 20;

/** Takes a well-formed message apart. */
function parse(bytes: Buffer, plan: MessagePlan): Field[] {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length; ) {
    const [tag, afterTag] = readVarint(bytes, at);
    const number = Number(tag >> 3n);
    const wireType = Number(tag & 7n);
    if (wireType === 0) {
      const [value, end] = readVarint(bytes, afterTag);
      fields.push({ number, wireType, value });
      at = end;
    } else if (wireType === 1) {
      fields.push({ number, wireType, value: bytes.readBigUInt64LE(afterTag) });
      at = afterTag + 8;
    } else {
      const [length, start] = readVarint(bytes, afterTag);
      at = start + Number(length);
      const content = bytes.subarray(start, at);
      const described = plan.byNumber[number];
      const isMessage = described?.kind === 'message' || described?.kind === 'entries';
      fields.push({ number, wireType, value: isMessage ? parse(content, described.message) : content });
    }
  }
  return fields;
}

function varint(value: bigint, bytes = 1): Buffer {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn || out.length < bytes - 1) {
    out.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return Buffer.from(out);
}

function write(fields: readonly Field[]): Buffer {
  const parts: Buffer[] = [];
  for (const { number, wireType, value, claimedLength } of fields) {
    parts.push(varint((BigInt(number) << 3n) | BigInt(wireType)));
    if (typeof value === 'bigint') {
      const fixed = Buffer.alloc(8);
      fixed.writeBigUInt64LE(BigInt.asUintN(64, value));
      if (wireType === 1) parts.push(fixed);
      else if (wireType === 5) parts.push(fixed.subarray(0, 4));
      else parts.push(varint(value));
      continue;
    }
    const content = Buffer.isBuffer(value) ? value : write(value);
    if (wireType === 2) parts.push(varint(claimedLength ?? BigInt(content.length)));
    parts.push(content);
  }
  return Buffer.concat(parts);
}

/** Every list of fields in the message, the outermost first. */
function listsOf(fields: Field[]): Field[][] {
  return [fields, ...fields.flatMap(({ value }) => (Array.isArray(value) ? listsOf(value) : []))];
}

const illFormedTexts = [
  Buffer.from([0xff]),
  Buffer.from([0xc0, 0xaf]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xf4, 0x90, 0x80, 0x80]),
  Buffer.from([0xe2, 0x82]),
];

function mutateValue(random: Random, field: Field): void {
  const { value } = field;
  if (typeof value === 'bigint') {
    field.value = random.chance(0.7) ? random.pick(edgeIntegers) : value ^ (1n << BigInt(random.below(64)));
  } else if (Buffer.isBuffer(value)) {
    const kind = random.below(20);
    if (kind === 0) field.value = Buffer.concat([value, random.pick(illFormedTexts)]);
    else if (kind === 1) field.value = random.bytes(random.below(64));
    else if (kind === 2 && random.chance(0.1)) field.value = Buffer.alloc(1 << 20, 'a');
    else field.value = Buffer.from(mutateText(random, value.toString('utf8')));
  } else field.value = random.chance(0.5) ? [] : random.bytes(random.below(64));
}

function mutateOnce(random: Random, fields: Field[]): void {
  const lists = listsOf(fields);
  const list = random.pick(lists);
  const index = random.below(list.length);
  const field = list[index];
  const kind = random.below(20);
  if (!field || kind === 0) {
    // A field that the message does not have, or a group, which this version of protobuf no longer has.
    const number = random.pick([1, 2, 15, 16, 99, 19_000, 2 ** 29 - 1]);
    const wireType = random.below(8);
    list.push({ number, wireType, value: random.chance(0.5) ? random.bytes(random.below(32)) : 7n });
  } else if (kind < 10) mutateValue(random, field);
  else if (kind < 12) list.splice(index, 1);
  else if (kind === 12) list.push(...Array.from({ length: 1 << random.below(8) }, () => field));
  else if (kind === 13) field.wireType = random.below(8);
  else if (kind === 14) field.claimedLength = random.pick(edgeIntegers);
  else if (kind === 15)
    random.pick(lists).push(...structuredCopy([random.pick(random.pick(lists)) ?? field]));
  else if (kind === 16) field.number = 1 + random.below(24);
  else if (kind === 17 && Array.isArray(field.value)) {
    for (let depth = 1 << random.below(10); depth > 0; depth -= 1)
      field.value = [{ number: field.number, wireType: 2, value: field.value }];
  } else mutateValue(random, field);
}

/** A message like the valid one in `bytes`, changed in one to four places. */
export function mutateMessage(random: Random, bytes: Buffer, plan: MessagePlan): Buffer {
  if (random.chance(0.02)) return random.bytes(random.below(256));
  const fields = structuredCopy(parse(bytes, plan));
  // One change reaches furthest into the daemon.
  for (let count = random.chance(0.5) ? 1 : 1 + random.below(4); count > 0; count -= 1)
    mutateOnce(random, fields);
  const changed = write(fields).subarray(0, largestBytes);
  return random.chance(0.1) ? mutateBytes(random, changed) : changed;
}

/** A copy that shares no list with the original: a message must not come to contain itself. */
function structuredCopy(fields: readonly Field[]): Field[] {
  return fields.map((field) => ({
    ...field,
    value: Array.isArray(field.value) ? structuredCopy(field.value) : field.value,
  }));
}
