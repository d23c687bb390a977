/**
 * What a file may say: tables of fields, against which a document is checked before anything is made of it. Each mistake is
 * told with its line; an unknown field with the nearest one that is known.
 */
import { nearestName } from '#daemon/config/nearest-name.ts';
import type { Path, Source } from './source.ts';

export type Shape =
  | { readonly kind: 'text' | 'boolean' | 'quantity' | 'mode' | 'any' | 'scalar' }
  | { readonly kind: 'integer'; readonly min?: number; readonly max?: number }
  | { readonly kind: 'choice'; readonly of: readonly string[] }
  | { readonly kind: 'list'; readonly of: Shape; readonly atLeast?: number }
  | { readonly kind: 'map'; readonly of: Shape; readonly mayBeNull?: boolean }
  | { readonly kind: 'either'; readonly of: readonly Shape[]; readonly called: string }
  | ObjectShape
  /** Known, and not done here: told once per topic. */
  | { readonly kind: 'left'; readonly topic: string; readonly reason: string }
  /** Known, of no consequence on one machine, and not worth a word. */
  | { readonly kind: 'silent' }
  /** Known, and a file that has it cannot be played. */
  | { readonly kind: 'refused'; readonly reason: string };

export interface ObjectShape {
  readonly kind: 'object';
  readonly fields: Readonly<Record<string, Shape>>;
  readonly required: readonly string[];
  /** Keys that begin so are the author's own. */
  readonly freePrefix?: string;
}

export const text: Shape = { kind: 'text' };
export const flag: Shape = { kind: 'boolean' };
export const quantity: Shape = { kind: 'quantity' };
export const mode: Shape = { kind: 'mode' };
export const any: Shape = { kind: 'any' };
export const scalar: Shape = { kind: 'scalar' };
export const silent: Shape = { kind: 'silent' };
export const integer = (min?: number, max?: number): Shape => ({
  kind: 'integer',
  ...(min === undefined ? {} : { min }),
  ...(max === undefined ? {} : { max }),
});
export const port = integer(1, 65535);
export const choice = (...of: string[]): Shape => ({ kind: 'choice', of });
export const list = (of: Shape, atLeast = 0): Shape => ({ kind: 'list', of, atLeast });
export const map = (of: Shape, mayBeNull = false): Shape => ({ kind: 'map', of, mayBeNull });
export const either = (called: string, ...of: Shape[]): Shape => ({ kind: 'either', of, called });
export const left = (topic: string, reason: string): Shape => ({ kind: 'left', topic, reason });
export const refused = (reason: string): Shape => ({ kind: 'refused', reason });
/** Names that end with ! are required. */
export function object(fields: Readonly<Record<string, Shape>>, freePrefix?: string): ObjectShape {
  const entries = Object.entries(fields);
  return {
    kind: 'object',
    fields: Object.fromEntries(entries.map(([name, shape]) => [name.replace(/!$/, ''), shape])),
    required: entries.flatMap(([name]) => (name.endsWith('!') ? [name.slice(0, -1)] : [])),
    ...(freePrefix === undefined ? {} : { freePrefix }),
  };
}

/** Tells every mistake at and below `path`. */
export function check(shape: Shape, value: unknown, path: Path, source: Source): void {
  switch (shape.kind) {
    case 'any':
    case 'silent':
      return;
    case 'left':
      source.note(shape.topic, path, shape.reason);
      return;
    case 'refused':
      source.problem(path, shape.reason);
      return;
    case 'list':
      if (!Array.isArray(value)) source.problem(path, `${show(value)} is no list`);
      else if (value.length < (shape.atLeast ?? 0)) source.problem(path, 'the list is empty');
      else for (const [at, entry] of value.entries()) check(shape.of, entry, [...path, at], source);
      return;
    case 'map':
      if (!isRecord(value)) source.problem(path, `${show(value)} is no map of names and values`);
      else
        for (const [name, entry] of Object.entries(value))
          if (entry !== null || shape.mayBeNull !== true) check(shape.of, entry, [...path, name], source);
      return;
    case 'either':
      if (!shape.of.some((one) => isOfKind(one, value)))
        source.problem(path, `${show(value)} is not ${shape.called}`);
      else check(shape.of.find((one) => isOfKind(one, value))!, value, path, source);
      return;
    case 'object':
      checkObject(shape, value, path, source);
      return;
    default: {
      const expected = expectation(shape, value, source.textOf(path));
      if (expected !== undefined) source.problem(path, `${show(value)} is not ${expected}`);
    }
  }
}

