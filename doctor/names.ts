import { defineArea } from './area.ts';

/** Host names: what pods are given to resolve with. */
export const names = defineArea(
  'names',
  'Host names',
  {
    'no-servers': {
      severity: 'warning',
      what: '/etc/resolv.conf names no server',
      breaks: 'pulls by host name, and names in pods without a DNS policy of the cluster',
      mend: 'echo nameserver 192.0.2.53 > /etc/resolv.conf, with the address of yours',
    },
    'loopback-only': {
      severity: 'warning',
      what: '/etc/resolv.conf names only {server}, which is this node alone',
      breaks: 'names in pods without a DNS policy of the cluster: in a pod that address is the pod itself',
      mend: 'set resolvConf: /run/systemd/resolve/resolv.conf in /var/lib/kubelet/config.yaml, or name a server that pods reach',
    },
    'hostname-invalid': {
      severity: 'warning',
      what: 'the host name {name} is no valid node name',
      breaks: 'the registration of the node by the kubelet',
      mend: 'hostnamectl set-hostname with lower-case letters, digits, "-" and "."',
    },
  },
  ({ machine }, report) => {
    const text = machine.read('/etc/resolv.conf') ?? '';
    const servers = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1]!);
    const isLoopback = (server: string): boolean => server.startsWith('127.') || server === '::1';
    const upstream = machine.read('/run/systemd/resolve/resolv.conf') ?? '';
    if (servers.length === 0) report('no-servers');
    else if (servers.every(isLoopback) && !/^nameserver/m.test(upstream))
      report('loopback-only', { server: servers[0]! });
    const name = (machine.read('/proc/sys/kernel/hostname') ?? '').trim().toLowerCase();
    if (name !== '' && !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) report('hostname-invalid', { name });
  },
);
