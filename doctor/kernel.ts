import { defineArea, type Subject } from './area.ts';

/** `6.1.0-18-amd64` against major and minor. */
function isBefore(release: string, major: number, minor: number): boolean {
  const [, foundMajor, foundMinor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  if (foundMajor === undefined) return false;
  return Number(foundMajor) < major || (Number(foundMajor) === major && Number(foundMinor) < minor);
}

function hasOverlay({ machine }: Subject, release: string): boolean {
  if (/\boverlay$/m.test(machine.read('/proc/filesystems') ?? '')) return true;
  // Mounting loads the module of a file system by itself.
  const lists = ['modules.dep', 'modules.builtin'];
  return lists.some((list) => /\/overlay\.ko/.test(machine.read(`/lib/modules/${release}/${list}`) ?? ''));
}

/** Kernel version and features. */
export const kernel = defineArea(
  'kernel',
  'Kernel',
  {
    'too-old': {
      severity: 'error',
      what: 'Linux {release} is older than 5.2',
      breaks: 'host ports and the default network: the packet rules need NAT in the inet family',
      mend: 'install a newer kernel and reboot: apt-get install linux-image-amd64',
    },
    'no-recursive-readonly': {
      severity: 'note',
      what: 'Linux {release} is older than 5.12',
      breaks: 'recursive read-only mounts (mount_setattr): pods that demand them are refused',
      mend: 'install a newer kernel and reboot: apt-get install linux-image-amd64',
    },
    'no-user-namespaces': {
      severity: 'note',
      what: 'Linux {release} is older than 6.3',
      breaks: 'pods with user namespaces (hostUsers: false): tmpfs volumes cannot be mapped',
      mend: 'install a newer kernel and reboot: apt-get install linux-image-amd64',
    },
    'no-overlay': {
      severity: 'warning',
      what: 'the kernel has no overlayfs, or cannot load it',
      breaks: 'nothing, but layers are copied for every container, which takes time and disk',
      mend: 'modprobe overlay && echo overlay > /etc/modules-load.d/berth.conf',
    },
    'overlay-demanded': {
      severity: 'error',
      what: 'images.snapshotter is "overlay", and the kernel has no overlayfs',
      breaks: 'berthd does not start',
      mend: 'modprobe overlay && echo overlay > /etc/modules-load.d/berth.conf',
    },
    'namespace-missing': {
      severity: 'error',
      what: 'the kernel has no {kind} namespaces',
      breaks: 'every pod',
      mend: 'boot a kernel with CONFIG_NAMESPACES and CONFIG_{option}_NS: apt-get install linux-image-amd64',
    },
    'no-seccomp': {
      severity: 'error',
      what: 'the kernel has no seccomp filters',
      breaks: 'every container with a seccomp profile, which is every one that is not privileged',
      mend: 'boot a kernel with CONFIG_SECCOMP_FILTER: apt-get install linux-image-amd64',
    },
    'no-pressure': {
      severity: 'note',
      what: 'the kernel does not account for pressure (PSI)',
      breaks: 'the pressure figures of pods, containers and the node',
      mend: 'add psi=1 to the kernel command line and reboot: GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub',
    },
  },
  (subject, report) => {
    const { machine, config } = subject;
    const release = (machine.read('/proc/sys/kernel/osrelease') ?? '').trim();
    if (isBefore(release, 5, 2)) report('too-old', { release });
    else if (isBefore(release, 5, 12)) report('no-recursive-readonly', { release });
    else if (isBefore(release, 6, 3)) report('no-user-namespaces', { release });
    if (config.images.snapshotter !== 'native' && !hasOverlay(subject, release))
      report(config.images.snapshotter === 'overlay' ? 'overlay-demanded' : 'no-overlay');
    const kinds = machine.list('/proc/self/ns');
    for (const kind of ['mnt', 'pid', 'net', 'ipc', 'uts'])
      if (!kinds.includes(kind)) report('namespace-missing', { kind, option: kind.toUpperCase() });
    if (!machine.stat('/proc/sys/kernel/seccomp/actions_avail')) report('no-seccomp');
    if (machine.list('/proc/pressure').length === 0) report('no-pressure');
  },
);
