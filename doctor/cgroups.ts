import { defineArea, effectiveDriver, type Subject } from './area.ts';
import { type Mounted, mountOf, readMounts } from './mounts.ts';

const root = '/sys/fs/cgroup';
/** Without these pods cannot be limited or counted. */
const needed = ['cpu', 'memory', 'pids', 'cpuset'];
const wordsOf = (text: string | undefined): string[] =>
  (text ?? '').split(/\s+/).filter((word) => word !== '');

/** Controllers that somebody below the root may use. */
function controllersOf({ machine }: Subject, mounts: readonly Mounted[], version: 1 | 2): Set<string> {
  if (version === 2) return new Set(wordsOf(machine.read(`${root}/cgroup.controllers`)));
  return new Set(mounts.filter(({ type }) => type === 'cgroup').flatMap(({ options }) => [...options]));
}

/** Control groups: layout, controllers, driver. */
export const cgroups = defineArea(
  'cgroups',
  'Control groups',
  {
    absent: {
      severity: 'error',
      what: 'no cgroup file system is mounted at /sys/fs/cgroup',
      breaks: 'every container',
      mend: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup',
    },
    'read-only': {
      severity: 'error',
      what: '/sys/fs/cgroup is mounted read-only',
      breaks: 'every container: no group can be made',
      mend: 'mount -o remount,rw /sys/fs/cgroup',
    },
    'controller-missing': {
      severity: 'error',
      what: 'the cgroup controller {controller} is not to be had',
      breaks: 'limits and figures of pods, and with them the kubelet',
      mend: 'zgrep CGROUP /proc/config.gz; for memory add cgroup_enable=memory to the kernel command line and reboot',
    },
    'controller-not-mounted': {
      severity: 'error',
      what: 'the cgroup v1 controller {controller} is mounted nowhere',
      breaks: 'limits and figures of pods, and with them the kubelet',
      mend: 'mkdir -p /sys/fs/cgroup/{controller} && mount -t cgroup -o {controller} cgroup /sys/fs/cgroup/{controller}',
    },
    'stray-controller': {
      severity: 'error',
      what: 'the controller {controller} is on the unified mount of a hybrid layout',
      breaks: 'crun, which refuses every container there',
      mend: 'mkdir -p /sys/fs/cgroup/{controller} && mount -t cgroup -o {controller} cgroup /sys/fs/cgroup/{controller}',
    },
    'not-delegated': {
      severity: 'error',
      what: 'the controllers {controllers} are not passed on below /sys/fs/cgroup, and processes in that group prevent it',
      breaks: 'every container with limits, here inside a container or a delegated group',
      mend: 'mkdir -p /sys/fs/cgroup/init; for pid in $(cat /sys/fs/cgroup/cgroup.procs); do echo $pid > /sys/fs/cgroup/init/cgroup.procs; done; echo {enable} > /sys/fs/cgroup/cgroup.subtree_control',
    },
    'version-1': {
      severity: 'warning',
      what: 'this node has cgroup version 1',
      breaks:
        'the kubelet from 1.35 on, unless failCgroupV1 is false; figures of pressure and I/O are missing',
      mend: 'add systemd.unified_cgroup_hierarchy=1 to the kernel command line and reboot: GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub',
    },
    'driver-without-systemd': {
      severity: 'error',
      what: 'runtime.cgroup_driver is "systemd", and systemd is not PID 1',
      breaks: 'every container: nobody makes its group',
      mend: 'set cgroup_driver = "auto" under [runtime] in /etc/berth/config.toml and restart berthd',
    },
    'driver-beside-systemd': {
      severity: 'warning',
      what: 'runtime.cgroup_driver is "cgroupfs", and systemd is PID 1',
      breaks: 'limits, now and then: two programs write into one tree',
      mend: 'set cgroup_driver = "auto" under [runtime] in /etc/berth/config.toml and restart berthd while no pods run',
    },
    'kubelet-driver': {
      severity: 'warning',
      what: 'the kubelet is told cgroupDriver {kubelet}, berthd uses {driver}',
      breaks: 'pods, with a kubelet that does not ask the runtime for its driver',
      mend: 'set cgroupDriver: {driver} in /var/lib/kubelet/config.yaml and restart the kubelet',
    },
  },
  (subject, report) => {
    const { machine, config, isSystemd } = subject;
    const mounts = readMounts(machine);
    const at = mountOf(mounts, root);
    const isUnified = at?.mountPoint === root && at.type === 'cgroup2';
    const hasOld = mounts.some(({ type, mountPoint }) => type === 'cgroup' && mountPoint.startsWith(root));
    const { cgroupDriver } = config.runtime;
    if (cgroupDriver === 'systemd' && !isSystemd) report('driver-without-systemd');
    if (cgroupDriver === 'cgroupfs' && isSystemd) report('driver-beside-systemd');
    const kubelet = /^cgroupDriver:\s*"?(\w+)/m.exec(machine.read('/var/lib/kubelet/config.yaml') ?? '')?.[1];
    const driver = effectiveDriver(subject);
    if (kubelet !== undefined && kubelet !== driver) report('kubelet-driver', { kubelet, driver });
    if (!isUnified && !hasOld) {
      report('absent');
      return;
    }
    if (at?.options.has('ro') && isUnified) report('read-only');
    const version = isUnified ? 2 : 1;
    const controllers = controllersOf(subject, mounts, version);
    const stray =
      version === 1 ? wordsOf(machine.read(`${root}/unified/cgroup.controllers`)) : ([] as string[]);
    const usesCrun = Object.values(config.handlers).some(({ type }) => type === 'crun');
    for (const controller of usesCrun ? stray : []) report('stray-controller', { controller });
    const missing = needed.filter((name) => !controllers.has(name) && !stray.includes(name));
    for (const controller of missing) {
      const isKnown = new RegExp(`^${controller}\\s`, 'm').test(machine.read('/proc/cgroups') ?? '');
      report(version === 1 && isKnown ? 'controller-not-mounted' : 'controller-missing', { controller });
    }
    if (version === 1) report('version-1');
    else if (machine.stat(`${root}/cgroup.type`)) {
      // Only a group that is not the kernel's own root has a type, and only there processes are in the way.
      const passed = wordsOf(machine.read(`${root}/cgroup.subtree_control`));
      const held = needed.filter((name) => controllers.has(name) && !passed.includes(name));
      if (held.length > 0 && wordsOf(machine.read(`${root}/cgroup.procs`)).length > 0)
        report('not-delegated', {
          controllers: held.join(', '),
          enable: `"${held.map((name) => `+${name}`).join(' ')}"`,
        });
    }
  },
);
