import { isIP } from 'node:net';
import { invalidField } from '../convert/field.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Takes the node's pod CIDR, one per family separated by commas; the default network uses it. */
export function updateRuntimeConfig({
  network,
}: Pick<CriServices, 'network'>): UnaryHandler<'UpdateRuntimeConfig'> {
  return (request) => {
    const cidr = request.runtime_config?.network_config?.pod_cidr ?? '';
    for (const part of cidr === '' ? [] : cidr.split(',')) {
      const [address = '', prefix = ''] = part.split('/');
      const family = isIP(address);
      if (family === 0 || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128)) {
        throw invalidField('runtime_config.network_config.pod_cidr', `is no subnet: ${JSON.stringify(part)}`);
      }
    }
    network.setPodCidr(cidr);
    return {};
  };
}
