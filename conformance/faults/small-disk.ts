/** A file system of its own in a file, small enough to be filled in no time. */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';

export class SmallDisk {
  readonly path: string;
  readonly #ballast: string;

  private constructor(path: string) {
    this.path = path;
    this.#ballast = join(path, 'ballast');
  }

  /** Makes it from an image file beside `path` and mounts it there; whoever unmounts it frees its loop device too. */
  static async mount(path: string, sizeBytes: number, inodes: number): Promise<SmallDisk> {
    const image = `${path}.img`;
    const fd = openSync(image, 'w');
    ftruncateSync(fd, sizeBytes);
    closeSync(fd);
    await runCommand('mkfs.ext4', ['-q', '-m', '0', '-N', String(inodes), image]);
    mkdirSync(path, { recursive: true });
    await runCommand('mount', ['-o', 'loop', image, path]);
    const disk = new SmallDisk(path);
    mkdirSync(disk.#ballast);
    return disk;
  }

  /** Takes all space that is left, to the last block. */
  async fill(): Promise<void> {
    const { bavail, bsize } = statfsSync(this.path);
    // Without writing: blocks are only set aside.
    for (let size = bavail * bsize; size >= bsize; size = Math.floor(size / 2))
      await runCommand('fallocate', ['-l', String(size), join(this.#ballast, `space${size}`)]).catch(() => {
        // what is left is less
      });
    writeSome(join(this.#ballast, 'space'));
  }

  /** Takes all inodes that are left. */
  fillInodes(): void {
    for (let index = 0; ; index += 1) {
      try {
        writeFileSync(join(this.#ballast, `inode${index}`), '');
      } catch {
        return; // the last one is taken
      }
    }
  }

  makeRoom(): void {
    for (const name of readdirSync(this.#ballast)) rmSync(join(this.#ballast, name));
  }
}

/** The last block. */
function writeSome(path: string): void {
  const fd = openSync(path, 'a');
  try {
    for (;;) writeSync(fd, Buffer.alloc(1024));
  } catch {
    closeSync(fd); // full
  }
}
