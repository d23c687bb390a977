import { defineArea } from './area.ts';

interface NftChain {
  readonly chain?: { table: string; family: string; name: string; hook?: string; policy?: string };
}

function chainsOf(json: string): NonNullable<NftChain['chain']>[] {
  try {
    const { nftables = [] } = JSON.parse(json) as { nftables?: NftChain[] };
    return nftables.flatMap(({ chain }) => chain ?? []);
  } catch {
    return []; // an nft without JSON
  }
}

/** Packet filters of the node. */
export const packetRules = defineArea(
  'packet-rules',
  'Packet rules',
  {
    'nft-fails': {
      severity: 'error',
      what: 'nft list chains fails: {why}',
      breaks: 'the default network and host ports of pods',
      mend: "modprobe -a nf_tables nft_chain_nat nft_masq; without these modules boot the distribution's kernel",
    },
    'forward-dropped': {
      severity: 'error',
      what: 'forwarded packets are dropped by default (nftables: {family} {table} {chain})',
      breaks: "pods' connections to anywhere but their own node; Docker sets this",
      mend: 'nft \'add chain {family} {table} {chain} { policy accept; }\', and for Docker set "ip-forward-no-drop": true in /etc/docker/daemon.json',
    },
    'forward-dropped-legacy': {
      severity: 'error',
      what: 'forwarded packets are dropped by default (iptables-legacy: FORWARD)',
      breaks: "pods' connections to anywhere but their own node; Docker sets this",
      mend: 'iptables-legacy -P FORWARD ACCEPT',
    },
    firewalld: {
      severity: 'note',
      what: 'firewalld runs',
      breaks: "pods' connections, unless it trusts their bridge",
      mend: 'firewall-cmd --permanent --zone=trusted --add-interface=berth0 && firewall-cmd --reload',
    },
  },
  async ({ machine }, report) => {
    const nft = machine.findProgram('nft');
    // The kernel tells its rules to nobody else; that the doctor is not root is said elsewhere.
    const isOther = /^Uid:\s*[1-9]/m.test(machine.read('/proc/self/status') ?? '');
    if (nft !== undefined && !isOther) {
      const { code, stdout, stderr } = await machine.run(nft, ['-j', 'list', 'chains']);
      if (code !== 0) report('nft-fails', { why: stderr.trim().split('\n')[0] || `exit status ${code}` });
      for (const { family, table, name, hook, policy } of chainsOf(stdout))
        if (hook === 'forward' && policy === 'drop')
          report('forward-dropped', { family, table, chain: name });
    }
    // Asking the program would load the table: the kernel's list says first whether there is one.
    const tables = (machine.read('/proc/net/ip_tables_names') ?? '').split('\n');
    const legacy = tables.includes('filter') && !isOther ? machine.findProgram('iptables-legacy') : undefined;
    if (legacy !== undefined) {
      const { stdout } = await machine.run(legacy, ['-S', 'FORWARD']);
      if (/^-P FORWARD DROP$/m.test(stdout)) report('forward-dropped-legacy');
    }
    if (machine.processes().some(({ command }) => command.some((word) => word.endsWith('/firewalld'))))
      report('firewalld');
  },
);
