/** A new image of an old one and a container's writable layer. */
import { open } from 'node:fs/promises';
import { RuntimeError, throwIfAborted } from '#base/errors.ts';
import { step, stepAnyway } from '#base/step.ts';
import type { ImageId } from '../contract.ts';
import { chainIdsOf, digestOf } from '../digest.ts';
import { parseImageConfig } from '../image-config.ts';
import type { ChangedTree } from '../pack/tree-changes.ts';
import { applyChanges } from './change-instructions.ts';
import type { CommitOptions, FileChange, LayerSource } from './contract.ts';
import { findManifest, getConfig, layerTypes, makeManifest } from './image-manifest.ts';
import { nameFor, record, type StoredImage, unpack } from './load.ts';
import { type OperationParts, releaseStaged } from './parts.ts';

/** The writable directory of a container. Throws NotFound. */
function treeOf({ snapshotter }: OperationParts, source: LayerSource): ChangedTree {
  const snapshot = snapshotter.find(source.snapshotKey);
  if (snapshot?.upperDir === undefined)
    throw new RuntimeError('NotFound', `the writable layer of container ${source.snapshotKey} is not here`);
  return {
    form: snapshotter.treeForm,
    directory: snapshot.upperDir,
    lowerDirs: snapshot.lowerDirs,
    excluded: source.mountTargets.map((path) => path.replace(/^\/+|\/+$/g, '')).filter((path) => path !== ''),
  };
}

/** See contract.ts, commit. */
export async function commitLayer(
  parts: OperationParts,
  source: LayerSource,
  options: CommitOptions,
  signal: AbortSignal,
): Promise<ImageId> {
  const { content, store, leases, staging, processes, nowMs, log } = parts;
  const name = options.reference === '' ? undefined : nameFor(parts, options.reference);
  const base = store.getRecord(source.imageId);
  const baseConfig = getConfig(content, base.id);
  const parsed = parseImageConfig(baseConfig, `config of ${base.id}`);
  const old = JSON.parse(baseConfig.toString('utf8')) as Record<string, unknown>;
  const config = applyChanges(old.config, options.changes);
  const lease = leases.open();
  const place = staging.open();
  try {
    if (base.chainId !== undefined) lease.hold(base.chainId);
    const layer = await step('commit-container/pack', async () => {
      const targetPath = place.next();
      const tree = treeOf(parts, source);
      const packed = await processes.run<'pack'>({ type: 'pack', tree, targetPath }, signal);
      lease.hold(packed.digest);
      content.take(packed.digest, targetPath);
      return packed;
    });
    const created = new Date(nowMs()).toISOString();
    const history = Array.isArray(old.history) ? (old.history as object[]) : [];
    const note = {
      created,
      created_by: 'berth commit',
      ...(options.author !== '' && { author: options.author }),
      ...(options.message !== '' && { comment: options.message }),
    };
    const diffIds = [...parsed.diffIds, layer.diffId];
    for (const chainId of chainIdsOf(diffIds)) lease.hold(chainId);
    const body = Buffer.from(
      JSON.stringify({
        ...old,
        created,
        ...(options.author !== '' && { author: options.author }),
        config,
        rootfs: { type: 'layers', diff_ids: diffIds },
        history: [...history, note],
      }),
    );
    const digest = digestOf(body);
    const blob = {
      mediaType: layerTypes.ociGzip,
      digest: layer.digest,
      sizeBytes: layer.sizeBytes,
      urls: [],
    };
    const below = findManifest(base, content)?.manifest.layers;
    // Without a manifest of the base, or with media types that only Docker knows beside ours, each says what it is.
    const layers = [...(below ?? []).map(asOci), blob];
    const manifest = makeManifest({ digest, sizeBytes: body.length }, layers);
    const image: StoredImage = { config: { digest, body }, diffIds, layers, manifests: [manifest] };
    await step('commit-container/record', async () => {
      for (const held of [digest, manifest.digest]) lease.hold(held);
      content.add(digest, body);
      content.add(manifest.digest, manifest.body);
      await unpackTop(parts, image, parsed.diffIds.length, signal);
      record(parts, image, name === undefined ? [] : [name]);
    });
    parts.flush();
    log.info({ image: digest, container: source.snapshotKey, name }, 'container committed');
    return digest as ImageId;
  } finally {
    await releaseStaged(parts, lease, place);
  }
}

/** The media type that an OCI manifest has for a layer of Docker's. */
function asOci<T extends { readonly mediaType: string }>(layer: T): T {
  return layer.mediaType === layerTypes.dockerGzip ? { ...layer, mediaType: layerTypes.ociGzip } : layer;
}

/** The layers below are unpacked: the container stands on them. */
function unpackTop(
  parts: OperationParts,
  image: StoredImage,
  below: number,
  signal: AbortSignal,
): Promise<void> {
  // A base whose manifest is not known has no descriptors for its layers, which are here.
  const missing = image.diffIds.length - image.layers.length;
  const filler = Array.from({ length: missing }, () => image.layers.at(-1)!);
  const layers = [...filler, ...image.layers];
  if (layers.length !== below + 1)
    throw new RuntimeError(
      'DataLoss',
      'the manifest of the base image does not fit its config; pull it again',
    );
  return unpack(parts, { ...image, layers }, signal);
}

const sentAtOnce = 500;
const pieceBytes = 256 << 10;

/** See contract.ts, listChanges. */
export async function listLayerChanges(
  parts: OperationParts,
  source: LayerSource,
  send: (changes: readonly FileChange[]) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const place = parts.staging.open();
  try {
    const targetPath = await step('diff-container/list', async () => {
      const path = place.next();
      const tree = treeOf(parts, source);
      await parts.processes.run<'changes'>({ type: 'changes', tree, targetPath: path }, signal);
      return path;
    });
    const handle = await open(targetPath, 'r');
    let pending: FileChange[] = [];
    let rest = Buffer.alloc(0);
    try {
      for (;;) {
        throwIfAborted(signal, 'listing changes');
        const chunk = Buffer.alloc(pieceBytes);
        const { bytesRead } = await handle.read(chunk, 0, chunk.length);
        if (bytesRead === 0) break;
        rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
        for (let zero = rest.indexOf(0); zero >= 0; zero = rest.indexOf(0)) {
          const kind = String.fromCharCode(rest[0]!) as FileChange['kind'];
          pending.push({ kind, path: rest.subarray(2, zero) });
          rest = rest.subarray(zero + 1);
        }
        if (pending.length >= sentAtOnce) await send(pending.splice(0));
      }
      if (pending.length > 0) await send(pending);
      pending = [];
    } finally {
      await handle.close();
    }
  } finally {
    await stepAnyway('staged-image/remove', () => place.remove());
  }
}
