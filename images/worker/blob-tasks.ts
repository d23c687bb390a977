/** What the layer process does with blobs beyond pulls: pack, compress, hash, list changes, fetch, upload. */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError, throwIfAborted } from '#base/errors.ts';
import type { Digest } from '../contract.ts';
import { algorithmOf, Digester } from '../digest.ts';
import type { Descriptor } from '../manifest.ts';
import { BlobWriter, type WrittenBlob } from '../pack/blob-writer.ts';
import { packLayer } from '../pack/layer-packer.ts';
import { type ChangedTree, listTreeChanges } from '../pack/tree-changes.ts';
import type { RegistryClient } from '../registry/client.ts';

const pieceBytes = 1 << 20;
const linesAtOnce = 64 << 10;

function asOurs(error: unknown, attempted: string): unknown {
  const code = errnoOf(error);
  if (error instanceof RuntimeError) return error;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new RuntimeError('ResourceExhausted', `${attempted}: no space left on device`, { cause: error });
  return new RuntimeError('Internal', `${attempted}: ${messageOf(error)}`, { cause: error });
}

async function writeBlob(
  targetPath: string,
  attempted: string,
  fill: (writer: BlobWriter) => Promise<void>,
  signal: AbortSignal,
): Promise<WrittenBlob> {
  const writer = new BlobWriter(targetPath);
  try {
    await fill(writer);
    return await writer.finish();
  } catch (error) {
    writer.abandon();
    rmSync(targetPath, { force: true });
    throwIfAborted(signal, attempted);
    throw asOurs(error, attempted);
  }
}

/** The changes of a tree as a compressed layer in a new file. Throws ResourceExhausted, FailedPrecondition, Internal, Canceled. */
export function packBlob(tree: ChangedTree, targetPath: string, signal: AbortSignal): Promise<WrittenBlob> {
  return writeBlob(
    targetPath,
    `packing ${tree.directory} as a layer`,
    async (writer) => {
      await packLayer(tree, (chunk) => writer.write(chunk), signal);
    },
    signal,
  );
}

/** A file compressed into another. Throws ResourceExhausted, Internal, Canceled. */
export function compressBlob(path: string, targetPath: string, signal: AbortSignal): Promise<WrittenBlob> {
  return writeBlob(
    targetPath,
    `compressing ${path}`,
    async (writer) => {
      for (const chunk of piecesOf(path, signal)) await writer.write(chunk);
    },
    signal,
  );
}

export interface HashedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** The digest and size of a file. Throws NotFound, Internal, Canceled. */
export function hashBlob(path: string, algorithm: 'sha256' | 'sha512', signal: AbortSignal): HashedBlob {
  const digester = new Digester(algorithm);
  let sizeBytes = 0;
  try {
    for (const chunk of piecesOf(path, signal)) {
      digester.update(chunk);
      sizeBytes += chunk.length;
    }
  } catch (error) {
    if (errnoOf(error) === 'ENOENT')
      throw new RuntimeError('NotFound', `there is no file ${path}`, { cause: error });
    throw asOurs(error, `reading ${path}`);
  }
  return { digest: digester.digest(), sizeBytes };
}

function* piecesOf(path: string, signal: AbortSignal): Generator<Buffer> {
  const fd = openSync(path, 'r');
  try {
    for (;;) {
      throwIfAborted(signal, `reading ${path}`);
      const chunk = Buffer.allocUnsafe(pieceBytes);
      const length = readSync(fd, chunk, 0, chunk.length, null);
      if (length === 0) return;
      yield chunk.subarray(0, length);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes the changes of a tree to a file, `A PATH`, `C PATH` or `D PATH` each with a zero byte behind it, paths absolute: a
 * message could not hold a million of them. Returns their number.
 */
export function writeChanges(tree: ChangedTree, targetPath: string, signal: AbortSignal): number {
  const letters = { added: 'A', changed: 'C', deleted: 'D' } as const;
  const fd = openSync(targetPath, 'wx', 0o600);
  let count = 0;
  let pending = '';
  const flush = () => {
    const bytes = Buffer.from(pending, 'latin1');
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    pending = '';
  };
  try {
    for (const { kind, path } of listTreeChanges(tree)) {
      throwIfAborted(signal, 'listing changes');
      count += 1;
      pending += `${letters[kind]} /${path}\0`;
      if (pending.length > linesAtOnce) flush();
    }
    flush();
    return count;
  } catch (error) {
    throw asOurs(error, `listing the changes in ${tree.directory}`);
  } finally {
    closeSync(fd);
  }
}

/** Fetches a blob into a new file, verified. Throws Unknown (registry, wrong digest), ResourceExhausted, Canceled; the file is gone then. */
export async function fetchBlobFile(
  client: RegistryClient,
  blob: Descriptor,
  targetPath: string,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const fd = openSync(targetPath, 'wx', 0o600);
  const digester = new Digester(algorithmOf(blob.digest));
  let received = 0;
  try {
    const sink = (chunk: Buffer): undefined => {
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at);
      digester.update(chunk);
      received += chunk.length;
      onBytes(received);
    };
    await client.streamBlob(blob, { offset: 0, sink, excluded: new Set() }, signal);
    const actual = digester.digest();
    if (actual !== blob.digest)
      throw new RuntimeError('Unknown', `layer ${blob.digest}: what was received has digest ${actual}`);
  } catch (error) {
    rmSync(targetPath, { force: true });
    throw asOurs(error, `fetching layer ${blob.digest}`);
  } finally {
    closeSync(fd);
  }
}
