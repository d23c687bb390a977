/** One layer from the registry into a directory: fetched, verified and unpacked in one stream. Runs in the layer process. */
import { closeSync, mkdirSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { errnoOf, isRuntimeError, RuntimeError, throwIfAborted } from '#base/errors.ts';
import { Ingest } from '../content/content-store.ts';
import type { Digest } from '../contract.ts';
import type { Descriptor } from '../manifest.ts';
import type { RegistryClient } from '../registry/client.ts';
import { fetchFile } from './fetch-file.ts';
import { LayerPipeline, type PipelineResult } from './layer-pipeline.ts';
import type { UnpackedTree, UnpackLimits } from './layer-writer.ts';

export interface LayerRequest {
  readonly blob: Descriptor;
  readonly diffId: Digest;
  /** The blob is no archive but a file, to be kept under this name. */
  readonly fileName?: string;
  /** Made anew here; nobody else uses it. */
  readonly directory: string;
  /** Where to leave the list of implied directories; a hostile layer has too many for a message. */
  readonly impliedPath: string;
  readonly limits: UnpackLimits;
  /** Where the compressed blob is, or goes if it is kept. */
  readonly blobPath: string;
  readonly ingestPath: string;
  /** Whether the compressed blob is kept after the layer is unpacked. */
  readonly keepBlob: boolean;
  /** Blobs from this size on are kept while they are fetched, so that a pull that fails can be gone on with. */
  readonly resumableBytes: number;
}

export interface FetchedLayer {
  readonly usedBytes: number;
  readonly inodes: number;
  /** Whether the layer has directories that take after lower layers; they are listed at `impliedPath`. */
  readonly hasImplied: boolean;
  readonly isBlobKept: boolean;
}

/**
 * Fetches and unpacks. A host that sends wrong bytes is left out of a second try. Throws Unknown (registry failures, a
 * refused layer, a wrong digest), ResourceExhausted, Canceled; `directory` is gone then. Without a client the blob must be here. `onBytes` gets the count of compressed bytes so far.
 */
export async function fetchLayer(
  client: RegistryClient | undefined,
  request: LayerRequest,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<FetchedLayer> {
  const { fileName } = request;
  if (fileName !== undefined && client) return fetchFile(client, { ...request, fileName }, onBytes, signal);
  const excluded = new Set<string>();
  let mismatch: RuntimeError | undefined;
  try {
    for (;;) {
      rmSync(request.directory, { recursive: true, force: true });
      mkdirSync(request.directory, { mode: 0o700 });
      const attempt = await runAttempt(client, request, excluded, onBytes, signal).catch((error: unknown) => {
        // With the host that lied left out, the others may have failed in their own ways: the lie is the news.
        throw mismatch ?? error;
      });
      if (attempt.type === 'done') return attempt.layer;
      mismatch = attempt.error;
      for (const origin of attempt.contributors) excluded.add(origin);
    }
  } catch (error) {
    rmSync(request.directory, { recursive: true, force: true });
    throw error;
  }
}

type Attempt =
  | { readonly type: 'done'; readonly layer: FetchedLayer }
  | { readonly type: 'mismatch'; readonly error: RuntimeError; readonly contributors: readonly string[] };

async function runAttempt(
  client: RegistryClient | undefined,
  request: LayerRequest,
  excluded: ReadonlySet<string>,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Attempt> {
  const { blob, diffId, blobPath } = request;
  const pipeline = new LayerPipeline(request.directory, { blob: blob.digest, diffId }, request.limits);
  const isLocal = await feedLocal(pipeline, blobPath, signal);
  const isIngested = !isLocal && (request.keepBlob || blob.sizeBytes >= request.resumableBytes);
  const ingest = isIngested ? new Ingest(request.ingestPath) : undefined;
  let isDone = false;
  let isUseless = false;
  try {
    const contributors = isLocal
      ? []
      : await feedRemote(client, pipeline, ingest, { blob, excluded, onBytes }, signal);
    const result = await pipeline.finish();
    if (result.blobDigest !== blob.digest) {
      ingest?.restart();
      if (isLocal) rmSync(blobPath, { force: true });
      const error = new RuntimeError(
        'Unknown',
        `layer ${blob.digest}: what was received has digest ${result.blobDigest}`,
      );
      return { type: 'mismatch', error, contributors };
    }
    // All of it came and is what was asked for: to fetch it again would change nothing.
    isUseless = true;
    const { implied, usedBytes, inodes } = checkedTree(result, blob.digest, diffId);
    const hasImplied = implied.length > 0;
    if (hasImplied) writeFileSync(request.impliedPath, JSON.stringify(implied), { mode: 0o600 });
    if (request.keepBlob) ingest?.commit(blobPath);
    else ingest?.discard();
    isDone = true;
    return {
      type: 'done',
      layer: { usedBytes, inodes, hasImplied, isBlobKept: isLocal || request.keepBlob },
    };
  } catch (error) {
    isUseless ||= isRuntimeError(error, 'ResourceExhausted');
    throw error;
  } finally {
    if (!isDone) {
      pipeline.abandon();
      // What was fetched is kept for the next try, but not when it is space that is short.
      if (isUseless) ingest?.discard();
      else ingest?.close();
    }
  }
}

/** The tree of a pipeline whose blob was the right one. Throws what unpacking it threw, and Unknown for a wrong diff ID. */
function checkedTree(result: PipelineResult, blob: Digest, diffId: Digest): UnpackedTree {
  if (result.tree instanceof RuntimeError)
    throw new RuntimeError(result.tree.kind, `layer ${blob}: ${result.tree.message}`, {
      cause: result.tree.cause,
    });
  if (result.diffId !== diffId)
    throw new RuntimeError(
      'Unknown',
      `layer ${blob}: it unpacks to digest ${result.diffId} where the image config says ${diffId}`,
    );
  return result.tree;
}

/** Feeds a blob that was kept from an earlier pull; false if there is none. */
async function feedLocal(pipeline: LayerPipeline, blobPath: string, signal: AbortSignal): Promise<boolean> {
  let fd: number;
  try {
    fd = openSync(blobPath, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
  try {
    for (;;) {
      throwIfAborted(signal, 'unpacking a layer');
      const chunk = Buffer.allocUnsafe(1 << 20);
      const length = readSync(fd, chunk, 0, chunk.length, null);
      if (length === 0) return true;
      await pipeline.write(chunk.subarray(0, length));
    }
  } finally {
    closeSync(fd);
  }
}

/** Feeds what an earlier try left, then the rest from the registry. Returns the origins that contributed. */
async function feedRemote(
  client: RegistryClient | undefined,
  pipeline: LayerPipeline,
  ingest: Ingest | undefined,
  what: { blob: Descriptor; excluded: ReadonlySet<string>; onBytes: (bytes: number) => void },
  signal: AbortSignal,
): Promise<string[]> {
  const { blob, excluded, onBytes } = what;
  if (!client) throw new RuntimeError('DataLoss', `layer ${blob.digest}: its blob is not here any more`);
  if (ingest && ingest.offset > blob.sizeBytes) ingest.restart();
  let received = ingest?.offset ?? 0;
  for (const chunk of ingest?.read() ?? []) await pipeline.write(chunk);
  if (received === blob.sizeBytes && received > 0) return [];
  const sink = (chunk: Buffer) => {
    received += chunk.length;
    onBytes(received);
    ingest?.append(chunk);
    return pipeline.write(chunk);
  };
  return client.streamBlob(blob, { offset: received, sink, excluded }, signal);
}
