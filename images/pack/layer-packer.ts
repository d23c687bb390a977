/**
 * A layer archive from a directory of changes (OCI image-spec, layer.md): whiteouts for what is deleted, opaque markers,
 * hard links, devices, attributes. The same tree gives the same bytes. Synchronous reads; runs in the layer process.
 */
import { type BigIntStats, closeSync, constants, fstatSync, readlinkSync, readSync } from 'node:fs';
import { findXattr, listXattrs } from '#host/xattr.ts';
import { join } from '../unpack/layer-tree.ts';
import type { EntryType, TarEntry } from '../unpack/tar-header.ts';
import { archiveEnd, encodeHeader, padding } from './tar-encoder.ts';
import { type Change, type ChangedTree, listTreeChanges, openInTree, pathBytes } from './tree-changes.ts';

const readFlags = constants.O_RDONLY | constants.O_NONBLOCK;
const pieceBytes = 1 << 20;

/** Takes bytes of the archive in order; a promise asks to wait. */
export type ByteSink = (chunk: Buffer) => Promise<void> | undefined;

/** Major and minor of a device number as stat(2) packs it. */
function splitDevice(device: bigint): [major: number, minor: number] {
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n);
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n);
  return [Number(major), Number(minor)];
}

function typeOf(stat: BigIntStats): EntryType | undefined {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isCharacterDevice()) return 'char';
  if (stat.isBlockDevice()) return 'block';
  return stat.isFIFO() ? 'fifo' : undefined;
}

function modifiedOf(ns: bigint): TarEntry['modified'] {
  const nanoseconds = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((ns - nanoseconds) / 1_000_000_000n), nanoseconds: Number(nanoseconds) };
}

function xattrsOf(path: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const name of listXattrs(path)) {
    // Overlayfs's own, and labels of this host that mean nothing on another.
    if (/^(trusted|user)\.overlay\./.test(name) || name === 'security.selinux') continue;
    const value = findXattr(path, name);
    if (value) found.set(name, Buffer.from(value));
  }
  return found;
}

function markerEntry(name: string): TarEntry {
  return {
    name,
    type: 'file',
    linkName: '',
    mode: 0,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    modified: { seconds: 0, nanoseconds: 0 },
    devMajor: 0,
    devMinor: 0,
    xattrs: new Map(),
  };
}

/** Packs the changes of `tree` into `sink`. Returns the number of entries. Throws errors of node:fs and what listTreeChanges throws. */
export async function packLayer(tree: ChangedTree, sink: ByteSink, signal: AbortSignal): Promise<number> {
  /** The first name of each file with several. */
  const links = new Map<bigint, string>();
  let entries = 0;
  const put = async (chunk: Buffer): Promise<void> => {
    signal.throwIfAborted();
    await sink(chunk);
  };
  for (const change of listTreeChanges(tree)) {
    entries += 1;
    if (change.kind === 'deleted') {
      await put(encodeHeader(markerEntry(whiteoutName(change.path))));
      continue;
    }
    await packOne(tree.directory, change, links, put);
    if (change.isOpaque) await put(encodeHeader(markerEntry(join(change.path, '.wh..wh..opq'))));
  }
  await put(archiveEnd);
  return entries;
}

function whiteoutName(path: string): string {
  const slash = path.lastIndexOf('/');
  return join(path.slice(0, Math.max(0, slash)), `.wh.${path.slice(slash + 1)}`);
}

async function packOne(
  root: string,
  { path, stat }: Change,
  links: Map<bigint, string>,
  put: (chunk: Buffer) => Promise<void>,
): Promise<void> {
  const type = stat && typeOf(stat);
  // A socket is of the process that listens on it.
  if (!stat || type === undefined) return;
  const absolute = pathBytes(root, path);
  const known = type !== 'directory' && stat.nlink > 1n ? links.get(stat.ino) : undefined;
  if (type !== 'directory' && stat.nlink > 1n && known === undefined) links.set(stat.ino, path);
  const isDevice = type === 'char' || type === 'block';
  const [devMajor, devMinor] = isDevice ? splitDevice(stat.rdev) : [0, 0];
  const entry: TarEntry = {
    name: type === 'directory' ? `${path === '' ? '.' : path}/` : path,
    type: known === undefined ? type : 'hardlink',
    linkName: known ?? (type === 'symlink' ? readlinkSync(absolute, 'latin1') : ''),
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    sizeBytes: type === 'file' && known === undefined ? Number(stat.size) : 0,
    modified: modifiedOf(stat.mtimeNs),
    devMajor,
    devMinor,
    xattrs: known === undefined ? xattrsOf(absolute) : new Map(),
  };
  if (entry.type !== 'file' || entry.sizeBytes === 0) {
    await put(encodeHeader(entry));
    return;
  }
  const fd = openInTree(root, path, readFlags);
  try {
    // Another file, or none, may be in its place by now; its other names then are not links to it.
    if (fd === undefined || fstatSync(fd, { bigint: true }).ino !== stat.ino) {
      links.delete(stat.ino);
      return;
    }
    await put(encodeHeader(entry));
    await packContent(fd, entry.sizeBytes, put);
    await put(padding(entry.sizeBytes));
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Exactly as many bytes as the header says: a file that a container shortens meanwhile is filled with zeros. */
async function packContent(
  fd: number,
  sizeBytes: number,
  put: (chunk: Buffer) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < sizeBytes; ) {
    const chunk = Buffer.allocUnsafe(Math.min(pieceBytes, sizeBytes - at));
    const length = readSync(fd, chunk, 0, chunk.length, at);
    if (length === 0) chunk.fill(0);
    const piece = length === 0 ? chunk : chunk.subarray(0, length);
    await put(piece);
    at += piece.length;
  }
}
