/**
 * JSON with whole numbers past 2^53, such as the "unlimited" of rlimits (2^64 - 1), which a plain parse and stringify would
 * change. Such a number is carried as its text (ECMAScript, JSON.rawJSON) and is for writing only: nothing computes with it.
 */

type Reviver = (key: string, value: unknown, context: { readonly source?: string }) => unknown;

/** JSON with what Node has and TypeScript's library does not know yet. */
const exactJson = JSON as unknown as {
  rawJSON(text: string): unknown;
  parse(text: string, reviver: Reviver): unknown;
};

/** As text, for JSON.stringify; a plain number where that is exact. */
export function exactNumber(value: bigint): number {
  const plain = Number(value);
  return Number.isSafeInteger(plain) ? plain : (exactJson.rawJSON(String(value)) as number);
}

/** Parses JSON so that stringifying it again changes no number. Throws SyntaxError. */
export function parseExactly(text: string): unknown {
  return exactJson.parse(text, (_key, value, { source }) =>
    source !== undefined && Number.isInteger(value) && !Number.isSafeInteger(value) && /^-?\d+$/.test(source)
      ? exactJson.rawJSON(source)
      : value,
  );
}
