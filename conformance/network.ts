/** A CNI network of a test's own, so that tests neither see nor change one that the machine has. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
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
  /** Name of the bridge, at most 15 bytes. */
  readonly bridge?: string;
  /** The pods' subnet in CIDR form. */
  readonly subnet?: string;
}

/** Writes a bridge network with host-local addresses and port mappings under `dir`. Nothing exists until the first ADD. */
export function makeTestNetwork(dir: string, options: TestNetworkOptions = {}): TestNetwork {
  const { bridge = 'berthtest0', subnet = '10.213.0.0/16' } = options;
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
