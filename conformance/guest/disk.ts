/**
 * The system disk of the test guest: a Debian 13 with systemd as init, cgroup v2 only and AppArmor, with the packages that
 * Berth runs on. Made by debootstrap and mkfs.ext4, without mounting anything; kept in the cache until the recipe changes.
 *
 *   node conformance/guest/disk.ts      builds it if need be and prints where it is
 */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';
import { demoPackages, ensurePackages, runtimePackages } from '../setup.ts';
import { archiveAddress } from '../tools/debian-packages.ts';

export interface GuestDisk {
  /** Root file system, ext4, sparse. Never written after it was made. */
  readonly disk: string;
  readonly kernel: string;
  /** A RAM disk that mounts the root file system and nothing else. */
  readonly ramDisk: string;
}

const suite = 'trixie';
const diskSize = 6 * 2 ** 30;

/** What the host needs to build and run the guest. */
export const guestHostPackages = [
  'debootstrap',
  'debian-archive-keyring',
  'qemu-system-x86',
  'qemu-utils',
  'e2fsprogs',
  'xz-utils',
  'busybox-static',
] as const;

const guestPackages = [
  'linux-image-amd64',
  ...['systemd', 'systemd-sysv', 'udev', 'dbus', 'kmod', 'procps', 'iputils-ping'],
  // apparmor_parser; critest calls it by sudo.
  ...['apparmor', 'sudo', 'conntrack', 'libstdc++6', 'libatomic1'],
  ...runtimePackages,
  ...demoPackages,
  'runc',
];

/** Folders of the kernel's modules that a virtual machine without devices can have a use for. */
const keptModules = ['arch', 'block', 'crypto', 'fs', 'lib', 'mm', 'net', 'security'];
const keptDrivers = ['block', 'char', 'firmware', 'virtio'];
const keptNetDrivers = /^(veth|dummy|tun|macvlan|ipvlan|vrf|virtio_net|net_failover|vxlan|geneve|ifb|nlmon)/;

/** Units that only cost time in a guest that lives for one run. */
const maskedUnits = [
  ...['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'e2scrub_all.timer'],
  ...['e2scrub_reap.service', 'fstrim.timer', 'systemd-hwdb-update.service', 'getty.target'],
  ...['docker-registry.service', 'systemd-networkd-wait-online.service', 'nftables.service'],
];

const files = join(import.meta.dirname, 'files');

/** Resolves with the disk; builds it only when this script or what it installs changed. Needs root, and a Debian archive. */
export async function ensureGuestDisk(): Promise<GuestDisk> {
  const dir = cacheDir('guest');
  const made = { disk: join(dir, 'disk.raw'), kernel: join(dir, 'vmlinuz'), ramDisk: join(dir, 'initrd') };
  const stamp = join(dir, 'recipe');
  const recipe = hashRecipe();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === recipe) return made;
  await ensurePackages(guestHostPackages);
  rmSync(stamp, { force: true });
  const work = mkdtempSync(join(dir, 'build-'));
  const root = join(work, 'root');
  try {
    await bootstrap(root, join(dir, 'packages'));
    await shrinkModules(root, work);
    copyFileSync(one(join(root, 'boot'), /^vmlinuz-/), made.kernel);
    await makeRamDisk(root, work, made.ramDisk);
    settle(root);
    await makeDisk(root, join(work, 'disk.raw'));
    renameSync(join(work, 'disk.raw'), made.disk);
    writeFileSync(stamp, recipe);
    return made;
  } finally {
    // A debootstrap that was killed may leave /proc mounted in there.
    await runCommand('rm', ['-rf', '--one-file-system', work]);
  }
}

function hashRecipe(): string {
  const hash = createHash('sha256').update(JSON.stringify(guestPackages));
  for (const file of [import.meta.filename, ...readdirSync(files).map((name) => join(files, name))])
    hash.update(readFileSync(file));
  return hash.digest('hex');
}

function one(folder: string, pattern: RegExp): string {
  const name = readdirSync(folder).find((entry) => pattern.test(entry));
  if (name === undefined) throw new Error(`nothing like ${pattern} in ${folder}`);
  return join(folder, name);
}

async function bootstrap(root: string, packageCache: string): Promise<void> {
  mkdirSync(packageCache, { recursive: true });
  const args = ['--variant=minbase', `--cache-dir=${packageCache}`, `--include=${guestPackages.join(',')}`];
  // The package's own large RAM disk is of no use here: initramfs-tools is told to make none.
  const env = { ...process.env, INITRD: 'No' };
  await runCommand('debootstrap', [...args, suite, root, archiveAddress()], { env });
}

