import { type ChosenNetwork, defineArea, type Subject } from './area.ts';

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

interface Ipv4Network {
  readonly text: string;
  readonly address: number;
  readonly bits: number;
}

function parseIpv4(text: string): Ipv4Network | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(text);
  if (!match) return undefined;
  const [a, b, c, d, bits] = match.slice(1).map(Number) as [number, number, number, number, number];
  return { text, address: ((a << 24) | (b << 16) | (c << 8) | d) >>> 0, bits };
}

function overlap(one: Ipv4Network, other: Ipv4Network): boolean {
  const bits = Math.min(one.bits, other.bits);
  const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
  return (one.address & mask) >>> 0 === (other.address & mask) >>> 0;
}

/** Subnets of host-local, in either of the two ways to write them. */
function subnetsOf(ipam: Json): Ipv4Network[] {
  const ranges = Array.isArray(ipam.ranges) ? ipam.ranges.flat() : [];
  const texts = [ipam.subnet, ...ranges.map((range) => (isObject(range) ? range.subnet : undefined))];
  return texts.flatMap((text) => parseIpv4(textOf(text)) ?? []);
}

/** Routes of the node other than the default and those of `device`, from the hexadecimal table. */
function routesBeside({ machine }: Subject, device: string): { network: Ipv4Network; device: string }[] {
  const lines = (machine.read('/proc/net/route') ?? '').split('\n').slice(1);
  return lines.flatMap((line) => {
    const [via = '', destination = '', , , , , , mask = ''] = line.trim().split(/\s+/);
    if (via === '' || via === device || !/^[0-9A-F]{8}$/.test(mask) || mask === '00000000') return [];
    const address = Buffer.from(destination, 'hex').readUInt32LE();
    const bits = [...Buffer.from(mask, 'hex')]
      .map((byte) => byte.toString(2).replaceAll('0', '').length)
      .reduce((sum, ones) => sum + ones, 0);
    const text = `${[24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.')}/${bits}`;
    return [{ network: { text, address, bits }, device: via }];
  });
}

