/**
 * Makes files from the entries of a layer, in the form that overlayfs reads: a whiteout becomes a character device 0:0, an
 * opaque directory carries an attribute (kernel documentation, filesystems/overlayfs; OCI image-spec, layer.md, Whiteouts).
 * Everything is synchronous: it runs in a process of its own, where that is fastest.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  openSync,
  statfsSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '#base/errors.ts';
import { makeNode, type NodeType, setTimes } from '#host/file-metadata.ts';
import { type PathBytes, setXattr } from '#host/xattr.ts';
import { join, type LayerDirectory, LayerTree } from './layer-tree.ts';
import { badLayer, shown, type TarEntry } from './tar-header.ts';
import type { TarSink } from './tar-parser.ts';

export interface UnpackLimits {
  /** Uncompressed bytes of one layer, headers included. */
  readonly layerBytes: number;
  readonly layerEntries: number;
  /** What must stay free on the file system. */
  readonly freeBytes: number;
}

export const defaultUnpackLimits: UnpackLimits = {
  layerBytes: 64 * 2 ** 30,
  layerEntries: 1_000_000,
  freeBytes: 256 * 2 ** 20,
};

export interface UnpackedTree {
  /** Disk space, in whole blocks. */
  readonly usedBytes: number;
  readonly inodes: number;
  /** Directories without an entry of their own, parents first: they take after the lower layers. Bytes as latin1. */
  readonly implied: readonly string[];
}

