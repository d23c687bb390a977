/**
 * How each message is laid out on the wire, built from protobufjs' JSON descriptor on first use of the message.
 * The JSON form is interpreted directly: protobufjs' reflection classes would cost several times the memory of this.
 */
import { readFileSync } from 'node:fs';

/**
 * What a field holds. `enum` travels as int32, `message`, `map` and `entries` as length-delimited submessages; `map` is from
 * text to text, `entries` a map of any other types.
 */
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
  | 'map'
  | 'entries';

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
  /** The plan of a message field, or of one entry of `entries`; a getter, so that nested plans are built when first met. */
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

/** The messages of one package. The descriptor is read when the first message is asked for. */
export class PlanTable {
  readonly #file: URL;
  readonly #packageName: string;
  readonly #plans = new Map<string, MessagePlan>();
  #types: Readonly<Record<string, TypeJson>> | undefined;

  /** `file` holds protobufjs' JSON form of the descriptor. */
  constructor(file: URL, packageName: string) {
    this.#file = file;
    this.#packageName = packageName;
  }

  #typesOfPackage(): Readonly<Record<string, TypeJson>> {
    if (this.#types === undefined) {
      let json = JSON.parse(readFileSync(this.#file, 'utf8')) as TypeJson;
      for (const part of this.#packageName.split('.')) json = json.nested![part]!;
      this.#types = json.nested!;
    }
    return this.#types;
  }

  /** The plan of the message called `name`. Throws TypeError if there is none. */
  get(name: string): MessagePlan {
    const known = this.#plans.get(name);
    if (known !== undefined) return known;
    const types = this.#typesOfPackage();
    const json = Object.hasOwn(types, name) ? types[name] : undefined;
    if (json?.fields === undefined) throw new TypeError(`no message ${name} in package ${this.#packageName}`);
    const plan = this.#messagePlan(name, json.fields, json);
    this.#plans.set(name, plan);
    return plan;
  }

  #messagePlan(name: string, json: Readonly<Record<string, FieldJson>>, owner: TypeJson): MessagePlan {
    const fields = Object.entries(json).map(([fieldName, field]) => this.#fieldPlan(fieldName, field, owner));
    fields.sort((a, b) => a.number - b.number);
    const byNumber: (FieldPlan | undefined)[] = new Array((fields.at(-1)?.number ?? 0) + 1).fill(undefined);
    for (const field of fields) byNumber[field.number] = field;
    const template: Record<string, unknown> = {};
    for (const field of fields) template[field.name] = field.absent;
    return { name, fields, byNumber, template };
  }

  #fieldPlan(name: string, json: FieldJson, owner: TypeJson): FieldPlan {
    const repeated = json.rule === 'repeated';
    const { kind, wireType, absent } = this.#valuePlan(json, owner);
    const { type, keyType } = json;
    // Protocol Buffers, "Encoding", Maps: each entry is a message of a key and a value.
    const nested =
      kind === 'entries'
        ? () =>
            this.#messagePlan(
              `an entry of ${name}`,
              { key: { type: keyType!, id: 1 }, value: { type, id: 2 } },
              owner,
            )
        : () => this.get(type);
    return new LazyFieldPlan(name, json.id, kind, repeated, wireType, repeated ? emptyList : absent, nested);
  }

  #valuePlan(json: FieldJson, owner: TypeJson): { kind: FieldKind; wireType: number; absent: unknown } {
    if (json.keyType !== undefined) {
      const kind = json.keyType === 'string' && json.type === 'string' ? 'map' : 'entries';
      return { kind, wireType: 2, absent: emptyMap };
    }
    const scalar = scalars[json.type];
    if (scalar !== undefined) return scalar;
    const resolved = owner.nested?.[json.type] ?? this.#typesOfPackage()[json.type];
    if (resolved?.values !== undefined) return { kind: 'enum', wireType: 0, absent: 0 };
    if (resolved?.fields !== undefined) return { kind: 'message', wireType: 2, absent: undefined };
    throw new TypeError(`field type ${json.type} is not supported by the codec`);
  }
}

class LazyFieldPlan implements FieldPlan {
  readonly name: string;
  readonly number: number;
  readonly kind: FieldKind;
  readonly repeated: boolean;
  readonly wireType: number;
  readonly tag: number;
  readonly absent: unknown;
  readonly #nested: () => MessagePlan;
  #message: MessagePlan | undefined;

  constructor(
    name: string,
    number: number,
    kind: FieldKind,
    repeated: boolean,
    wireType: number,
    absent: unknown,
    nested: () => MessagePlan,
  ) {
    this.name = name;
    this.number = number;
    this.kind = kind;
    this.repeated = repeated;
    this.wireType = wireType;
    // proto3 packs repeated numbers: the whole list is one length-delimited value.
    this.tag = (number << 3) | (repeated && wireType !== 2 ? 2 : wireType);
    this.absent = absent;
    this.#nested = nested;
  }

  get message(): MessagePlan {
    this.#message ??= this.#nested();
    return this.#message;
  }
}
