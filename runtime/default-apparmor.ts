/**
 * The AppArmor profile that "runtime default" stands for unless the operator names another: what a container may do to the
 * kernel beyond its capabilities and seccomp filter (apparmor.d(5)). It is loaded by apparmor_parser at the daemon's start.
 *
 * It includes no file and names no ABI, so that every parser since AppArmor 2.13 takes it, whatever is installed beside it.
 */
import { RuntimeError } from '#base/errors.ts';
import { describeStatus, run, succeeded } from '#host/launch.ts';

/** The name that `runtime.apparmor_profile` has by default. */
export const defaultProfileName = 'berth-default';

/**
 * Debian 13 and Ubuntu have OCI runtimes under profiles of these names. They confine nothing, but the kernel stacks the
 * container's profile on them where it may not replace them (no_new_privs): a container's label is then
 * `crun//&berth-default`, and a rule about a peer has to allow both halves.
 */
const runtimeProfiles = ['crun', 'runc'];

const peers = [defaultProfileName, ...runtimeProfiles];

/** The profile as text. */
export const defaultProfileText = `profile ${defaultProfileName} flags=(attach_disconnected,mediate_deleted) {
  network,
  capability,
  file,
  umount,
  unix,

  # Berth, its OCI runtime, and whoever else is not confined may signal a container; in it and between containers anyone.
  signal (receive) peer=unconfined,
${peers.map((peer) => `  signal (send, receive) peer=${peer},`).join('\n')}
  ptrace (readby, tracedby) peer=unconfined,
${peers.map((peer) => `  ptrace (trace, read, tracedby, readby) peer=${peer},`).join('\n')}

  deny mount,

  # Of /proc: the files of processes may be written, and those sysctls that belong to the container's own namespaces.
  deny /proc/* w,
  deny /proc/{acpi,asound,bus,driver,fs,irq,scsi,tty}/** w,
  deny /proc/sys/{abi,debug,dev,vm}/** w,
  deny /proc/sys/fs/[^m]** w,
  deny /proc/sys/kernel/[^ms]** w,
  deny /proc/{kcore,kmem,mem,sysrq-trigger} rwklx,

  # Of /sys: nothing but cgroups may be written.
  deny /sys/{block,bus,class,dev,devices,firmware,hypervisor,kernel,module,power}/** wklx,
  deny /sys/fs/{bpf,btrfs,erofs,ext4,f2fs,fuse,nfs,pstore,resctrl,selinux,smackfs,xfs}/** wklx,
  deny /sys/{firmware,kernel/security}/** rwklx,
}
`;

/**
 * Has the kernel take the profile, or replace an older one of its name; running containers are under the new one at once.
 * `parser` is the path of apparmor_parser. Throws FailedPrecondition with the parser's words.
 */
export async function loadDefaultProfile(parser: string): Promise<void> {
  const result = await run({
    path: parser,
    args: ['--replace', '--skip-cache'],
    input: defaultProfileText,
    timeoutMs: 60_000,
  });
  if (succeeded(result.status)) return;
  const words = result.stderr.toString().trim().split('\n').at(-1) ?? '';
  throw new RuntimeError(
    'FailedPrecondition',
    `${parser} does not load the AppArmor profile ${defaultProfileName}: ${words || describeStatus(result.status)}`,
  );
}
