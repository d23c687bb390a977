/** Removal marks: a `-` in front of a key asks for the removal of what has that key. */

export interface Marked<T> {
  /** Keys without their marks. */
  readonly removed: ReadonlySet<string>;
  /** In order; of two with one key the later counts. */
  readonly set: ReadonlyMap<string, T>;
}

/** Splits what a plugin sends by its marks. */
export function splitMarks<T>(items: Iterable<T>, keyOf: (item: T) => string): Marked<T> {
  const removed = new Set<string>();
  const set = new Map<string, T>();
  for (const item of items) {
    const key = keyOf(item);
    if (key.startsWith('-')) removed.add(key.slice(1));
    else set.set(key, item);
  }
  return { removed, set };
}

/** As `splitMarks`, for maps. */
export function splitMarkedKeys<T>(map: Readonly<Record<string, T>>): Marked<T> {
  const { removed, set } = splitMarks(Object.entries(map), ([key]) => key);
  return { removed, set: new Map([...set].map(([key, [, value]]) => [key, value])) };
}

/** A list without what is removed or set anew, and with what is set at its end. */
export function applyMarked<T>(
  list: readonly T[],
  keyOf: (item: T) => string,
  { removed, set }: Marked<T>,
): T[] {
  const kept = list.filter((item) => !removed.has(keyOf(item)) && !set.has(keyOf(item)));
  return [...kept, ...set.values()];
}

/** As `applyMarked`, for maps. */
export function applyMarkedKeys<T>(
  map: Readonly<Record<string, T>>,
  { removed, set }: Marked<T>,
): Record<string, T> {
  const kept = Object.entries(map).filter(([key]) => !removed.has(key));
  return Object.fromEntries([...kept, ...set]);
}
