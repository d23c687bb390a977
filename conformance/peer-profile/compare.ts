/** Two profiles side by side: where ours gives a container more than the peer's, and where less. Pure. */
import type { OciConfig, Profile } from './subject.ts';

export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly peer: string;
  /** What a container may do on ours and not on the peer's. */
  readonly weaker: readonly string[];
}

/**
 * Differences that are meant, by the words that the comparison finds for them. Each is named in the table.
 */
export const explained: Readonly<Record<string, string>> = {
  'net.ipv4.ip_unprivileged_port_start=0':
    'low ports of the pod’s own network without a capability: containerd 2 does the same by default',
  process_vm_readv: 'asks for the same rights as ptrace, which both allow; newer peers allow it',
  process_vm_writev: 'asks for the same rights as ptrace, which both allow; newer peers allow it',
  name_to_handle_at:
    'gives a handle that only open_by_handle_at could use, which is denied; newer peers allow it',
  'net.ipv4.ping_group_range=0 2147483647':
    'ICMP echo sockets of the pod’s own network without a capability: containerd 2 does the same by default',
};

/** System calls that are younger than the peer, and of which nothing beyond others that are allowed comes. */
const young = new Set([
  'cachestat',
  'fchmodat2',
  'futex_requeue',
  'futex_wait',
  'futex_waitv',
  'futex_wake',
  'getxattrat',
  'landlock_add_rule',
  'landlock_create_ruleset',
  'landlock_restrict_self',
  'listmount',
  'listxattrat',
  'lsm_get_self_attr',
  'lsm_list_modules',
  'lsm_set_self_attr',
  'map_shadow_stack',
  'memfd_secret',
  'mseal',
  'process_mrelease',
  'removexattrat',
  'riscv_hwprobe',
  'set_mempolicy_home_node',
  'setxattrat',
  'statmount',
  'uretprobe',
  'uprobe',
]);

const missing = (from: Iterable<string>, inSet: ReadonlySet<string>): string[] =>
  [...from].filter((item) => !inSet.has(item)).toSorted();

/** System calls that are allowed whatever their arguments, and those allowed with some. */
function allowed(config: OciConfig): { always: Set<string>; sometimes: Set<string>; byDefault: string } {
  const always = new Set<string>();
  const sometimes = new Set<string>();
  for (const { names, action, args } of config.linux.seccomp?.syscalls ?? [])
    if (action === 'SCMP_ACT_ALLOW') for (const name of names) (args?.length ? sometimes : always).add(name);
  return { always, sometimes, byDefault: config.linux.seccomp?.defaultAction ?? 'SCMP_ACT_ALLOW' };
}

function seccompRow(ours: OciConfig, peer: OciConfig): Row {
  const [a, b] = [allowed(ours), allowed(peer)];
  const any = new Set([...b.always, ...b.sometimes]);
  const weaker = [
    ...missing(a.always, b.always).filter((name) => !young.has(name)),
    ...missing(a.sometimes, any)
      .filter((name) => !young.has(name))
      .map((name) => `${name} with some arguments`),
    // What the explanations rest on.
    ...(b.always.has('ptrace')
      ? []
      : missing(
          ['ptrace'].filter((name) => a.always.has(name)),
          any,
        )),
    ...(a.always.has('open_by_handle_at') ? ['open_by_handle_at'] : []),
    ...(a.byDefault === 'SCMP_ACT_ALLOW' && b.byDefault !== 'SCMP_ACT_ALLOW'
      ? ['everything by default']
      : []),
  ];
  const younger = missing(a.always, b.always).filter((name) => young.has(name));
  const denied = missing(any, new Set([...a.always, ...a.sometimes]));
  const words = `${a.always.size} allowed, ${a.sometimes.size} by arguments`;
  const more = [
    ...(younger.length > 0 ? [`${younger.length} younger than the peer`] : []),
    ...(denied.length > 0 ? [`${denied.length} of the peer’s denied`] : []),
  ];
  return {
    what: 'seccomp, RuntimeDefault',
    ours: [words, ...more].join('; '),
    peer: `${b.always.size} allowed, ${b.sometimes.size} by arguments`,
    weaker,
  };
}

function capabilityRows(ours: Profile, peer: Profile): Row[] {
  const sets = ['bounding', 'permitted', 'effective', 'inheritable', 'ambient'];
  const of = (profile: Profile, set: string) => new Set(profile.config.process.capabilities?.[set] ?? []);
  const asked = sets.map((set): Row => {
    const [a, b] = [of(ours, set), of(peer, set)];
    return {
      what: `capabilities, ${set}`,
      ours: String(a.size),
      peer: String(b.size),
      weaker: missing(a, b),
    };
  });
  const live = ['CapBnd', 'CapPrm', 'CapEff', 'CapInh', 'CapAmb'].map((name): Row => {
    const [a, b] = [BigInt(`0x${ours.status[name]}`), BigInt(`0x${peer.status[name]}`)];
    const extra = a & ~b;
    return {
      what: `process, ${name}`,
      ours: ours.status[name]!,
      peer: peer.status[name]!,
      weaker: extra === 0n ? [] : [`bits ${extra.toString(16)}`],
    };
  });
  return [...asked, ...live];
}

const guards = ['ro', 'nosuid', 'nodev', 'noexec'];

