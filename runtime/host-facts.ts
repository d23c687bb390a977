/** What of this host decides about specs and status, gathered once at start. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { detectCgroupLayout, hasHugetlbController, hasSwapController, readText } from '#host/cgroup.ts';
import type { HandlerFeatures } from './oci/features.ts';
import type { HostFacts } from './spec/inputs.ts';

/** Capability names by bit (linux/capability.h). */
const capabilityNames = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

/** Names of the bits set in a mask as /proc/PID/status prints it. Bits that no name is known for are passed over. */
export function capabilitiesOf(hexMask: string): string[] {
  const mask = BigInt(`0x${hexMask}`);
  return capabilityNames.filter((_name, bit) => (mask >> BigInt(bit)) & 1n);
}

/** Names of AppArmor profiles that the kernel has loaded; empty when AppArmor is off. Read anew each time: profiles come and go. */
export function loadedAppArmorProfiles(): string[] {
  const text = readText('/sys/kernel/security/apparmor/profiles') ?? '';
  return text
    .split('\n')
    .map((line) => line.replace(/ \([a-z]+\)$/, ''))
    .filter((name) => name !== '');
}

/** Whether systemd is the init of this host: then it owns the cgroup tree, and its driver is the right one. */
export function isSystemdInit(): boolean {
  return existsSync('/run/systemd/system');
}

/** Gathers the facts; `features` are those of the default handler. A container of another handler gets that one's. */
export function gatherHostFacts(cgroupDriver: 'cgroupfs' | 'systemd', features: HandlerFeatures): HostFacts {
  const { version } = detectCgroupLayout();
  const status = readFileSync('/proc/self/status', 'latin1');
  const bounding = capabilitiesOf(/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0');
  const effective = capabilitiesOf(/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0');
  return {
    cgroupVersion: version,
    cgroupDriver,
    hasSwapController: hasSwapController(version),
    hasHugetlbController: hasHugetlbController(version),
    boundingCapabilities: bounding,
    isAppArmorEnabled:
      (readText('/sys/module/apparmor/parameters/enabled') ?? '').startsWith('Y') &&
      existsSync('/sys/kernel/security/apparmor'),
    isSelinuxEnabled: existsSync('/sys/fs/selinux/enforce'),
    ownOomScoreAdj: Number((readText('/proc/self/oom_score_adj') ?? '0').trim()),
    canLowerOomScore: effective.includes('CAP_SYS_RESOURCE'),
    architecture: ({ x64: 'amd64', ia32: '386' } as Record<string, string>)[process.arch] ?? process.arch,
    hasRecursiveReadonly: features.hasRecursiveReadonly,
    hasIdmappedMounts: features.hasIdmappedMounts,
    kernelVersion: release(),
  };
}

/** The first of `names` that is an executable file in one of `directories`; '' when none is. */
export function findProgram(names: readonly string[], directories: readonly string[]): string {
  for (const directory of directories) {
    for (const name of names) {
      const path = name.startsWith('/') ? name : `${directory}/${name}`;
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat?.isFile() && (stat.mode & 0o111) !== 0) return path;
    }
  }
  return '';
}
