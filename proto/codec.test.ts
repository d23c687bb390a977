import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { RuntimeError } from '#base/errors.ts';
import { decode, encode, encodeRepeatedField } from './codec.ts';
import { ContainerState, ImageService, type MessageName, RuntimeService } from './generated/cri.ts';

const protoPath = new URL('runtime/v1/api.proto', import.meta.url);
/** The reference: protobufjs' reflection over the proto itself, not over what the generator made of it. */
const reference = protobuf.parse(readFileSync(protoPath, 'utf8'), { keepCase: true }).root.resolveAll();
const referenceTypes = (reference.lookup('runtime.v1') as protobuf.Namespace).nestedArray.filter(
  (object) => object instanceof protobuf.Type,
);

const Long = protobuf.util.Long as unknown as {
  fromBits(low: number, high: number, unsigned: boolean): unknown;
};

/** A small deterministic generator (mulberry32), so that a failure can be run again. */
function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const strings = [
  '',
  'a',
  'io.kubernetes.pod.name',
  'ä'.repeat(70),
  '日本語',
  '🚢',
  'x'.repeat(127),
  'y'.repeat(200),
];
const int64s = [0n, 1n, -1n, 127n, 128n, 1763791234567890123n, 2n ** 63n - 1n, -(2n ** 63n)];
const uint64s = [0n, 1n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
const int32s = [0, 1, -1, 137, 2147483647, -2147483648];

/** One value as we take it and as protobufjs takes it. */
interface Pair {
  readonly ours: unknown;
  readonly theirs: unknown;
}

function toLong(value: bigint, unsigned: boolean): unknown {
  const low = Number(BigInt.asIntN(32, value));
  const high = Number(BigInt.asIntN(32, value >> 32n));
  return Long.fromBits(low, high, unsigned);
}

function randomValue(field: protobuf.Field, random: () => number): Pair {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const same = (value: unknown): Pair => ({ ours: value, theirs: value });
  if (field.resolvedType instanceof protobuf.Type) return randomMessage(field.resolvedType, random);
  if (field.resolvedType instanceof protobuf.Enum)
    return same(pick(Object.values(field.resolvedType.values)));
  if (field.type === 'int64' || field.type === 'uint64') {
    const value = pick(field.type === 'int64' ? int64s : uint64s);
    return { ours: value, theirs: toLong(value, field.type === 'uint64') };
  }
  switch (field.type) {
    case 'string':
      return same(pick(strings));
    case 'bytes':
      return same(Buffer.from([0xff, 0, 0xc3, 0x28].slice(0, Math.floor(random() * 5))));
    case 'bool':
      return same(random() < 0.5);
    case 'int32':
      return same(pick(int32s));
    case 'uint32':
      return same(pick([0, 1, 128, 4294967295]));
    case 'double':
      return same(pick([0, 0.25, -1e300, 12.34]));
    default:
      throw new Error(`no random value for ${field.type}`);
  }
}

function randomMessage(
  type: protobuf.Type,
  random: () => number,
): Pair & { theirs: Record<string, unknown> } {
  const ours: Record<string, unknown> = {};
  const theirs: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    if (random() < 0.4) continue;
    if (field.map) {
      const keys = ['', 'k', 'io.kubernetes.pod.uid', 'constructor'].filter(() => random() < 0.5);
      const map = Object.fromEntries(keys.map((key) => [key, strings[Math.floor(random() * 6)]!]));
      ours[field.name] = map;
      theirs[field.name] = map;
    } else if (field.repeated) {
      const pairs = Array.from({ length: Math.floor(random() * 3) }, () => randomValue(field, random));
      ours[field.name] = pairs.map((pair) => pair.ours);
      theirs[field.name] = pairs.map((pair) => pair.theirs);
    } else {
      const pair = randomValue(field, random);
      ours[field.name] = pair.ours;
      theirs[field.name] = pair.theirs;
    }
  }
  return { ours, theirs };
}

/** What protobufjs reads from `bytes`, in the shape we promise: defaults filled in, bigint, no absent message. */
function referenceDecode(type: protobuf.Type, bytes: Uint8Array): unknown {
  return normalize(type, type.toObject(type.decode(bytes), { defaults: true, longs: String }));
}

function normalize(type: protobuf.Type, message: Record<string, unknown>): unknown {
  const out: Record<string, unknown> = {};
  for (const field of type.fieldsArray) {
    const one = (value: unknown): unknown => {
      if (field.resolvedType instanceof protobuf.Type) {
        return value === null ? undefined : normalize(field.resolvedType, value as Record<string, unknown>);
      }
      if (field.type.endsWith('int64')) return BigInt(value as string);
      return field.type === 'bytes' ? Buffer.from(value as Uint8Array) : value;
    };
    const value = message[field.name];
    out[field.name] = field.repeated ? (value as unknown[]).map(one) : field.map ? value : one(value);
  }
  return out;
}

