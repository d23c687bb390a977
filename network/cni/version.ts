/** Versions of the CNI specification: `major.minor.patch`. */

/** The newest version that Berth speaks. */
export const newestCniVersion = '1.1.0';

function parts(version: string): number[] | undefined {
  if (!/^\d+\.\d+\.\d+$/.test(version)) return undefined;
  return version.split('.').map(Number);
}

/** Negative if `one` is older than `other`, 0 if equal; undefined if either is not a version. */
export function compareVersions(one: string, other: string): number | undefined {
  const left = parts(one);
  const right = parts(other);
  if (!left || !right) return undefined;
  for (let index = 0; index < 3; index += 1) {
    const difference = left[index]! - right[index]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Whether `version` is `wanted` or newer; false if it is not a version. */
export function isAtLeast(version: string, wanted: string): boolean {
  const order = compareVersions(version, wanted);
  return order !== undefined && order >= 0;
}
