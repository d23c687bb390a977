/** Ids that are the same whenever a file is played. */
import { createHash } from 'node:crypto';

/** In the form of a UUID, so that what reads one is content. */
export function stableUid(of: string): string {
  const hex = createHash('sha256').update(of).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-9${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
