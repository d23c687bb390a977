/**
 * How each message is laid out on the wire, built from protobufjs' JSON descriptor on first use of the message.
 * The JSON form is interpreted directly: protobufjs' reflection classes would cost several times the memory of this.
 */
import { readFileSync } from 'node:fs';

/** What a field holds. `enum` travels as int32, `message` and `map` as length-delimited submessages. */
export type FieldKind =
  | 'double'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'bool'
  | 'string'
  | 'bytes'
  | 'enum'
  | 'message'
  | 'map';

export interface FieldPlan {
  readonly name: string;
  readonly number: number;
  readonly kind: FieldKind;
  readonly repeated: boolean;
  /** The wire type of one value. */
  readonly wireType: number;
  /** The tag one value is written under. */
  readonly tag: number;
  /** The value an absent field decodes to. Shared, so lists and maps among these are frozen. */
  readonly absent: unknown;
  /** The plan of a message field; a getter, so that nested plans are built when first met. */
  readonly message: MessagePlan;
}

export interface MessagePlan {
  readonly name: string;
  /** In order of the field numbers, which is the order on the wire. */
  readonly fields: readonly FieldPlan[];
  /** Indexed by field number; holes are unknown fields. */
  readonly byNumber: readonly (FieldPlan | undefined)[];
  /** The message with no field set, to be copied. */
  readonly template: Readonly<Record<string, unknown>>;
}

interface FieldJson {
  readonly type: string;
  readonly id: number;
  readonly rule?: string;
  readonly keyType?: string;
}

interface TypeJson {
  readonly fields?: Readonly<Record<string, FieldJson>>;
  readonly values?: Readonly<Record<string, number>>;
  readonly nested?: Readonly<Record<string, TypeJson>>;
}

/**
 * An object for string keys from outside. Its prototype chain has no accessor and no method, so `__proto__` and
 * `constructor` are keys like any other, and unlike `Object.create(null)` it keeps V8's compact layout.
 */
export const StringMap = function StringMap() {} as unknown as new () => Record<string, string>;
StringMap.prototype = Object.freeze(Object.create(null));

export const emptyList: readonly unknown[] = Object.freeze([]);
export const emptyMap: Readonly<Record<string, string>> = Object.freeze(new StringMap());
const emptyBytes = Buffer.alloc(0);

const scalars: Readonly<Record<string, { kind: FieldKind; wireType: number; absent: unknown }>> = {
  double: { kind: 'double', wireType: 1, absent: 0 },
  int32: { kind: 'int32', wireType: 0, absent: 0 },
  uint32: { kind: 'uint32', wireType: 0, absent: 0 },
  int64: { kind: 'int64', wireType: 0, absent: 0n },
  uint64: { kind: 'uint64', wireType: 0, absent: 0n },
  bool: { kind: 'bool', wireType: 0, absent: false },
  string: { kind: 'string', wireType: 2, absent: '' },
  bytes: { kind: 'bytes', wireType: 2, absent: emptyBytes },
};

let descriptor: Readonly<Record<string, TypeJson>> | undefined;
const plans = new Map<string, MessagePlan>();

function types(): Readonly<Record<string, TypeJson>> {
  if (descriptor === undefined) {
    const json = JSON.parse(readFileSync(new URL('generated/cri.json', import.meta.url), 'utf8'));
    descriptor = json.nested.runtime.nested.v1.nested as Readonly<Record<string, TypeJson>>;
  }
  return descriptor;
}

/** The plan of the message called `name` in package runtime.v1. Throws TypeError if there is none. */
export function messagePlan(name: string): MessagePlan {
  const known = plans.get(name);
  if (known !== undefined) return known;
  const json = Object.hasOwn(types(), name) ? types()[name] : undefined;
  if (json?.fields === undefined) throw new TypeError(`no message ${name} in package runtime.v1`);
  const fields = Object.entries(json.fields).map(([fieldName, field]) => fieldPlan(fieldName, field, json));
  fields.sort((a, b) => a.number - b.number);
  const byNumber: (FieldPlan | undefined)[] = new Array((fields.at(-1)?.number ?? 0) + 1).fill(undefined);
  for (const field of fields) byNumber[field.number] = field;
  const template: Record<string, unknown> = {};
  for (const field of fields) template[field.name] = field.absent;
  const plan: MessagePlan = { name, fields, byNumber, template };
  plans.set(name, plan);
  return plan;
}

function fieldPlan(name: string, json: FieldJson, owner: TypeJson): FieldPlan {
  const repeated = json.rule === 'repeated';
  const { kind, wireType, absent } = valuePlan(json, owner);
  return new LazyFieldPlan(name, json.id, kind, repeated, wireType, repeated ? emptyList : absent, json.type);
}

function valuePlan(json: FieldJson, owner: TypeJson): { kind: FieldKind; wireType: number; absent: unknown } {
  if (json.keyType !== undefined) {
    if (json.keyType === 'string' && json.type === 'string') {
      return { kind: 'map', wireType: 2, absent: emptyMap };
    }
    throw new TypeError(`map<${json.keyType}, ${json.type}> is not supported by the codec`);
  }
  const scalar = scalars[json.type];
  if (scalar !== undefined) return scalar;
  const resolved = owner.nested?.[json.type] ?? types()[json.type];
  if (resolved?.values !== undefined) return { kind: 'enum', wireType: 0, absent: 0 };
  if (resolved?.fields !== undefined) return { kind: 'message', wireType: 2, absent: undefined };
  throw new TypeError(`field type ${json.type} is not supported by the codec`);
}

class LazyFieldPlan implements FieldPlan {
  readonly name: string;
  readonly number: number;
  readonly kind: FieldKind;
  readonly repeated: boolean;
  readonly wireType: number;
  readonly tag: number;
  readonly absent: unknown;
  readonly #typeName: string;
  #message: MessagePlan | undefined;

  constructor(
    name: string,
    number: number,
    kind: FieldKind,
    repeated: boolean,
    wireType: number,
    absent: unknown,
    typeName: string,
  ) {
    this.name = name;
    this.number = number;
    this.kind = kind;
    this.repeated = repeated;
    this.wireType = wireType;
    // proto3 packs repeated numbers: the whole list is one length-delimited value.
    this.tag = (number << 3) | (repeated && wireType !== 2 ? 2 : wireType);
    this.absent = absent;
    this.#typeName = typeName;
  }

  get message(): MessagePlan {
    this.#message ??= messagePlan(this.#typeName);
    return this.#message;
  }
}
