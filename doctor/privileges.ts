import { defineArea } from './area.ts';

/** Bits of linux/capability.h. */
const needed: Readonly<Record<string, number>> = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_ADMIN: 12,
  CAP_SYS_CHROOT: 18,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_MKNOD: 27,
  CAP_SETFCAP: 31,
};
const sysResource = 24;

/** What the daemon may do: user, capabilities, filters. */
export const privileges = defineArea(
  'privileges',
  'Privileges',
  {
    'not-root': {
      severity: 'error',
      what: '{who} runs as user {uid}',
      breaks:
        'everything that has to do with mounts, namespaces and networks; and this examination sees less',
      mend: 'run it as root: sudo berth doctor; for the daemon remove User= from its unit',
    },
    'capability-missing': {
      severity: 'error',
      what: '{who} lacks {capabilities}',
      breaks: 'mounts, namespaces, networks or accounts of containers',
      mend: 'start berthd outside of containers, or in one that is privileged; remove CapabilityBoundingSet= from its unit',
    },
    'no-sys-resource': {
      severity: 'warning',
      what: '{who} lacks CAP_SYS_RESOURCE',
      breaks:
        'containers of guaranteed pods are not protected from the OOM killer, and get no limits above those of berthd',
      mend: 'start berthd outside of containers, or with this capability (docker run --cap-add SYS_RESOURCE)',
    },
    'no-new-privileges': {
      severity: 'warning',
      what: '{who} runs with no_new_privs',
      breaks: 'programs in containers that change the user (su, sudo, ping)',
      mend: 'remove NoNewPrivileges= from the unit and restart berthd',
    },
    filtered: {
      severity: 'warning',
      what: '{who} runs under a seccomp filter',
      breaks: 'whatever the filter denies, such as mounts, keys or new namespaces',
      mend: 'remove SystemCallFilter= from the unit, or start the outer container with --security-opt seccomp=unconfined',
    },
  },
  ({ machine, daemonPid }, report) => {
    const status = machine.read(`/proc/${daemonPid ?? 'self'}/status`) ?? '';
    const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
    const who = daemonPid === undefined ? 'this program' : `berthd (pid ${daemonPid})`;
    const uid = field('Uid');
    if (uid !== '' && uid !== '0') report('not-root', { who, uid });
    const mask = /^[0-9a-f]+$/.test(field('CapEff')) ? BigInt(`0x${field('CapEff')}`) : undefined;
    if (mask !== undefined && uid === '0') {
      const has = (bit: number): boolean => ((mask >> BigInt(bit)) & 1n) === 1n;
      const missing = Object.keys(needed).filter((name) => !has(needed[name]!));
      if (missing.length > 0) report('capability-missing', { who, capabilities: missing.join(', ') });
      if (!has(sysResource)) report('no-sys-resource', { who });
    }
    if (field('NoNewPrivs') === '1') report('no-new-privileges', { who });
    if (field('Seccomp') === '2') report('filtered', { who });
  },
);
