/** `value` as the JSON text that verbose replies carry; 64-bit numbers become decimal strings. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'bigint' ? member.toString() : member,
  );
}