/** A decoded message with its maps as ordinary objects, for comparison. */
function plain(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** What the key `__proto__` gives, which on an ordinary object is its prototype. */
function ownProto(map: { readonly [key: string]: string }): unknown {
  return map[['__proto', '__'].join('')];
}

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('against protobufjs', () => {
  it.each(referenceTypes.map((type) => [type.name, type] as const))(
    '%s reads and writes the same',
    (name, type) => {
      const random = randomSource(name.length * 7919);
      for (let round = 0; round < 5; round++) {
        const { ours, theirs } = randomMessage(type, random);
        const written = encode(name as MessageName, ours as never);
        const expected = referenceDecode(type, type.encode(theirs).finish());
        expect(referenceDecode(type, written)).toStrictEqual(expected);
        // protobufjs writes a default that was set; reading it must give what leaving it out gives.
        const read = decode(name as MessageName, type.encode(theirs).finish());
        expect(plain(read)).toStrictEqual(expected);
        expect(encode(name as MessageName, read as never)).toStrictEqual(written);
      }
    },
  );

  it('every method has its path and messages', () => {
    const methods = [...Object.values(RuntimeService), ...Object.values(ImageService)];
    expect(methods).toHaveLength(43);
    for (const method of methods) {
      expect(decode(method.requestType, Buffer.alloc(0))).toBeTypeOf('object');
      expect(decode(method.responseType, Buffer.alloc(0))).toBeTypeOf('object');
    }
    expect(RuntimeService.GetContainerEvents).toMatchObject({
      path: '/runtime.v1.RuntimeService/GetContainerEvents',
      requestStream: false,
      responseStream: true,
    });
  });
});

describe('values', () => {
  it('keeps every 64-bit number exactly', () => {
    for (const value of int64s)
      expect(decode('Int64Value', encode('Int64Value', { value })).value).toBe(value);
    for (const value of uint64s)
      expect(decode('UInt64Value', encode('UInt64Value', { value })).value).toBe(value);
  });

  it('fills in what is absent', () => {
    const container = decode('Container', Buffer.alloc(0));
    expect(container).toMatchObject({ id: '', created_at: 0n, state: ContainerState.CONTAINER_CREATED });
    expect(container.metadata).toBeUndefined();
    expect('metadata' in container).toBe(true);
    expect(plain(container.labels)).toStrictEqual({});
    // Absent and empty are different answers: an absent profile is unconfined, an empty one the default profile.
    const empty = decode(
      'LinuxSandboxSecurityContext',
      encode('LinuxSandboxSecurityContext', { seccomp: {} }),
    );
    expect(empty.seccomp).toStrictEqual({ profile_type: 0, localhost_ref: '' });
    expect(empty.apparmor).toBeUndefined();
  });

  it('takes any string as a map key', () => {
    const labels = JSON.parse('{"__proto__":"p","constructor":"c","hasOwnProperty":"","":"empty"}');
    const read = decode('PodSandbox', encode('PodSandbox', { labels })).labels;
    expect(Object.entries(read)).toStrictEqual(Object.entries(labels));
    expect(ownProto(read)).toBe('p');
    expect(({} as Record<string, unknown>).p).toBeUndefined();
    const other = decode('PodSandbox', encode('PodSandbox', { labels: { a: 'b' } })).labels;
    expect([ownProto(other), other.constructor, other.toString]).toStrictEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('keeps environment bytes exactly and does not hold on to the request', () => {
    const value = Buffer.from([0x66, 0xff, 0xfe, 0x00]);
    const bytes = encode('KeyValue', { key: 'PATH', value });
    const read = decode('KeyValue', bytes);
    bytes.fill(0);
    expect(read.value).toStrictEqual(value);
  });

  it('refuses malformed text, names its field, and writes none itself', () => {
    const malformed = Buffer.from([0x0a, 3, 0x61, 0xff, 0x62]);
    expect(() => decode('VersionRequest', malformed)).toThrow(/text of version at offset 2 is not UTF-8/);
    const badKey = Buffer.from([0x1a, 4, 0x0a, 2, 0x61, 0xc0]);
    expect(() => decode('LinuxPodSandboxConfig', badKey)).toThrow(/text of sysctls/);
    const replaced = encode('VersionRequest', { version: 'a\ufffdb' });
    expect(decode('VersionRequest', replaced).version).toBe('a\ufffdb');
    for (const text of ['a\ud800b', `${'x'.repeat(50)}\udfff`]) {
      const bytes = encode('VersionRequest', { version: text });
      expect(decode('VersionRequest', bytes).version).toBe(text.toWellFormed());
      expect(new TextDecoder('utf-8', { fatal: true }).decode(bytes)).toContain('\ufffd');
    }
  });

  it('writes a reply larger than its buffer, and small ones after it', () => {
    const stdout = Buffer.alloc(3_000_000, 0x5a);
    const read = decode(
      'ExecSyncResponse',
      encode('ExecSyncResponse', { stdout, stderr: stdout, exit_code: -1 }),
    );
    expect(read.stdout.equals(stdout) && read.stderr.equals(stdout)).toBe(true);
    expect(read.exit_code).toBe(-1);
    const url = 'ä'.repeat(20_000);
    expect(decode('ExecResponse', encode('ExecResponse', { url })).url === url).toBe(true);
    expect(encode('VersionRequest', { version: '1' })).toStrictEqual(Buffer.from([0x0a, 1, 0x31]));
  });

  it('reports a value of the wrong type and is usable afterwards', () => {
    const wrong = { metadata: { name: 'x' }, created_at: 12 } as never;
    expect(thrownBy(() => encode('Container', wrong))).toMatchObject({ kind: 'Internal' });
    expect(encode('VersionRequest', { version: '1' })).toStrictEqual(Buffer.from([0x0a, 1, 0x31]));
  });
});

describe('the wire', () => {
  it('skips fields of a later version', () => {
    const known = encode('RunPodSandboxResponse', { pod_sandbox_id: 'abc' });
    const later = protobuf.Writer.create();
    later.uint32((900 << 3) | 2).string('text');
    later.uint32((901 << 3) | 0).uint64(5);
    later.uint32((902 << 3) | 1).double(1.5);
    later.uint32((903 << 3) | 5).float(1.5);
    later
      .uint32((904 << 3) | 3)
      .uint32((1 << 3) | 0)
      .uint32(7)
      .uint32((904 << 3) | 4);
    const bytes = Buffer.concat([later.finish(), known, later.finish()]);
    expect(decode('RunPodSandboxResponse', bytes)).toStrictEqual({ pod_sandbox_id: 'abc' });
  });

  it('reads numbers both packed and one by one', () => {
    const single = Buffer.from([0x10, 80, 0x10, 0xbb, 0x03]);
    expect(decode('PortForwardRequest', single).port).toStrictEqual([80, 443]);
    expect(encode('PortForwardRequest', { port: [80, 443] })).toStrictEqual(
      Buffer.from([0x12, 3, 80, 0xbb, 0x03]),
    );
  });

  it('merges a submessage that comes in two pieces', () => {
    const bytes = Buffer.concat([
      encode('Container', { metadata: { name: 'app' }, labels: { a: '1' } }),
      encode('Container', { metadata: { attempt: 3 }, labels: { b: '2' } }),
    ]);
    const { metadata, labels } = decode('Container', bytes);
    expect(metadata).toStrictEqual({ name: 'app', attempt: 3 });
    expect(plain(labels)).toStrictEqual({ a: '1', b: '2' });
  });

  it('refuses every message that is cut short inside a field', () => {
    const whole = encode('ContainerStatusResponse', {
      status: {
        id: 'abc',
        metadata: { name: 'n', attempt: 1 },
        created_at: 1763791234567890123n,
        labels: { a: 'b' },
      },
      info: { info: '{}' },
    });
    // Two places are ends of a field, where what is there is a whole message: the very start and before `info`.
    const ends = [
      0,
      encode('ContainerStatusResponse', { ...decode('ContainerStatusResponse', whole), info: {} }).length,
    ];
    for (let length = 0; length < whole.length; length++) {
      const error = thrownBy(() => decode('ContainerStatusResponse', whole.subarray(0, length)));
      if (ends.includes(length)) expect(error).toBeUndefined();
      else {
        expect(error, `after ${length} bytes`).toBeInstanceOf(RuntimeError);
        expect(error).toMatchObject({ kind: 'InvalidArgument' });
      }
    }
  });

  it.each([
    ['a field reaching out of its submessage', [0x1a, 2, 0x0a, 5, 0x61, 0x62, 0x63, 0x64, 0x65]],
    ['a length past the end', [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['field number 0', [0x02, 0]],
    ['an unknown wire type', [0x0f, 0]],
    ['an endless number', [0x38, ...new Array(11).fill(0xff)]],
  ])('refuses %s', (_title, bytes) => {
    expect(thrownBy(() => decode('Container', Buffer.from(bytes)))).toMatchObject({
      kind: 'InvalidArgument',
    });
  });

  it('survives noise: a message or InvalidArgument, nothing else', () => {
    const random = randomSource(42);
    for (let round = 0; round < 3000; round++) {
      const noise = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 60) }, () => random() * 256));
      const error = thrownBy(() => decode('ContainerConfig', noise));
      if (error !== undefined) expect(error).toMatchObject({ kind: 'InvalidArgument' });
    }
  });

  it('builds a list from items encoded before', () => {
    const containers = Array.from({ length: 40 }, (_, i) => ({
      id: `id${i}`,
      image_ref: 'r'.repeat(i * 10),
    }));
    const items = containers.map((container) => encode('Container', container));
    expect(encodeRepeatedField(1, items)).toStrictEqual(encode('ListContainersResponse', { containers }));
    expect(encodeRepeatedField(1, [])).toHaveLength(0);
  });
});
