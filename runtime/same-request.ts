import { isDeepStrictEqual } from 'node:util';

/**
 * Whether two requests ask for the same, also when one of them was on disk meanwhile: fields that are undefined are left out
 * there. The order of labels and the like does not count.
 */
export function isSameRequest(a: object, b: object): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b)));
}
