/**
 * The audit of images: records of images and snapshots against blobs, directories and each other. It changes nothing. While the daemon
 * runs, what a pull has in hand or keeps for its retry cannot be told from garbage; `isAtRest` says that nothing is in hand.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Finding } from '#base/finding.ts';
import type { ChainId } from './contract.ts';
import { isDigest } from './digest.ts';
import { unneededLayers } from './gc.ts';
import { formatReference, parseReference } from './reference.ts';
import type { Layer } from './snapshots/snapshotter.ts';

export interface ImageAuditInput {
  /** May be open for reading only. */
  readonly database: DatabaseSync;
  /** The root folder of content and snapshots. */
  readonly root: string;
  /** Containers and pods that there are: a snapshot's key holds the id of its owner. */
  readonly isOwner: (id: string) => boolean;
  /** Keys of snapshots that must be there: ids of live containers. */
  readonly expectedKeys: readonly string[];
  /** Whether no pull has anything in hand. */
  readonly isAtRest: boolean;
}

interface SnapshotRow {
  readonly number: number;
  readonly kind: string;
  readonly key: string;
  readonly parent: number | null;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // nothing was ever made there
  }
}

function rows<T>(database: DatabaseSync, table: string, columns: string): T[] {
  const exists = database.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(table);
  return exists ? (database.prepare(`SELECT ${columns} FROM ${table}`).all() as T[]) : [];
}

/** Throws Node's errors of a database that cannot be read. */
export function auditImages(input: ImageAuditInput): Finding[] {
  const snapshots = rows<SnapshotRow>(input.database, 'snapshot_snapshots', 'number, kind, key, parent');
  return [
    ...auditSnapshots(input, snapshots),
    ...auditContent(input),
    ...auditReferences(input),
    ...(input.isAtRest ? auditUnneeded(input, snapshots) : []),
  ];
}

function auditSnapshots(input: ImageAuditInput, snapshots: readonly SnapshotRow[]): Finding[] {
  const { root, isOwner, expectedKeys } = input;
  const numbers = new Set(snapshots.map(({ number }) => String(number)));
  const directories = list(join(root, 'snapshots'));
  const keys = new Set(snapshots.map(({ key }) => key));
  const unrecorded = directories
    .filter((name) => !numbers.has(name))
    .map((name): Finding => {
      const mend = 'start berthd, which removes it';
      return { kind: 'leak', what: 'snapshot files', id: '', path: join(root, 'snapshots', name), mend };
    });
  const torn = snapshots
    .filter(({ number }) => !existsSync(join(root, 'snapshots', String(number), 'fs')))
    .map(({ number, key }): Finding => {
      const path = join(root, 'snapshots', String(number));
      return {
        kind: 'missing',
        what: 'snapshot files',
        id: key,
        path,
        mend: 'restart berthd: it pulls anew',
      };
    });
  const unowned = snapshots.flatMap(({ kind, key, number }): Finding[] => {
    const owner = /^(?:volume-)?([0-9a-f]{64})/.exec(key)?.[1];
    if (kind === 'layer' || owner === undefined || isOwner(owner)) return [];
    const path = join(root, 'snapshots', String(number));
    return [{ kind: 'leak', what: 'snapshot', id: owner, path, mend: 'restart berthd, which removes it' }];
  });
  const missing = expectedKeys
    .filter((key) => !keys.has(key))
    .map((id): Finding => {
      const mend = 'stop and remove the container';
      return { kind: 'missing', what: 'snapshot', id, path: join(root, 'snapshots'), mend };
    });
  return [...unrecorded, ...torn, ...unowned, ...missing];
}

interface ImageRow {
  readonly id: string;
  readonly chain_id: string | null;
  readonly blobs: string;
}

function readImages({
  database,
}: ImageAuditInput): { id: string; chainId: string | null; blobs: string[] }[] {
  return rows<ImageRow>(database, 'image_images', 'id, chain_id, blobs').map(({ id, chain_id, blobs }) => ({
    id,
    chainId: chain_id,
    blobs: JSON.parse(blobs) as string[],
  }));
}

