/** Bytes to decoded messages: protobufjs' Reader, made strict, and the walk over a message's plan. */
import { isUtf8 } from 'node:buffer';
import protobuf from 'protobufjs/minimal.js';
import { emptyList, emptyMap, type FieldPlan, type MessagePlan, StringMap } from './plan.ts';

type Target = Record<string, unknown>;

const words = new Uint32Array(2);
const signed = new BigInt64Array(words.buffer);
const unsigned = new BigUint64Array(words.buffer);

/**
 * protobufjs' Reader with the gaps closed that matter for input from outside: its strings stop silently at the end of
 * the input, and its 64-bit varints may read past it. `len` is narrowed to the submessage being read, so that no
 * field can reach out of its message.
 */
export class StrictReader extends protobuf.Reader {
  declare buf: Buffer;

  constructor(bytes: Uint8Array) {
    super(Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  /** Reads a length and moves past that many bytes; returns where they begin. */
  #take(): number {
    const length = this.uint32();
    const start = this.pos;
    if (length > this.len - start)
      throw new RangeError(`length ${length} at offset ${start} is past the end`);
    this.pos = start + length;
    return start;
  }

  /**
   * Text must be UTF-8 (proto3 language guide, "Scalar Value Types"): a path or name with a replacement character in it
   * would be another one than the client meant.
   */
  override string(field = 'a map'): string {
    const start = this.#take();
    if (start === this.pos) return '';
    const text = this.buf.toString('utf8', start, this.pos);
    // Only text that holds a replacement character can have been malformed, and it may have been sent as one.
    if (text.includes('\ufffd') && !isUtf8(this.buf.subarray(start, this.pos)))
      throw new RangeError(`text of ${field} at offset ${start} is not UTF-8`);
    return text;
  }

  /** A copy: a slice would keep the whole request in memory for as long as one value of it lives. */
  override bytes(): Buffer {
    const start = this.#take();
    return Buffer.from(this.buf.subarray(start, this.pos));
  }

  /** Narrows the reader to the submessage that follows and returns the end to go back to with `leave`. */
  enter(): number {
    const start = this.#take();
    const outer = this.len;
    this.len = this.pos;
    this.pos = start;
    return outer;
  }

  leave(outer: number): void {
    this.len = outer;
  }

  #varint64(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= this.len) throw new RangeError(`number at offset ${this.pos} is past the end`);
      const byte = this.buf[this.pos++]!;
      if (shift < 28) low |= (byte & 127) << shift;
      else if (shift === 28) {
        low |= (byte & 127) << 28;
        high |= (byte & 127) >> 4;
      } else high |= (byte & 127) << (shift - 32);
      if (byte < 128) {
        words[0] = low;
        words[1] = high;
        return;
      }
    }
    throw new RangeError(`number at offset ${this.pos} is longer than ten bytes`);
  }

  bigInt64(): bigint {
    this.#varint64();
    return signed[0]!;
  }

  bigUint64(): bigint {
    this.#varint64();
    return unsigned[0]!;
  }
}

/** Reads fields up to the end of `reader`. Into `known` if given: a submessage that comes twice is merged. */
export function readMessage(reader: StrictReader, plan: MessagePlan, known?: Target): Target {
  const target = known ?? emptyMessage(plan);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const number = tag >>> 3;
    if (number === 0) throw new RangeError(`field number 0 at offset ${reader.pos} of ${plan.name}`);
    const field = plan.byNumber[number];
    if (field === undefined) reader.skipType(tag & 7);
    else readField(reader, field, tag & 7, target);
  }
  return target;
}

function emptyMessage(plan: MessagePlan): Target {
  return { ...plan.template };
}

function readField(reader: StrictReader, field: FieldPlan, wireType: number, target: Target): void {
  if (field.kind === 'map' && wireType === 2) {
    readMapEntry(reader, field, target);
  } else if (field.kind === 'entries' && wireType === 2) {
    readEntry(reader, field, target);
  } else if (field.repeated && wireType === 2 && field.wireType !== 2) {
    const list = listOf(target, field);
    const outer = reader.enter();
    while (reader.pos < reader.len) list.push(readValue(reader, field, undefined));
    reader.leave(outer);
  } else if (wireType !== field.wireType) {
    reader.skipType(wireType);
  } else if (field.repeated) {
    listOf(target, field).push(readValue(reader, field, undefined));
  } else {
    target[field.name] = readValue(reader, field, target[field.name] as Target | undefined);
  }
}

function listOf(target: Target, field: FieldPlan): unknown[] {
  const list = target[field.name] as unknown[];
  if (list !== emptyList) return list;
  const fresh: unknown[] = [];
  target[field.name] = fresh;
  return fresh;
}

function readValue(reader: StrictReader, field: FieldPlan, known: Target | undefined): unknown {
  switch (field.kind) {
    case 'string':
      return reader.string(field.name);
    case 'message': {
      const outer = reader.enter();
      const message = readMessage(reader, field.message, known);
      reader.leave(outer);
      return message;
    }
    case 'int64':
      return reader.bigInt64();
    case 'uint64':
      return reader.bigUint64();
    case 'bool':
      return reader.bool();
    case 'enum':
    case 'int32':
      return reader.int32();
    case 'uint32':
      return reader.uint32();
    case 'bytes':
      return reader.bytes();
    case 'double':
      return reader.double();
    case 'map':
    case 'entries':
      throw new TypeError(`map ${field.name} is not a single value`);
  }
}

function readMapEntry(reader: StrictReader, field: FieldPlan, target: Target): void {
  const outer = reader.enter();
  let key = '';
  let value = '';
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 0x0a) key = reader.string(field.name);
    else if (tag === 0x12) value = reader.string(field.name);
    else reader.skipType(tag & 7);
  }
  reader.leave(outer);
  mapOf(target, field)[key] = value;
}

/** An entry without a value stands for an empty one, be it a message. */
function readEntry(reader: StrictReader, field: FieldPlan, target: Target): void {
  const outer = reader.enter();
  const entry = readMessage(reader, field.message);
  reader.leave(outer);
  const valuePlan = field.message.byNumber[2]!;
  const value = entry.value ?? emptyMessage(valuePlan.message);
  mapOf(target, field)[String(entry.key)] = value;
}

function mapOf(target: Target, field: FieldPlan): Record<string, unknown> {
  const map = target[field.name] as Record<string, unknown>;
  if (map !== emptyMap) return map;
  const fresh: Record<string, unknown> = new StringMap();
  target[field.name] = fresh;
  return fresh;
}
