/** One blob of an artifact from the registry into a directory, as a file. Runs in the layer process. */
import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errnoOf, isRuntimeError, RuntimeError } from '#base/errors.ts';
import { Ingest } from '../content/content-store.ts';
import { algorithmOf, Digester } from '../digest.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { FetchedLayer, LayerRequest } from './fetch-layer.ts';

/**
 * Fetches the blob and puts it at `fileName` below the directory, readable by everyone. A host that sends wrong bytes is left
 * out of a second try; what a failed try got is gone on with. Throws Unknown, ResourceExhausted, Canceled; the directory is gone then.
 */
export async function fetchFile(
  client: RegistryClient,
  request: LayerRequest & { readonly fileName: string },
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<FetchedLayer> {
  const { blob, directory, fileName, limits } = request;
  if (blob.sizeBytes > limits.layerBytes)
    throw new RuntimeError(
      'ResourceExhausted',
      `file ${fileName} (${blob.digest}): ${blob.sizeBytes} bytes, more than the ${limits.layerBytes} allowed`,
    );
  const path = join(directory, fileName);
  rmSync(directory, { recursive: true, force: true });
  try {
    mkdirSync(dirname(path), { recursive: true });
    await fetchTo(path, client, request, onBytes, signal);
    return { ...settle(directory, fileName), hasImplied: false, isBlobKept: false };
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

async function fetchTo(
  path: string,
  client: RegistryClient,
  { blob, ingestPath }: LayerRequest,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const excluded = new Set<string>();
  let mismatch: RuntimeError | undefined;
  const ingest = new Ingest(ingestPath);
  let isOpen = true;
  try {
    for (;;) {
      if (ingest.offset > blob.sizeBytes) ingest.restart();
      const digester = new Digester(algorithmOf(blob.digest));
      for (const chunk of ingest.read()) digester.update(chunk);
      const sink = (chunk: Buffer) => {
        ingest.append(chunk);
        digester.update(chunk);
        onBytes(ingest.offset);
        return undefined;
      };
      const isWhole = ingest.offset === blob.sizeBytes;
      const contributors = isWhole
        ? []
        : await client
            .streamBlob(blob, { offset: ingest.offset, sink, excluded }, signal)
            .catch((error: unknown) => {
              // With the host that lied left out, the others may have failed in their own ways: the lie is the news.
              throw mismatch ?? error;
            });
      const actual = digester.digest();
      if (actual === blob.digest) {
        isOpen = false;
        ingest.commit(path);
        return;
      }
      ingest.restart();
      mismatch = new RuntimeError('Unknown', `file ${blob.digest}: what was received has digest ${actual}`);
      for (const origin of contributors) excluded.add(origin);
    }
  } catch (cause) {
    const isFull = ['ENOSPC', 'EDQUOT'].includes(errnoOf(cause) ?? '');
    const error = isFull
      ? new RuntimeError('ResourceExhausted', `file ${blob.digest}: no space left on device`, { cause })
      : cause;
    // What was fetched is kept for the next try, if anything was, but not when it is space that is short.
    const isKept = ingest.offset > 0 && !isRuntimeError(error, 'ResourceExhausted');
    if (isOpen && isKept) ingest.close();
    else if (isOpen) ingest.discard();
    throw error;
  }
}

/** Gives the file and its directories to root, readable by everyone, without a time of its own; measures them. */
function settle(directory: string, fileName: string): { usedBytes: number; inodes: number } {
  let usedBytes = 0;
  const paths = [directory];
  for (const component of fileName.split('/')) paths.push(join(paths.at(-1)!, component));
  for (const path of paths.reverse()) {
    chownSync(path, 0, 0);
    chmodSync(path, path === paths[0] ? 0o644 : 0o755);
    utimesSync(path, 0, 0);
    usedBytes += lstatSync(path).blocks * 512;
  }
  return { usedBytes, inodes: paths.length };
}