function pathOfBlob(root: string, digest: string): string {
  return join(root, 'content/blobs', ...digest.split(':'));
}

/** An image needs its own config, whose digest is its id; other blobs can be fetched again. */
function auditContent(input: ImageAuditInput): Finding[] {
  return readImages(input)
    .filter(({ id }) => !existsSync(pathOfBlob(input.root, id)))
    .map(({ id }) => {
      const path = pathOfBlob(input.root, id);
      return { kind: 'missing', what: 'blob', id, path, mend: 'restart berthd and pull the image again' };
    });
}

interface ReferenceRow {
  readonly name: string;
  readonly image_id: string;
}

/**
 * Names of images: the table has each name once, so two images cannot share one. A name is stored complete, which is the only
 * spelling that is searched for, and one with a digest means an image that has that manifest. Containers may be of an image
 * without a record: one that is removed keeps its layers for them.
 */
function auditReferences(input: ImageAuditInput): Finding[] {
  const images = new Map(readImages(input).map((image) => [image.id, image]));
  return rows<ReferenceRow>(input.database, 'image_references', 'name, image_id').flatMap(
    ({ name, image_id: id }): Finding[] => {
      const image = images.get(id);
      if (!image) {
        const mend = `no image has it: pull ${name}, which gives it to one again`;
        return [{ kind: 'missing', what: 'image of a name', id, path: name, mend }];
      }
      const complete = completed(name);
      if (complete !== name) {
        const mend = 'nobody finds the image by it: remove the image by its id, which removes its names';
        return [{ kind: 'leak', what: 'image name', id, path: name, mend }];
      }
      const digest = name.split('@')[1];
      if (digest === undefined || image.blobs.includes(digest)) return [];
      const mend = 'the image has no such manifest: remove it by its id, and pull it by this name';
      return [{ kind: 'conflict', what: 'image name', id, path: name, mend }];
    },
  );
}

function completed(name: string): string | undefined {
  try {
    return formatReference(parseReference(name));
  } catch {
    return undefined; // no name of an image at all
  }
}

function auditUnneeded(input: ImageAuditInput, snapshots: readonly SnapshotRow[]): Finding[] {
  const { root } = input;
  const images = readImages(input);
  const layers = unneeded(snapshots, new Set(images.flatMap(({ chainId }) => chainId ?? [])));
  const blobs = new Set(images.flatMap((image) => image.blobs));
  const mend = 'start berthd, which removes it';
  const leak = (what: string, id: string, path: string): Finding => ({ kind: 'leak', what, id, path, mend });
  return [
    ...layers.map((key) => leak('layer', key, join(root, 'snapshots'))),
    ...['sha256', 'sha512'].flatMap((algorithm) =>
      list(join(root, 'content/blobs', algorithm))
        .map((name) => `${algorithm}:${name}`)
        .filter((digest) => !isDigest(digest) || !blobs.has(digest))
        .map((digest) => leak('blob', digest, pathOfBlob(root, digest))),
    ),
    ...list(join(root, 'unpacking')).map((name) =>
      leak('unpacking layer', '', join(root, 'unpacking', name)),
    ),
    ...list(join(root, 'staging')).map((name) => leak('staged files', '', join(root, 'staging', name))),
    ...list(join(root, 'trash')).map((name) => leak('removed layer', '', join(root, 'trash', name))),
  ];
}

function unneeded(snapshots: readonly SnapshotRow[], ofImages: ReadonlySet<string>): ChainId[] {
  const keyOf = new Map(snapshots.map(({ number, key }) => [number, key as ChainId]));
  const inUse = new Set(
    snapshots.flatMap(({ kind, parent }) =>
      kind === 'layer' || parent === null ? [] : (keyOf.get(parent) ?? []),
    ),
  );
  const layers = snapshots
    .filter(({ kind }) => kind === 'layer')
    .map(
      ({ key, parent }): Layer => ({
        chainId: key as ChainId,
        parent: parent === null ? undefined : keyOf.get(parent),
        usedBytes: 0,
        inodes: 0,
      }),
    );
  return unneededLayers(layers, (chainId) => ofImages.has(chainId) || inUse.has(chainId));
}