function checkObject(shape: ObjectShape, value: unknown, path: Path, source: Source): void {
  if (!isRecord(value)) {
    source.problem(path, `${show(value)} is no map of fields`);
    return;
  }
  for (const [name, entry] of Object.entries(value)) {
    if (shape.freePrefix !== undefined && name.startsWith(shape.freePrefix)) continue;
    const field = Object.hasOwn(shape.fields, name) ? shape.fields[name] : undefined;
    if (field === undefined) {
      const near = nearestName(name, Object.keys(shape.fields));
      source.problem(
        [...path, name],
        `there is no such field${near === undefined ? '' : `, did you mean ${near}?`}`,
      );
    } else if (entry !== null || field.kind === 'refused') check(field, entry, [...path, name], source);
  }
  for (const name of shape.required)
    if (value[name] === undefined || value[name] === null) source.problem(path, `${name} is missing`);
}

type Simple = Exclude<
  Shape,
  { kind: 'any' | 'silent' | 'left' | 'refused' | 'list' | 'map' | 'either' | 'object' }
>;

/** What would have been right; undefined for a value that is. */
function expectation(shape: Simple | Shape, value: unknown, written: string | undefined): string | undefined {
  switch (shape.kind) {
    case 'text':
      return typeof value === 'string' ? undefined : 'text (put it in quotes)';
    case 'scalar':
      return ['string', 'number', 'boolean'].includes(typeof value) ? undefined : 'a text or a number';
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'true or false';
    case 'quantity':
      return parseQuantity(value) === undefined ? 'a quantity such as 500m or 64Mi' : undefined;
    case 'mode':
      return parseMode(value, written) === undefined ? 'a file mode such as 0644' : undefined;
    case 'choice':
      return typeof value === 'string' && shape.of.includes(value)
        ? undefined
        : `one of ${shape.of.join(', ')}`;
    case 'integer': {
      const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = shape;
      if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max)
        return undefined;
      const range =
        shape.max !== undefined ? ` from ${min} to ${max}` : shape.min !== undefined ? ` from ${min} up` : '';
      return `a whole number${range}`;
    }
    default:
      return undefined;
  }
}

function isOfKind(shape: Shape, value: unknown): boolean {
  if (shape.kind === 'list') return Array.isArray(value);
  if (shape.kind === 'map' || shape.kind === 'object') return isRecord(value);
  return expectation(shape, value, undefined) === undefined;
}

/** Kubernetes' quantities (apimachinery, `pkg/api/resource`): `1.5`, `500m`, `64Mi`, `1e3`, as a number of units. */
export function parseQuantity(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined;
  if (typeof value !== 'string') return undefined;
  const match = /^\+?(\d+(?:\.\d*)?|\.\d+)(?:(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)|[eE]([+-]?\d+))?$/.exec(
    value,
  );
  if (match === null) return undefined;
  const [, digits, unit = '', exponent = '0'] = match;
  const decimal = { n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 };
  const factor = unit.endsWith('i')
    ? 1024 ** ('KMGTPE'.indexOf(unit[0]!) + 1)
    : decimal[unit as keyof typeof decimal];
  return Number(digits) * factor * 10 ** Number(exponent);
}

/** `0644` as people write it, which YAML 1.2 takes for six hundred and forty-four. */
export function parseMode(value: unknown, written: string | undefined): number | undefined {
  if (!Number.isInteger(value)) return undefined;
  const isOctal = written !== undefined && /^0[0-7]+$/.test(written);
  const found = isOctal ? Number.parseInt(written, 8) : (value as number);
  return found >= 0 && found <= 0o7777 ? found : undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const shown = JSON.stringify(value) ?? 'nothing';
  return shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
}
