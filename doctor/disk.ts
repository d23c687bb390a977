import { defineArea, type Subject } from './area.ts';
import { type Mounted, mountOf, readMounts } from './mounts.ts';

const MiB = 1024 ** 2;
/** File systems that overlayfs refuses for its upper directory, or that lack what layers need (owners, device files, attributes). */
const unfit =
  /^(overlay|nfs4?|cifs|smb3|9p|vfat|exfat|ntfs3?|fuse(\..*)?|fuseblk|ecryptfs|squashfs|iso9660)$/;

/** The folders that berthd keeps images and state in. */
export const disk = defineArea(
  'disk',
  'Disk',
  {
    full: {
      severity: 'error',
      what: '{path} has {free} MiB left of {total} MiB',
      breaks: 'pulls, new containers, and the record of what happens',
      mend: 'berth prune, or grow the file system',
    },
    'space-low': {
      severity: 'warning',
      what: '{path} has {percent} % of its space left',
      breaks: 'the kubelet removes images below 15 %, and evicts pods soon after',
      mend: 'berth prune, or grow the file system',
    },
    'inodes-low': {
      severity: 'warning',
      what: '{path} has {percent} % of its inodes left',
      breaks: 'pulls and new containers, when there are none left',
      mend: 'berth prune, or make the file system anew with more inodes (mkfs.ext4 -i 8192)',
    },
    unfit: {
      severity: 'warning',
      what: '{path} is on {type}, which overlayfs does not take for writing',
      breaks: 'nothing, but layers are copied for every container; on network file systems much more',
      mend: 'mount an ext4 or xfs file system at {path}, or set daemon.root_dir in /etc/berth/config.toml',
    },
    'no-file-types': {
      severity: 'warning',
      what: '{path} is on an xfs without file types in folders (ftype=0)',
      breaks: 'overlayfs: layers are copied for every container',
      mend: 'make the file system anew: mkfs.xfs -n ftype=1, and restore',
    },
    'read-only': {
      severity: 'error',
      what: '{path} is on a file system that is mounted read-only',
      breaks: 'berthd does not start',
      mend: 'mount -o remount,rw {mount}; if the kernel did it, look for errors of the disk: dmesg | grep -i error',
    },
    'no-exec': {
      severity: 'error',
      what: '{path} is on a file system that is mounted noexec',
      breaks: 'every container: no program in it may be run',
      mend: 'mount -o remount,exec {mount}, and correct /etc/fstab',
    },
    restricted: {
      severity: 'warning',
      what: '{path} is on a file system that is mounted {option}',
      breaks: 'programs in containers that change the user (su, sudo, ping), or device files of images',
      mend: 'mount -o remount,{allowed} {mount}, and correct /etc/fstab',
    },
    volatile: {
      severity: 'warning',
      what: '{path} is on a tmpfs',
      breaks: 'images and state do not survive a reboot, and take memory',
      mend: 'set daemon.root_dir in /etc/berth/config.toml to a folder on a disk',
    },
    lasting: {
      severity: 'warning',
      what: '{path} is on {type} and survives a reboot',
      breaks: 'recovery after a reboot: what is there names processes and mounts that are gone',
      mend: 'set daemon.state_dir in /etc/berth/config.toml to a folder below /run',
    },
    open: {
      severity: 'error',
      what: '{path} can be written by others (mode {mode})',
      breaks: 'security: any user can change images and what containers run',
      mend: 'chmod go-w {path}',
    },
    closed: {
      severity: 'warning',
      what: '{path} cannot be walked through by others (mode {mode})',
      breaks: 'pods with user namespaces (hostUsers: false)',
      mend: 'chmod o+x {path}',
    },
  },
  async (subject, report) => {
    const { machine, config } = subject;
    const { rootDir, stateDir } = config.daemon;
    const mounts = readMounts(machine);
    const root = mountOf(mounts, rootDir);
    const state = mountOf(mounts, stateDir);
    checkSpace(subject, rootDir, report);
    if (root) {
      for (const option of ['nosuid', 'nodev'])
        if (root.options.has(option))
          report('restricted', { path: rootDir, mount: root.mountPoint, option, allowed: option.slice(2) });
      if (root.options.has('noexec')) report('no-exec', { path: rootDir, mount: root.mountPoint });
      if (root.type === 'tmpfs') report('volatile', { path: rootDir });
      else if (unfit.test(root.type)) report('unfit', { path: rootDir, type: root.type });
      else if (root.type === 'xfs' && (await lacksFileTypes(subject, root)))
        report('no-file-types', { path: rootDir });
    }
    for (const [path, mount] of [
      [rootDir, root],
      [stateDir, state],
    ] as const)
      if (mount?.options.has('ro')) report('read-only', { path, mount: mount.mountPoint });
    if (state && state.type !== 'tmpfs') report('lasting', { path: stateDir, type: state.type });
    for (const path of [rootDir, stateDir]) {
      const mode = machine.stat(path)?.mode ?? 0o711;
      const words = { path, mode: (mode & 0o777).toString(8) };
      if ((mode & 0o022) !== 0) report('open', words);
      if ((mode & 0o001) === 0) report('closed', words);
    }
  },
);

function checkSpace(
  { machine }: Subject,
  path: string,
  report: (fault: 'full' | 'space-low' | 'inodes-low', words: Record<string, string | number>) => void,
): void {
  const space = machine.space(path);
  if (!space || space.totalBytes === 0) return;
  const share = space.freeBytes / space.totalBytes;
  const inMiB = (bytes: number): number => Math.round(bytes / MiB);
  if (space.freeBytes < 256 * MiB)
    report('full', { path, free: inMiB(space.freeBytes), total: inMiB(space.totalBytes) });
  else if (share < 0.15) report('space-low', { path, percent: Math.floor(share * 100) });
  const inodeShare = space.totalInodes === 0 ? 1 : space.freeInodes / space.totalInodes;
  if (inodeShare < 0.05) report('inodes-low', { path, percent: Math.floor(inodeShare * 100) });
}

async function lacksFileTypes({ machine }: Subject, { mountPoint }: Mounted): Promise<boolean> {
  const program = machine.findProgram('xfs_info');
  if (program === undefined) return false;
  return /\bftype=0\b/.test((await machine.run(program, [mountPoint])).stdout);
}
