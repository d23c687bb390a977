/**
 * A whole tree from a parent's tree and an unpacked layer in the form of overlayfs: what overlayfs would show, as plain
 * copies. For the snapshotter that needs no overlayfs. Synchronous; runs in the layer process.
 */
import {
  type BigIntStats,
  chmodSync,
  constants,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { makeNode } from '#host/file-metadata.ts';
import { findXattr } from '#host/xattr.ts';
import { copyMetadata } from '../unpack/inherit.ts';
import { opaqueXattr } from '../unpack/layer-writer.ts';
import type { TreeSize } from '../worker/protocol.ts';

const separator = Buffer.from('/');

function child(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, separator, name]);
}

function find(path: Buffer): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** Whether this is how overlayfs spells that a lower file is gone. */
function isWhiteout(stat: BigIntStats): boolean {
  return stat.isCharacterDevice() && stat.rdev === 0n;
}

/** A device number as stat(2) packs it. */
function split(device: bigint): [major: number, minor: number] {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return [Number(major), Number(minor)];
}

/** Copies trees over one another into one target. */
class TreeMerger {
  /** Where the first of several names of a file was copied to, by inode. */
  readonly #links = new Map<bigint, Buffer>();
  usedBytes = 0;
  inodes = 0;

  /** Lays `from` over `to`; `to` exists. */
  copyInto(from: Buffer, to: Buffer): void {
    for (const name of readdirSync(from, { encoding: 'buffer' }))
      this.#copy(child(from, name), child(to, name));
    copyMetadata(from, to);
  }

  #copy(from: Buffer, to: Buffer): void {
    const stat = find(from);
    if (!stat) return;
    const there = find(to);
    if (isWhiteout(stat)) {
      if (there) rmSync(to, { recursive: true, force: true });
      return;
    }
    if (stat.isDirectory()) {
      const isOpaque = findXattr(from, opaqueXattr)?.toString() === 'y';
      if (there && (isOpaque || !there.isDirectory())) rmSync(to, { recursive: true, force: true });
      if (!there || isOpaque || !there.isDirectory()) mkdirSync(to, 0o700);
      this.copyInto(from, to);
      return;
    }
    if (there) rmSync(to, { recursive: true, force: true });
    const known = stat.nlink > 1n ? this.#links.get(stat.ino) : undefined;
    if (known) {
      linkSync(known, to);
      return;
    }
    if (stat.nlink > 1n) this.#links.set(stat.ino, to);
    this.#make(from, to, stat);
    copyMetadata(from, to);
  }

  #make(from: Buffer, to: Buffer, stat: BigIntStats): void {
    if (stat.isSymbolicLink()) symlinkSync(readlinkSync(from, 'buffer'), to);
    else if (stat.isFile()) {
      // Shares the blocks where the file system can (btrfs, xfs).
      copyFileSync(from, to, constants.COPYFILE_FICLONE);
      chmodSync(to, 0o600);
    } else if (stat.isFIFO()) makeNode(to, 'fifo');
    else makeNode(to, stat.isBlockDevice() ? 'block' : 'char', ...split(stat.rdev));
  }

  /** The size of a tree, each inode once. */
  measure(directory: Buffer, seen = new Set<bigint>()): void {
    this.#count(find(directory)!);
    for (const name of readdirSync(directory, { encoding: 'buffer' })) {
      const path = child(directory, name);
      const stat = find(path)!;
      if (stat.isDirectory()) this.measure(path, seen);
      else if (stat.nlink === 1n || !seen.has(stat.ino)) {
        if (stat.nlink > 1n) seen.add(stat.ino);
        this.#count(stat);
      }
    }
  }

  #count(stat: BigIntStats): void {
    this.usedBytes += Number(stat.blocks) * 512;
    this.inodes += 1;
  }
}

/** Makes `target` the tree of `parent` with `layer` over it, and returns its size. Throws errors of node:fs and SystemCallError; a partial target is the caller's to remove. */
export function mergeTree(parent: string | undefined, layer: string, target: string): TreeSize {
  const to = Buffer.from(target, 'utf8');
  mkdirSync(to, { recursive: true, mode: 0o700 });
  if (parent !== undefined) new TreeMerger().copyInto(Buffer.from(parent, 'utf8'), to);
  new TreeMerger().copyInto(Buffer.from(layer, 'utf8'), to);
  const measured = new TreeMerger();
  measured.measure(to);
  return { usedBytes: measured.usedBytes, inodes: measured.inodes };
}
