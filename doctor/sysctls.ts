import { defineArea, hasKubelet, readNumber } from './area.ts';

/** Switches of the kernel. */
export const sysctls = defineArea(
  'sysctls',
  'Kernel switches',
  {
    'no-forwarding': {
      severity: 'error',
      what: 'net.ipv4.ip_forward is 0',
      breaks: "pods' connections to anywhere but their own node",
      mend: 'echo net.ipv4.ip_forward=1 > /etc/sysctl.d/92-berth.conf && sysctl -p /etc/sysctl.d/92-berth.conf',
    },
    'no-forwarding-v6': {
      severity: 'note',
      what: 'net.ipv6.conf.all.forwarding is 0',
      breaks: "pods' IPv6 connections to anywhere but their own node",
      mend: 'echo net.ipv6.conf.all.forwarding=1 > /etc/sysctl.d/93-berth.conf && sysctl -p /etc/sysctl.d/93-berth.conf',
    },
    'bridge-unfiltered': {
      severity: 'warning',
      what: 'bridged packets are not shown to iptables (net.bridge.bridge-nf-call-iptables)',
      breaks: 'services between pods of one node, with kube-proxy in iptables mode',
      mend: 'modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1 && echo br_netfilter > /etc/modules-load.d/berth-bridge.conf',
    },
    'low-ports-open': {
      severity: 'note',
      what: 'net.ipv4.ip_unprivileged_port_start of the node is {value}',
      breaks: 'nothing of pods; but any user of the node may take ports that pods publish',
      mend: 'sysctl -w net.ipv4.ip_unprivileged_port_start=1024; pods have a switch of their own',
    },
    'panic-on-oom': {
      severity: 'error',
      what: 'vm.panic_on_oom is {value}',
      breaks: 'the whole node, when one container takes more memory than it may',
      mend: 'sysctl -w vm.panic_on_oom=0, and remove it from /etc/sysctl.d',
    },
    'strict-overcommit': {
      severity: 'warning',
      what: 'vm.overcommit_memory is 2',
      breaks: 'programs that reserve more memory than they use (Go, Java, Node): they fail to start',
      mend: 'sysctl -w vm.overcommit_memory=1, and remove it from /etc/sysctl.d',
    },
  },
  (subject, report) => {
    const { machine, config, readers } = subject;
    const number = (path: string) => readNumber(machine, `/proc/sys/${path}`);
    const { chosen } = readers.readCniFolder(machine.at(config.network.cniConfigDir));
    // berthd turns it on itself when the first pod of the default network makes its bridge.
    const isOurs = !chosen && machine.stat('/sys/class/net/berth0') === undefined;
    if (number('net/ipv4/ip_forward') === 0 && !isOurs) report('no-forwarding');
    if (number('net/ipv6/conf/all/forwarding') === 0 && !isOurs) report('no-forwarding-v6');
    if (hasKubelet(subject) && number('net/bridge/bridge-nf-call-iptables') !== 1)
      report('bridge-unfiltered');
    const lowest = number('net/ipv4/ip_unprivileged_port_start');
    if (lowest !== undefined && lowest < 1024) report('low-ports-open', { value: lowest });
    const panic = number('vm/panic_on_oom') ?? 0;
    if (panic !== 0) report('panic-on-oom', { value: panic });
    if (number('vm/overcommit_memory') === 2) report('strict-overcommit');
  },
);