/** CNI configuration and plugins. */
export const cni = defineArea(
  'cni',
  'CNI',
  {
    'none-valid': {
      severity: 'error',
      what: 'no valid CNI configuration in {dir}: {why}',
      breaks: 'the network: the node is NotReady, and pods do not start',
      mend: 'correct the file, or remove it for the default network; berthd sees the change by itself',
    },
    invalid: {
      severity: 'warning',
      what: 'a CNI configuration is passed over: {why}',
      breaks: 'nothing as long as {path} is meant to be the network',
      mend: 'correct the file or remove it',
    },
    none: {
      severity: 'error',
      what: 'no CNI configuration in {dir}, and network.default_network is off',
      breaks: 'the network: the node is NotReady, and pods do not start',
      mend: 'install a pod network, or set default_network = true under [network] in /etc/berth/config.toml',
    },
    'plugin-missing': {
      severity: 'error',
      what: 'the CNI plugin {plugin}, which {path} names, is not in {dirs}',
      breaks: 'the network: the node is NotReady, and pods do not start',
      mend: 'apt-get install containernetworking-plugins, or install the pod network that brings {plugin}',
    },
    'version-unsupported': {
      severity: 'error',
      what: '{path} is written for CNI {version}, and its plugin {plugin} speaks {spoken}',
      breaks: 'every pod: attaching it to the network fails',
      mend: 'set "cniVersion": "{newest}" in {path}, or install a newer {plugin}',
    },
    'iptables-missing': {
      severity: 'error',
      what: 'iptables is not there, and the CNI plugin {plugin} of {path} calls it',
      breaks: 'every pod: attaching it to the network fails',
      mend: 'apt-get install iptables',
    },
    'builtin-unused': {
      severity: 'note',
      what: 'network.builtin_plugins is on, but the plugins of {path} run: {why}',
      breaks: 'nothing; pods start and stop as slowly as the plugins do',
      mend: 'take out of {path} what is named, or builtin_plugins = true out of /etc/berth/config.toml',
    },
    'addresses-short': {
      severity: 'warning',
      what: '{used} of {total} addresses of the network {name} are taken',
      breaks: 'pods to come, when there are none left',
      mend: "berth-audit shows reservations that are nobody's; else widen the subnet in {path}",
    },
    'subnet-taken': {
      severity: 'error',
      what: "the pods' subnet {subnet} of {path} touches the route {route} of {device}",
      breaks: 'traffic of pods, or of the node to what is behind {device}',
      mend: 'choose a subnet in {path} that no line of `ip route` touches',
    },
  },
  async (subject, report) => {
    const { machine, config, readers } = subject;
    const dir = config.network.cniConfigDir;
    const { chosen, hasCandidates, problems } = readers.readCniFolder(machine.at(dir));
    const why = machine.shown(problems);
    if (!chosen) {
      if (hasCandidates) report('none-valid', { dir, why });
      else if (!config.network.defaultNetwork) report('none', { dir });
      return;
    }
    const path = machine.shown(chosen.path);
    if (problems !== '') report('invalid', { why, path });
    const { isUsed, reason } = chosen.builtin;
    if (reason !== '') report('builtin-unused', { path, why: reason });
    const dirs = config.network.cniPluginDirs;
    const running = isUsed ? [] : pluginNames(chosen);
    for (const plugin of running)
      if (!dirs.some((folder) => machine.findProgram(`${folder}/${plugin}`) !== undefined))
        report('plugin-missing', { plugin, path, dirs: dirs.join(':') });
    for (const plugin of running) {
      const spoken = await spokenVersions(subject, plugin);
      if (spoken.length > 0 && !spoken.includes(chosen.version))
        report('version-unsupported', {
          path,
          plugin,
          version: chosen.version,
          spoken: spoken.join(', '),
          newest: spoken.at(-1) ?? '',
        });
    }
    const caller = chosen.plugins.find(
      ({ type, ipMasq }) => ['portmap', 'firewall'].includes(textOf(type)) || ipMasq === true,
    );
    if (!isUsed && caller && machine.findProgram('iptables') === undefined)
      report('iptables-missing', { plugin: textOf(caller.type), path });
    for (const { ipam, bridge } of chosen.plugins) {
      if (!isObject(ipam) || ipam.type !== 'host-local') continue;
      const subnets = subnetsOf(ipam);
      for (const subnet of subnets)
        for (const route of routesBeside(subject, textOf(bridge) || 'cni0'))
          if (overlap(subnet, route.network))
            report('subnet-taken', {
              subnet: subnet.text,
              path,
              route: route.network.text,
              device: route.device,
            });
      const folder = `${textOf(ipam.dataDir) || '/var/lib/cni/networks'}/${chosen.name}`;
      const used = machine.list(folder).filter((name) => /^[0-9.]+$/.test(name)).length;
      const total = subnets.reduce((sum, { bits }) => sum + Math.max(1, 2 ** (32 - bits) - 3), 0);
      if (total > 0 && used / total > 0.9)
        report('addresses-short', { used, total, name: chosen.name, path });
    }
  },
);

/** The versions of the specification that a plugin says it speaks; empty if it does not say. */
async function spokenVersions({ machine, config }: Subject, plugin: string): Promise<string[]> {
  const paths = config.network.cniPluginDirs.map((folder) => `${folder}/${plugin}`);
  const program = paths.find((path) => machine.findProgram(path) !== undefined);
  if (program === undefined) return [];
  const { stdout } = await machine.run(program, [], { CNI_COMMAND: 'VERSION' });
  try {
    const { supportedVersions = [] } = JSON.parse(stdout) as { supportedVersions?: string[] };
    return supportedVersions;
  } catch {
    return []; // a plugin without this command
  }
}

function pluginNames({ plugins }: ChosenNetwork): string[] {
  const names = plugins.flatMap(({ type, ipam }) => [textOf(type), isObject(ipam) ? textOf(ipam.type) : '']);
  return [...new Set(names.filter((name) => name !== ''))];
}