/** Leaves out the drivers of real machines, and unpacks the other modules: that is slow in an emulated machine. */
async function shrinkModules(root: string, work: string): Promise<void> {
  const release = basename(one(join(root, 'lib/modules'), /^\d/));
  const kernel = join(root, 'lib/modules', release, 'kernel');
  const removeOthers = (folder: string, keeps: (name: string) => boolean): void => {
    for (const name of readdirSync(folder))
      if (!keeps(name)) rmSync(join(folder, name), { recursive: true, force: true });
  };
  removeOthers(kernel, (name) => name === 'drivers' || keptModules.includes(name));
  removeOthers(join(kernel, 'drivers'), (name) => name === 'net' || keptDrivers.includes(name));
  removeOthers(join(kernel, 'drivers/net'), (name) => keptNetDrivers.test(name));
  rmSync(join(kernel, 'arch/x86/kvm'), { recursive: true, force: true });
  const packed = globSync('**/*.ko.xz', { cwd: kernel }).map((name) => join(kernel, name));
  for (let at = 0; at < packed.length; at += 200)
    await runCommand('xz', ['-d', ...packed.slice(at, at + 200)]);
  await runCommand('chroot', [root, 'depmod', release]);
  writeFileSync(join(work, 'release'), release);
}

/** busybox, the modules for a virtio disk with ext4 in the order they are needed, and a script. */
async function makeRamDisk(root: string, work: string, ramDisk: string): Promise<void> {
  const release = readFileSync(join(work, 'release'), 'utf8');
  const folder = join(work, 'ram');
  for (const name of ['bin', 'dev', 'root', 'modules']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync('/bin/busybox', join(folder, 'bin/busybox'));
  copyFileSync(join(files, 'init'), join(folder, 'init'));
  chmodSync(join(folder, 'init'), 0o755);
  const needed = new Set<string>();
  for (const module of ['virtio_pci', 'virtio_blk', 'ext4']) {
    const text = await runCommand('chroot', [root, 'modprobe', '-S', release, '--show-depends', module]);
    for (const [, path] of text.matchAll(/^insmod (\S+)/gm)) needed.add(path ?? '');
  }
  let order = 10;
  for (const path of needed)
    copyFileSync(join(root, path), join(folder, 'modules', `${order++}-${basename(path)}`));
  await runCommand('sh', ['-c', 'find . | busybox cpio -o -H newc >"$0"', ramDisk], { cwd: folder });
}

/** The settings of a guest that lives for one run. */
function settle(root: string): void {
  for (const path of ['boot', 'usr/share/doc', 'usr/share/man', 'usr/share/locale', 'var/lib/apt/lists'])
    rmSync(join(root, path), { recursive: true, force: true });
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    rmSync(join(root, path), { force: true });
    writeFileSync(join(root, path), text);
  };
  write('etc/hostname', 'berth-guest\n');
  write('etc/hosts', '127.0.0.1 localhost berth-guest\n::1 localhost\n');
  write('etc/fstab', '');
  // Else every run is the first boot, with all that systemd does then.
  write('etc/machine-id', '2f6b1c8d90e34a57b1d2c3e4f5a60718\n');
  for (const path of ['etc/.updated', 'var/.updated']) write(path, '');
  write('etc/systemd/journald.conf.d/guest.conf', '[Journal]\nStorage=volatile\nForwardToConsole=no\n');
  for (const unit of maskedUnits) {
    rmSync(join(root, 'etc/systemd/system', unit), { force: true });
    symlinkSync('/dev/null', join(root, 'etc/systemd/system', unit));
  }
  // Profiles of desktop programs take seconds to load. Those that Debian puts the OCI runtimes and the registry's kin under stay.
  const profiles = join(root, 'etc/apparmor.d');
  for (const entry of readdirSync(profiles, { withFileTypes: true }))
    if (entry.isFile() && !['crun', 'runc'].includes(entry.name)) rmSync(join(profiles, entry.name));
  copyFileSync(join(files, 'berth-guest.service'), join(root, 'etc/systemd/system/berth-guest.service'));
  copyFileSync(join(files, 'guest-main'), join(root, 'usr/local/sbin/guest-main'));
  chmodSync(join(root, 'usr/local/sbin/guest-main'), 0o755);
  mkdirSync(join(root, 'usr/lib/berth'), { recursive: true });
  symlinkSync(
    '../berth-guest.service',
    join(root, 'etc/systemd/system/multi-user.target.wants/berth-guest.service'),
  );
}

/** Makes an ext4 image of a folder, without a journal: nothing in it has to outlive a crash. */
export async function makeDisk(folder: string, image: string, sizeBytes = diskSize): Promise<void> {
  rmSync(image, { force: true });
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
  await runCommand('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-d', folder, image]);
}

if (import.meta.main) console.log((await ensureGuestDisk()).disk);