export const opaqueXattr = 'trusted.overlay.opaque';
const whiteoutPrefix = '.wh.';
const opaqueWhiteout = '.wh..wh..opq';
const fsBlockBytes = 4096;
const freeCheckBytes = 64 << 20;
const createFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export class LayerWriter implements TarSink {
  readonly #tree: LayerTree;
  readonly #root: string;
  readonly #limits: UnpackLimits;
  #entries = 0;
  #inodes = 0;
  #usedBytes = 0;
  #untilFreeCheck = 0;
  #file: { readonly fd: number; readonly entry: TarEntry; end: number; written: number } | undefined;

  /** `root` is an empty directory of mode 0700 that nobody else writes to. */
  constructor(root: string, limits: UnpackLimits) {
    this.#root = root;
    this.#tree = new LayerTree(root);
    this.#limits = limits;
  }

  begin(entry: TarEntry): void {
    this.#entries += 1;
    if (this.#entries > this.#limits.layerEntries)
      throw new RuntimeError(
        'ResourceExhausted',
        `layer refused: it has more than ${this.#limits.layerEntries} entries`,
      );
    this.#guard(entry.name, () => this.#make(entry));
  }

  data(chunk: Buffer, position: number): void {
    const file = this.#file;
    if (!file) return;
    this.#guard(file.entry.name, () => {
      this.#untilFreeCheck -= chunk.length;
      if (this.#untilFreeCheck < 0) this.#checkFree();
      for (let at = 0; at < chunk.length; )
        at += writeSync(file.fd, chunk, at, chunk.length - at, position + at);
      file.end = position + chunk.length;
      file.written += chunk.length;
    });
  }

  end(): void {
    const file = this.#file;
    if (!file) return;
    this.#file = undefined;
    this.#guard(file.entry.name, () => {
      try {
        if (file.end < file.entry.sizeBytes) ftruncateSync(file.fd, file.entry.sizeBytes);
        const { uid, gid, mode, xattrs, modified } = file.entry;
        // Own first, then attributes and mode: a change of owner takes capabilities and setuid away.
        if (uid !== 0 || gid !== 0) fchownSync(file.fd, uid, gid);
        if (xattrs.size > 0) this.#setXattrs(file.fd, file.entry);
        fchmodSync(file.fd, mode);
        setTimes(file.fd, modified, modified);
        this.#usedBytes += Math.ceil(file.written / fsBlockBytes) * fsBlockBytes;
      } finally {
        closeSync(file.fd);
      }
    });
  }

  /** Gives every directory its owner, attributes, mode and times, now that nothing is made in it any more. */
  finish(): UnpackedTree {
    const implied: string[] = [];
    for (const [path, directory] of this.#tree.directories)
      this.#guard(path, () => {
        if (!directory.entry && !directory.isNew) implied.push(path);
        this.#finishDirectory(this.#tree.absolute(path), directory);
      });
    implied.sort((a, b) => a.length - b.length);
    const directories = this.#tree.directories.size;
    return {
      usedBytes: this.#usedBytes + directories * fsBlockBytes,
      inodes: this.#inodes + directories,
      implied,
    };
  }

  /** Closes what is open; for a layer that is given up. */
  abandon(): void {
    if (this.#file) closeSync(this.#file.fd);
    this.#file = undefined;
  }

  #guard(name: string, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (error instanceof RuntimeError) throw error;
      const words = errnoOf(error) === 'ENOSPC' ? 'no space left on device' : messageOf(error);
      const kind = ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '') ? 'ResourceExhausted' : 'Unknown';
      throw new RuntimeError(kind, `unpacking ${shown(name)}: ${words}`, { cause: error });
    }
  }

  #checkFree(): void {
    this.#untilFreeCheck = freeCheckBytes;
    const { bavail, bsize } = statfsSync(this.#root);
    if (bavail * bsize >= this.#limits.freeBytes + freeCheckBytes) return;
    const mebibytes = Math.round(this.#limits.freeBytes / 2 ** 20);
    throw new RuntimeError(
      'ResourceExhausted',
      `unpacking the layer would leave less than ${mebibytes} MiB free at ${this.#root}: free some space`,
    );
  }

  #make(entry: TarEntry): void {
    const { directory, base } = this.#tree.locate(entry.name);
    if (base.startsWith(whiteoutPrefix)) {
      this.#makeWhiteout(directory, base, entry.name);
      return;
    }
    const path = join(directory, base);
    for (const name of entry.xattrs.keys())
      if (name.startsWith('trusted.overlay.'))
        throw badLayer(`${shown(entry.name)} carries the attribute ${shown(name)}`);
    if (entry.type === 'directory') {
      this.#tree.ensureDirectory(path).entry = entry;
      return;
    }
    // This device is how overlayfs spells a whiteout, so it can mean nothing else.
    if (entry.type === 'char' && entry.devMajor === 0 && entry.devMinor === 0) {
      this.#hide(path);
      return;
    }
    if (entry.type !== 'hardlink') this.#inodes += 1;
    if (entry.type === 'file') {
      this.#tree.create(path, (absolute) => {
        this.#file = { fd: openSync(absolute, createFlags, 0o600), entry, end: 0, written: 0 };
      });
    } else if (entry.type === 'hardlink') this.#makeHardLink(entry, path);
    else this.#makeSpecial(entry, entry.type, path);
  }

  #makeSpecial(entry: TarEntry, type: 'symlink' | NodeType, path: string): void {
    if (type === 'symlink') {
      if (entry.linkName === '') throw badLayer(`the symbolic link ${shown(entry.name)} has no target`);
      const target = Buffer.from(entry.linkName, 'latin1');
      this.#tree.create(path, (absolute) => symlinkSync(target, absolute));
    } else this.#tree.create(path, (absolute) => makeNode(absolute, type, entry.devMajor, entry.devMinor));
    const absolute = this.#tree.absolute(path);
    lchownSync(absolute, entry.uid, entry.gid);
    this.#setXattrs(absolute, entry);
    if (type !== 'symlink') chmodSync(absolute, entry.mode);
    setTimes(absolute, entry.modified, entry.modified);
  }

  #hide(path: string): void {
    if (this.#tree.hide(path)) this.#inodes += 1;
  }

  #makeWhiteout(directory: string, base: string, name: string): void {
    if (base === opaqueWhiteout) {
      this.#tree.directories.get(directory)!.isOpaque = true;
      return;
    }
    // Other names of this form are notes of the aufs driver to itself.
    if (base.startsWith('.wh..wh.')) return;
    const hidden = base.slice(whiteoutPrefix.length);
    if (hidden === '' || hidden === '.' || hidden === '..')
      throw badLayer(`${shown(name)} is no proper whiteout`);
    this.#hide(join(directory, hidden));
  }

  #makeHardLink(entry: TarEntry, path: string): void {
    const existing = this.#tree.find(entry.linkName);
    if (existing === undefined)
      throw badLayer(
        `the hard link ${shown(entry.name)} names ${shown(entry.linkName)}, which is no file of this layer`,
      );
    this.#tree.link(existing, path);
  }

  #finishDirectory(absolute: PathBytes, directory: LayerDirectory): void {
    const { entry } = directory;
    if (entry) {
      lchownSync(absolute, entry.uid, entry.gid);
      this.#setXattrs(absolute, entry);
    }
    if (directory.isOpaque) setXattr(absolute, opaqueXattr, Buffer.from('y'));
    chmodSync(absolute, entry?.mode ?? 0o755);
    if (entry) setTimes(absolute, entry.modified, entry.modified);
  }

  #setXattrs(file: PathBytes | number, entry: TarEntry): void {
    for (const [name, value] of entry.xattrs) {
      // Overlayfs reads these only from mounts made in a user namespace, and there they must not come from an image.
      if (name.startsWith('user.overlay.')) continue;
      try {
        setXattr(file, Buffer.from(name, 'latin1'), value);
      } catch (error) {
        const code = errnoOf(error);
        const isUserOnOther = name.startsWith('user.') && entry.type !== 'file' && entry.type !== 'directory';
        if (code === 'EOPNOTSUPP' || code === 'ENOTSUP' || (code === 'EPERM' && isUserOnOther)) continue;
        throw error;
      }
    }
  }
}
