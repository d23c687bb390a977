/** What a file system is told of a directory, as far as it listens (ioctl_iflags(2)). */
import { closeSync, constants, openSync } from 'node:fs';
import { ioctlRaw } from './libc.ts';

const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const FS_TOPDIR_FL = 0x20000;

/**
 * Says that the directories made in `directory` from now on have nothing to do with each other. ext4 then gives each a place of
 * its own on the disk, where it otherwise puts them side by side. There it would look, for every new file, at all that were
 * removed within the last minutes (recently_deleted in the kernel's fs/ext4/ialloc.c): where containers come and go that is a
 * millisecond for each. Returns whether the file system has taken the hint; others than ext4 do not. Idempotent; never throws.
 */
export function spreadDirectoriesOf(directory: string): boolean {
  const flags = Buffer.alloc(8);
  let fd: number | undefined;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    if (ioctlRaw(fd, FS_IOC_GETFLAGS, flags) !== 0) return false;
    const present = flags.readUInt32LE();
    if ((present & FS_TOPDIR_FL) !== 0) return true;
    flags.writeUInt32LE((present | FS_TOPDIR_FL) >>> 0);
    return ioctlRaw(fd, FS_IOC_SETFLAGS, flags) === 0;
  } catch {
    return false; // whoever uses the directory says what is wrong with it
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
