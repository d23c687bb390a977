import { BlockList, isIP } from 'node:net';
import { invalidField } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/**
 * No pod can have an address here: this network, loopback, link-local, multicast and what is reserved (RFC 6890). Pods would all fail
 * that came after it. A list per family: in one for both, `::/8` would hold every IPv4 address, as a mapped one.
 */
const unusable = { ipv4: new BlockList(), ipv6: new BlockList() };
for (const [address, prefix] of [
  ['0.0.0.0', 8],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 3],
] as const)
  unusable.ipv4.addSubnet(address, prefix, 'ipv4');
for (const [address, prefix] of [
  ['::', 8],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  unusable.ipv6.addSubnet(address, prefix, 'ipv6');

/** Takes the node's pod CIDR, one per family separated by commas; the default network uses it. */
export function updateRuntimeConfig({
  network,
}: Pick<CriServices, 'network'>): UnaryHandler<'UpdateRuntimeConfig'> {
  return (request) => {
    const cidr = request.runtime_config?.network_config?.pod_cidr ?? '';
    for (const part of cidr === '' ? [] : cidr.split(',')) {
      const [address = '', prefix = ''] = part.split('/');
      const family = ({ 4: 'ipv4', 6: 'ipv6' } as const)[isIP(address)];
      if (!family || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 'ipv4' ? 32 : 128)) {
        throw invalidField('runtime_config.network_config.pod_cidr', `is no subnet: ${JSON.stringify(part)}`);
      }
      if (Number(prefix) < 3 || unusable[family].check(address, family))
        throw invalidField(
          'runtime_config.network_config.pod_cidr',
          `is no subnet that pods can have: ${JSON.stringify(part)}`,
        );
    }
    network.setPodCidr(cidr);
    return {};
  };
}
