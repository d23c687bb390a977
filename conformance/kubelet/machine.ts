/** What a run needs to know of the machine: its address, what is free, what the kubelet changes. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';

/** The kernel settings that a kubelet changes for the whole machine. */
export function readKernelSettings(): Map<string, string> {
  const names = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'];
  const paths = [...names, 'kernel/keys/root_maxkeys', 'kernel/keys/root_maxbytes'].map(
    (name) => `/proc/sys/${name}`,
  );
  return new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]));
}

/** The first address of the interface of the default route; the loopback address on a machine without one. */
export function findNodeAddress(): string {
  const [, ...rows] = readFileSync('/proc/net/route', 'latin1').split('\n');
  const name = rows.find((row) => row.split('\t')[1] === '00000000')?.split('\t')[0] ?? 'lo';
  return networkInterfaces()[name]?.find(({ family }) => family === 'IPv4')?.address ?? '127.0.0.1';
}

/** A subnet that no interface and no other test on this machine uses. */
export function findFreeSubnet(): string {
  const routes = readFileSync('/proc/net/route', 'latin1');
  for (let second = 231; second < 255; second++) {
    // Addresses are there in the machine's byte order, as hexadecimal digits.
    const mark = `${second.toString(16)}0A\t`.toUpperCase();
    if (!routes.includes(mark)) return `10.${second}.0.0/16`;
  }
  throw new Error('10.231.0.0/16 to 10.254.0.0/16 are all in use');
}

/**
 * One that was free a moment ago on the loopback address, and not among those that the kernel gives to connections: whoever
 * listens on it later finds it free still.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
  throw new Error('50 ports between 20000 and 30000 are all in use');
}