function mountRow(ours: Profile, peer: Profile): Row {
  const weaker: string[] = [];
  for (const [path, options] of ours.mounts) {
    const theirs = peer.mounts.get(path);
    if (!theirs) continue;
    for (const guard of guards)
      if (theirs.has(guard) && !options.has(guard)) weaker.push(`${path} without ${guard}`);
  }
  const kernel = /^\/(proc|sys)(\/|$)/;
  const bare = [...peer.mounts.keys()].filter((path) => kernel.test(path) && !ours.mounts.has(path));
  weaker.push(...bare.filter((path) => !isCovered(path, ours)).map((path) => `${path} is not covered`));
  return {
    what: 'mounts as they are',
    ours: String(ours.mounts.size),
    peer: String(peer.mounts.size),
    weaker,
  };
}

/** Whether a cover of the peer is missing only because what it covers is not there. */
function isCovered(path: string, { config, mounts }: Profile): boolean {
  const covers = [
    ...(config.linux.maskedPaths ?? []),
    ...(config.linux.readonlyPaths ?? []),
    ...mounts.keys(),
  ];
  return (
    covers.some(
      (cover) =>
        cover !== '/' &&
        (path === cover || (path.startsWith(`${cover}/`) && cover !== '/proc' && cover !== '/sys')),
    ) ||
    // The folder of cgroups is one mount or many.
    path.startsWith('/sys/fs/cgroup')
  );
}

function pathRows(ours: Profile, peer: Profile): Row[] {
  const masked = (profile: Profile) => new Set(profile.config.linux.maskedPaths ?? []);
  const readonly = (profile: Profile) => new Set(profile.config.linux.readonlyPaths ?? []);
  const either = new Set([...masked(ours), ...readonly(ours)]);
  return [
    {
      what: 'masked paths',
      ours: String(masked(ours).size),
      peer: String(masked(peer).size),
      weaker: missing(masked(peer), masked(ours)).map((path) => `${path} is not masked`),
    },
    {
      what: 'read-only paths',
      ours: String(readonly(ours).size),
      peer: String(readonly(peer).size),
      weaker: missing(readonly(peer), either).map((path) => `${path} is not read-only`),
    },
  ];
}

function deviceRows(ours: Profile, peer: Profile): Row[] {
  const [a, b] = [new Set(rulesOf(ours)), new Set(rulesOf(peer))];
  return [
    {
      what: 'files in /dev',
      ours: String(ours.devices.length),
      peer: String(peer.devices.length),
      weaker: missing(ours.devices, new Set(peer.devices)),
    },
    { what: 'device rules', ours: String(a.size), peer: String(b.size), weaker: missing(a, b) },
  ];
}

/** What the kernel enforces; where it cannot be asked, what the OCI runtime was asked for and what it adds by itself. */
function rulesOf({ deviceRules, config }: Profile): string[] {
  if (deviceRules) return [...deviceRules];
  const asked = (config.linux.resources?.devices ?? [])
    .filter(({ allow }) => allow)
    .map(
      ({ type = 'a', major, minor, access = 'rwm' }) =>
        `${type} ${major ?? '*'}:${minor ?? '*'} ${['r', 'w', 'm'].filter((letter) => access.includes(letter)).join('')}`,
    );
  return [...new Set([...asked, ...defaultDeviceRules])];
}

/** OCI runtime-spec, config-linux.md, Default Devices, and making nodes, which grants no use. */
const defaultDeviceRules = [
  ...['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:2', '136:*'].map((number) => `c ${number} rwm`),
  'c *:* m',
  'b *:* m',
];

/** Every row of the table. */
export function compareProfiles(ours: Profile, peer: Profile): Row[] {
  const flag = (
    what: string,
    read: (profile: Profile) => string,
    isWeaker: (a: string, b: string) => boolean,
  ): Row => {
    const [a, b] = [read(ours), read(peer)];
    return { what, ours: a, peer: b, weaker: isWeaker(a, b) ? [`${a} where the peer has ${b}`] : [] };
  };
  const own = new Set(ours.ownNamespaces);
  return [
    ...capabilityRows(ours, peer),
    flag(
      'noNewPrivileges',
      ({ config }) => String(config.process.noNewPrivileges ?? false),
      (a, b) => a === 'false' && b === 'true',
    ),
    flag(
      'process, NoNewPrivs',
      ({ status }) => status.NoNewPrivs!,
      (a, b) => a < b,
    ),
    flag(
      'process, Seccomp',
      ({ status }) => status.Seccomp!,
      (a, b) => a < b,
    ),
    flag(
      'process, Uid and Gid',
      ({ status }) => `${status.Uid} ${status.Gid}`.replace(/\s+/g, ' '),
      (a, b) => a !== b,
    ),
    flag(
      'process, Groups',
      ({ status }) => status.Groups!.trim(),
      (a, b) => missing(a.split(' '), new Set(b.split(' '))).length > 0,
    ),
    seccompRow(ours.config, peer.config),
    ...pathRows(ours, peer),
    mountRow(ours, peer),
    ...deviceRows(ours, peer),
    {
      what: 'own namespaces',
      ours: ours.ownNamespaces.join(' '),
      peer: peer.ownNamespaces.join(' '),
      weaker: missing(peer.ownNamespaces, own).map((name) => `${name} is the host’s`),
    },
    flag(
      'root propagation',
      ({ config }) => config.linux.rootfsPropagation ?? 'private',
      (a, b) => /shared/.test(a) && !/shared/.test(b),
    ),
    {
      what: 'sysctls of the pod',
      ours: String(Object.keys(ours.sysctls).length),
      peer: String(Object.keys(peer.sysctls).length),
      weaker: Object.entries(ours.sysctls)
        .filter(([name, value]) => peer.sysctls[name] !== value)
        .map(([name, value]) => `${name}=${value}`),
    },
  ];
}
