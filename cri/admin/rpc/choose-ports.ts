import { checkText, invalidField } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** Ports of this machine for a pod that is about to be made. Throws InvalidArgument, FailedPrecondition, ResourceExhausted. */
export function choosePorts({ ports }: Pick<AdminServices, 'ports'>): AdminUnary<'ChoosePorts'> {
  return ({ wishes }) => ({
    host_ports: ports.choose(
      wishes.map(({ protocol, host_ip, host_port }, index) => {
        const path = `wishes[${index}]`;
        if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')
          throw invalidField(`${path}.protocol`, 'must be tcp, udp or sctp');
        if (host_port > 65_535) throw invalidField(`${path}.host_port`, 'must be at most 65535');
        return { protocol, hostIp: checkText(host_ip, `${path}.host_ip`, 64), hostPort: host_port };
      }),
    ),
  });
}
