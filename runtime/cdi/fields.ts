/**
 * Typed access to the fields of a parsed file. YAML scalars arrive as text (see `text-form.ts`), so a number or a truth
 * value may also be its text. Every function throws an Error that names the field.
 */

export type Fields = Readonly<Record<string, unknown>>;

/** An object with no other fields than the known ones: CDI wants a file refused that says more than its reader knows. */
export function fieldsOf(value: unknown, where: string, known: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${where} is not an object`);
  for (const key of Object.keys(value))
    if (!known.includes(key)) throw new Error(`${where} has the unknown field ${JSON.stringify(key)}`);
  return value as Fields;
}

/** '' if absent. */
export function textOf(fields: Fields, key: string, where: string): string {
  const value = fields[key] ?? '';
  if (typeof value !== 'string') throw new Error(`${where}.${key} is not text`);
  if (value.includes('\0')) throw new Error(`${where}.${key} contains a NUL byte`);
  return value;
}

export function requiredText(fields: Fields, key: string, where: string): string {
  const value = textOf(fields, key, where);
  if (value === '') throw new Error(`${where}.${key} is missing`);
  return value;
}

export function absolutePath(fields: Fields, key: string, where: string): string {
  const value = requiredText(fields, key, where);
  if (!value.startsWith('/')) throw new Error(`${where}.${key} is not an absolute path: ${value}`);
  return value;
}

/** Empty if absent. */
export function listOf(fields: Fields, key: string, where: string): readonly unknown[] {
  const value = fields[key] ?? [];
  if (!Array.isArray(value)) throw new Error(`${where}.${key} is not a list`);
  return value;
}

export function textsOf(fields: Fields, key: string, where: string): readonly string[] {
  const entries = Object.fromEntries(listOf(fields, key, where).entries());
  return Object.keys(entries).map((index) => textOf(entries, index, `${where}.${key}`));
}

/** `NAME=value` each. */
export function environmentOf(fields: Fields, key: string, where: string): readonly string[] {
  const entries = textsOf(fields, key, where);
  for (const entry of entries)
    if (entry.indexOf('=') <= 0)
      throw new Error(`${where}.${key} holds ${JSON.stringify(entry)}, not NAME=value`);
  return entries;
}

/** Not negative; undefined if absent. */
export function integerOf(fields: Fields, key: string, where: string): number | undefined {
  const value = fields[key] ?? undefined;
  if (value === undefined) return undefined;
  const number = typeof value === 'string' ? integerFrom(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0 || number > 0xffff_ffff)
    throw new Error(`${where}.${key} is not a number from 0 to 4294967295: ${JSON.stringify(value)}`);
  return number;
}

/** A leading zero means octal, as for the YAML readers of other CDI runtimes: file modes are written so. */
function integerFrom(text: string): number {
  if (/^0o?[0-7]+$/.test(text)) return Number.parseInt(text.replace('o', ''), 8);
  return /^(?:0x[\da-fA-F]+|\d+)$/.test(text) ? Number(text) : Number.NaN;
}

/** False if absent. */
export function booleanOf(fields: Fields, key: string, where: string): boolean {
  const value = fields[key] ?? false;
  if (value === true || value === 'true') return true;
  if (value === false || value === 'false') return false;
  throw new Error(`${where}.${key} is neither true nor false`);
}
