/** Which names this node is asked by. */
import { isIP } from 'node:net';
import { hostname } from 'node:os';

/**
 * Whether a Host header names this node: by an address, as localhost or by its own name, with or without its domain. Any other
 * name may be one whose owner has it point here, so that a page of theirs may read the answer (DNS rebinding).
 */
export function isOwnHost(header: string | undefined, own = hostname()): boolean {
  // HTTP/1.0 has no such header; no browser leaves it out.
  if (header === undefined) return true;
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(header);
  if (!match) return false;
  const [, ip6, other = ''] = match;
  if (ip6 !== undefined) return isIP(ip6) === 6;
  const name = other.toLowerCase().replace(/\.$/, '');
  const full = own.toLowerCase();
  return isIP(name) === 4 || name === 'localhost' || name === full || name === full.split('.')[0];
}
