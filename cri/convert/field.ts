/**
 * Checks on single fields of a request. Each names the field by its path in the message and throws InvalidArgument;
 * nothing here looks at the host.
 */
import { RuntimeError } from '#base/errors.ts';

/** The error for a field: `path: problem`. */
export function invalidField(path: string, problem: string): RuntimeError {
  return new RuntimeError('InvalidArgument', `invalid request: ${path} ${problem}`);
}

/** `value`, which must be there. */
export function requireMessage<T>(value: T | undefined, path: string): T {
  if (value === undefined) throw invalidField(path, 'is missing');
  return value;
}

/** Text without NUL, of at most `maxBytes` of UTF-8. */
export function checkText(value: string, path: string, maxBytes: number): string {
  // A string has at most three bytes of UTF-8 per UTF-16 unit: short ones need no count.
  if (value.length * 3 > maxBytes && Buffer.byteLength(value) > maxBytes) {
    throw invalidField(path, `is longer than ${maxBytes} bytes`);
  }
  if (value.includes('\0')) throw invalidField(path, 'contains a NUL character');
  return value;
}

/** The same, and not empty. */
export function requireText(value: string, path: string, maxBytes: number): string {
  if (value === '') throw invalidField(path, 'is empty');
  return checkText(value, path, maxBytes);
}

const oddCharacters = /[\s/\u0000-\u001f\u007f]/;

/** A name of a pod, namespace or container: part of keys and paths, so no slash, blank or control character. */
export function requireName(value: string, path: string): string {
  requireText(value, path, 253);
  if (oddCharacters.test(value) || value === '.' || value === '..') {
    throw invalidField(
      path,
      `must not contain slashes, blanks or control characters: ${JSON.stringify(value)}`,
    );
  }
  return value;
}

/** An id as a client passes it: any unique prefix. */
export function requireId(value: string, path: string): string {
  requireText(value, path, 256);
  if (oddCharacters.test(value)) throw invalidField(path, `is no id: ${JSON.stringify(value)}`);
  return value;
}

const maxPathBytes = 4095;

/** An absolute path; the kernel takes at most 4,095 bytes (PATH_MAX). */
export function requireAbsolutePath(value: string, path: string): string {
  requireText(value, path, maxPathBytes);
  if (!value.startsWith('/')) throw invalidField(path, `must be an absolute path: ${JSON.stringify(value)}`);
  return value;
}

/** '' or a relative path that stays below where it begins. */
export function checkRelativePath(value: string, path: string): string {
  if (value === '') return value;
  checkText(value, path, maxPathBytes);
  if (value.startsWith('/')) throw invalidField(path, `must be a relative path: ${JSON.stringify(value)}`);
  refuseParents(value, path);
  return value;
}

/** Throws if a component of `value` is `..`. */
export function refuseParents(value: string, path: string): void {
  if (value.split('/').includes('..'))
    throw invalidField(path, `must not contain "..": ${JSON.stringify(value)}`);
}

/** A 64-bit number as a JavaScript one, within bounds (by default: all that are exact). */
export function toNumber(
  value: bigint,
  path: string,
  min: number = Number.MIN_SAFE_INTEGER,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (value < BigInt(min) || value > BigInt(max)) {
    throw invalidField(path, `must be a number from ${min} to ${max}, not ${value}`);
  }
  return Number(value);
}

/** A 32-bit number within bounds. */
export function checkNumber(value: number, path: string, min: number, max: number): number {
  if (value < min || value > max)
    throw invalidField(path, `must be a number from ${min} to ${max}, not ${value}`);
  return value;
}

/** The word for the number of an enum. Enums are open on the wire: an unknown number is an error here. */
export function toWord<T extends string>(value: number, words: Readonly<Record<number, T>>, path: string): T {
  const word = words[value];
  if (word === undefined) throw invalidField(path, `has the unknown value ${value}`);
  return word;
}

/** At most `max` items. */
export function checkCount<T>(list: readonly T[], path: string, max: number): readonly T[] {
  if (list.length > max) throw invalidField(path, `has ${list.length} items, at most ${max} are accepted`);
  return list;
}

/** Labels or annotations: opaque, so only their total size is looked at. They are returned as they came. */
export function checkMap(
  map: Readonly<Record<string, string>>,
  path: string,
  maxBytes: number,
): Readonly<Record<string, string>> {
  let length = 0;
  for (const key of Object.keys(map)) {
    length += key.length + map[key]!.length;
    if (length > maxBytes) throw invalidField(path, `is larger than ${maxBytes} bytes in all`);
  }
  return map;
}

/** The API server limits annotations to 256 KiB an object; the runtime may be given some more. */
export const maxMapBytes = 1024 * 1024;

/**
 * A time in seconds as milliseconds for a timer: negative counts as 0, and what no timer can hold (24.8 days) is cut,
 * since a pod may ask for a grace of centuries and must still be stoppable.
 */
export function secondsToTimerMs(seconds: bigint): number {
  if (seconds <= 0n) return 0;
  const longest = 2_147_483n;
  return Number(seconds > longest ? longest : seconds) * 1000;
}
