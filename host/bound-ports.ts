/** Ports of this machine that programs have bound (proc_pid_net(5): tcp, udp), in the network namespace of this process. */
import { readFileSync } from 'node:fs';
import { errnoOf } from '#base/errors.ts';

const listening = '0A';

/** TCP ports that are listened on, or UDP ports that are bound; of any address. Throws what reading throws. */
export function boundPorts(protocol: 'tcp' | 'udp', root = '/proc/net'): ReadonlySet<number> {
  const found = new Set<number>();
  for (const table of [protocol, `${protocol}6`])
    for (const line of read(`${root}/${table}`).split('\n').slice(1)) {
      const [, local = '', , state] = line.trim().split(/\s+/);
      if (protocol === 'tcp' && state !== listening) continue;
      const port = Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16);
      if (port > 0) found.add(port);
    }
  return found;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''; // a kernel without IPv6
    throw error;
  }
}
