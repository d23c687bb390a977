/** A CNI network of a test's own, so that tests neither see nor change one that the machine has. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from './command.ts';

/** Where Debian's containernetworking-plugins puts the plugins. */
export const cniPluginDir = '/usr/lib/cni';

export interface TestNetwork {
  /** Folder with the one conflist. */
  readonly confDir: string;
  readonly bridge: string;
  /** Removes the bridge, which the plugin leaves behind by design; idempotent. */
  remove(): Promise<void>;
}

export interface TestNetworkOptions {
  /** Name of the bridge, at most 15 bytes; one that nobody else uses unless given. */
  readonly bridge?: string;
  /** The pods' subnet in CIDR form; one that nobody else uses unless given. */
  readonly subnet?: string;
}

/**
 * A bridge's name and a subnet that no other process uses, so that tests can run side by side: from the process id on, the
 * first of 32 ranges in 10.218.0.0/16 without a route.
 */
export function findOwnNetwork(): Required<TestNetworkOptions> {
  const routes = readFileSync('/proc/net/route', 'latin1');
  for (let step = 0; step < 32; step += 1) {
    const third = ((process.pid + step) % 32) * 8;
    // Addresses are there in the machine's byte order, as hexadecimal digits.
    const hex = Buffer.from([0, third, 218, 10]).toString('hex').toUpperCase();
    if (!routes.includes(`\t${hex}\t`)) return { bridge: `bt${process.pid}`, subnet: `10.218.${third}.0/21` };
  }
  throw new Error('every range of 10.218.0.0/16 has a route already');
}

/** Writes a bridge network with host-local addresses and port mappings under `dir`. Nothing exists until the first ADD. */
export function makeTestNetwork(dir: string, options: TestNetworkOptions = {}): TestNetwork {
  const { bridge, subnet } = { ...findOwnNetwork(), ...options };
  const confDir = join(dir, 'cni', 'net.d');
  mkdirSync(confDir, { recursive: true });
  const conflist = {
    cniVersion: '1.0.0',
    name: bridge,
    plugins: [
      {
        type: 'bridge',
        bridge,
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet }]],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: join(dir, 'cni', 'ipam'),
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
  writeFileSync(join(confDir, '10-test.conflist'), `${JSON.stringify(conflist, null, 2)}\n`);
  return {
    confDir,
    bridge,
    async remove() {
      if (existsSync(`/sys/class/net/${bridge}`)) await runCommand('ip', ['link', 'delete', bridge]);
    },
  };
}
