/** Changes that suit any input: bytes without a form, texts, and JSON by its structure. */
import type { Random } from './random.ts';

/** One to some bytes changed, taken out, put in or repeated, or the end cut off. */
export function mutateBytes(random: Random, input: Buffer): Buffer {
  const at = random.below(input.length + 1);
  const length = random.chance(0.8) ? 1 + random.below(4) : random.below(input.length - at + 1);
  switch (random.below(6)) {
    case 0: {
      const copy = Buffer.from(input);
      for (let index = at; index < Math.min(at + length, copy.length); index += 1)
        copy[index] = random.next() & 0xff;
      return copy;
    }
    case 1: {
      const copy = Buffer.from(input);
      if (at < copy.length) copy[at] = copy[at]! ^ (1 << random.below(8));
      return copy;
    }
    case 2:
      return Buffer.concat([input.subarray(0, at), input.subarray(Math.min(at + length, input.length))]);
    case 3:
      return Buffer.concat([input.subarray(0, at), random.bytes(length), input.subarray(at)]);
    case 4:
      return Buffer.concat([input.subarray(0, at + length), input.subarray(at)]);
    default:
      return input.subarray(0, at);
  }
}

/** Integers at the edges of what types hold. */
export const edgeIntegers: readonly bigint[] = [
  0n,
  1n,
  -1n,
  127n,
  128n,
  255n,
  65_535n,
  65_536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
  -(2n ** 31n),
  -(2n ** 63n),
];

const edgeTexts: readonly string[] = [
  '',
  ' ',
  '.',
  '..',
  '/',
  '//',
  '../../../../etc/passwd',
  '/../..',
  '/proc/self/root',
  '/dev/full',
  'a\0b',
  'a\nb',
  'a\r\nSet-Cookie: x',
  '-1',
  '--help',
  '0',
  '1e400',
  '__proto__',
  'constructor',
  '%s%n%x',
  '$(id)',
  '\u202eabc',
  '\u{1f600}'.repeat(40),
  '\ufffd',
  '<none>',
  'sha256:',
  `sha256:${'0'.repeat(64)}`,
  'f'.repeat(64),
];

/** A text that programs stumble over, or one made of `old`. */
export function mutateText(random: Random, old: string): string {
  const kind = random.below(10);
  if (kind < 4) return random.pick(edgeTexts);
  if (kind === 4) return random.pick(['a', '/', '../', 'é', '\0', '{"a":']).repeat(1 << random.below(13));
  if (kind === 5) return old + random.pick(edgeTexts);
  if (kind === 6) return old.slice(0, 10_000).repeat(2 + random.below(3));
  return mutateBytes(random, Buffer.from(old)).toString('utf8');
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

function strangeJson(random: Random): Json {
  const kind = random.below(9);
  if (kind === 0) return null;
  if (kind === 1) return random.chance(0.5);
  if (kind === 2) return Number(random.pick(edgeIntegers));
  if (kind === 3) return random.pick([-0.5, 1.5, 1e308, 1e-9, -1]);
  if (kind === 4) return [];
  if (kind === 5) return {};
  if (kind === 6)
    return Array.from({ length: random.below(100) }, () => random.pick<Json>([null, 1, 'x', {}]));
  return mutateText(random, 'text');
}

/** `value` nested `depth` deep, as text: objects of that depth would overflow the stack that writes them. */
function deepText(random: Random, depth: number): string {
  const [open, close] = random.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  return `${open.repeat(depth)}1${close.repeat(depth)}`;
}

const deepMark = '@deep@';
/** More than that nobody reads of a registry or a plugin. */
const longestJson = 4 << 20;

/** As JSON.parse would: `__proto__` is a key like any other. */
function put(slots: Record<string, Json> | Json[], key: string, value: Json): void {
  if (Array.isArray(slots)) {
    slots.push(value); // a key that is a large number would make it as long
    return;
  }
  Object.defineProperty(slots, key, { value, writable: true, enumerable: true, configurable: true });
}

function mutateNode(random: Random, value: Json): Json {
  if (typeof value === 'object' && value !== null && random.chance(0.85)) {
    const copy: Json = Array.isArray(value) ? [...value] : { ...value };
    const keys = Object.keys(copy);
    const slots = copy as Record<string, Json>;
    if (keys.length > 0 && random.chance(0.9)) {
      const key = random.pick(keys);
      const kind = random.below(10);
      if (kind < 6) slots[key] = mutateNode(random, slots[key]!);
      else if (kind === 6) {
        if (Array.isArray(copy)) copy.splice(Number(key), 1);
        else delete slots[key];
      } else if (kind === 7 && Array.isArray(copy)) copy.push(...copy.slice(0, 8), copy[Number(key)]!);
      else if (kind === 8) put(slots, mutateText(random, key), slots[key]!);
      else slots[key] = slots[random.pick(keys)]!;
    } else put(slots, mutateText(random, 'key'), strangeJson(random));
    return copy;
  }
  if (random.chance(0.03)) return deepMark;
  if (typeof value === 'string' && random.chance(0.7)) return mutateText(random, value);
  if (typeof value === 'number' && random.chance(0.5)) return Number(random.pick(edgeIntegers));
  return strangeJson(random);
}

/** The text of a document like `value`, changed in up to three places; now and then it is no JSON any more. */
export function mutateJson(random: Random, value: unknown): Buffer {
  let changed = value as Json;
  for (let count = 1 + random.below(3); count > 0; count -= 1) changed = mutateNode(random, changed);
  const text = (JSON.stringify(changed) ?? 'null')
    .replace(`"${deepMark}"`, deepText(random, 1 << (4 + random.below(12))))
    .slice(0, longestJson);
  const bytes = Buffer.from(text);
  return random.chance(0.15) ? mutateBytes(random, bytes) : bytes;
}
