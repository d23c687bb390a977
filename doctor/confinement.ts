import { defineArea } from './area.ts';

const parsers = ['/usr/sbin/apparmor_parser', '/sbin/apparmor_parser'];

/** AppArmor, SELinux, seccomp profiles. */
export const confinement = defineArea(
  'confinement',
  'Confinement',
  {
    'profile-not-loaded': {
      severity: 'error',
      what: 'the AppArmor profile {profile} of runtime.apparmor_profile is not loaded',
      breaks: 'every container with the default profile',
      mend: 'apparmor_parser -r /etc/apparmor.d/{profile}, or empty runtime.apparmor_profile',
    },
    'no-parser': {
      severity: 'warning',
      what: 'AppArmor is on, and apparmor_parser is not installed',
      breaks: 'nothing at once, but containers have no AppArmor profile by default',
      mend: 'apt-get install apparmor, then restart berthd',
    },
    'apparmor-off': {
      severity: 'error',
      what: 'runtime.apparmor_profile names {profile}, and this kernel has no AppArmor enabled',
      breaks: 'every container with the default profile',
      mend: 'empty runtime.apparmor_profile, or add apparmor=1 security=apparmor to the kernel command line and reboot',
    },
    'apparmor-unreadable': {
      severity: 'warning',
      what: 'AppArmor is on, and /sys/kernel/security is not mounted',
      breaks: 'pods that name an AppArmor profile: berthd cannot see which are loaded',
      mend: 'mount -t securityfs securityfs /sys/kernel/security',
    },
    'selinux-unlabelled': {
      severity: 'warning',
      what: 'SELinux is enforcing, and the policy for containers is not installed',
      breaks: 'containers: they may not read their own files',
      mend: 'dnf install container-selinux && restorecon -R {root}',
    },
    'seccomp-profile-missing': {
      severity: 'error',
      what: 'the seccomp profile {path} of runtime.seccomp_profile cannot be read',
      breaks: 'berthd does not start',
      mend: 'put the file there, or empty runtime.seccomp_profile for the built-in one',
    },
    'seccomp-profile-invalid': {
      severity: 'error',
      what: 'the seccomp profile {path} is not JSON with a defaultAction',
      breaks: 'every container with the default profile',
      mend: 'correct the file and restart berthd, or empty runtime.seccomp_profile for the built-in one',
    },
  },
  ({ machine, config }, report) => {
    const { apparmorProfile: profile, seccompProfile: path } = config.runtime;
    const isOn = (machine.read('/sys/module/apparmor/parameters/enabled') ?? '').startsWith('Y');
    const loaded = machine.read('/sys/kernel/security/apparmor/profiles');
    if (isOn && loaded === undefined) report('apparmor-unreadable');
    // Berth's own is loaded by berthd itself, and does without AppArmor.
    if (profile === 'berth-default') {
      if (isOn && !parsers.some((file) => machine.stat(file))) report('no-parser');
    } else if (profile !== '' && !isOn) report('apparmor-off', { profile });
    else if (profile !== '' && loaded !== undefined) {
      const names = loaded.split('\n').map((line) => line.replace(/ \([a-z]+\)$/, ''));
      if (!names.includes(profile)) report('profile-not-loaded', { profile });
    }
    const isEnforcing = (machine.read('/sys/fs/selinux/enforce') ?? '').trim() === '1';
    const contexts = [
      '/etc/selinux/targeted/contexts/lxc_contexts',
      '/etc/selinux/mcs/contexts/lxc_contexts',
    ];
    if (isEnforcing && !contexts.some((file) => machine.stat(file)))
      report('selinux-unlabelled', { root: config.daemon.rootDir });
    if (path === '') return;
    const text = machine.read(path);
    if (text === undefined) report('seccomp-profile-missing', { path });
    else if (!hasDefaultAction(text)) report('seccomp-profile-invalid', { path });
  },
);

function hasDefaultAction(text: string): boolean {
  try {
    return typeof (JSON.parse(text) as { defaultAction?: unknown }).defaultAction === 'string';
  } catch {
    return false; // no JSON at all
  }
}
