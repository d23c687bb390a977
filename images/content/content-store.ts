/**
 * Blobs by their digest, each a file that is never changed: `blobs/sha256/HEX`. A blob becomes visible by a rename once its
 * digest was verified; until then it is an ingest, `ingest/sha256-HEX`, which holds a beginning of the blob and can be gone
 * on with after a failure or a restart. Nothing is flushed to the disk here: whoever needs a blob to outlast a power cut
 * flushes the file system once for all of them, and whoever reads one back verifies it, so that a torn file is noticed.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  unlink,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { writing } from '#base/disk-full.ts';
import { errnoOf, RuntimeError } from '#base/errors.ts';
import type { Digest } from '../contract.ts';
import { algorithmOf, digestOf, hexOf, isDigest } from '../digest.ts';

const fsBlockBytes = 4096;

function blocks(sizeBytes: number): number {
  return Math.ceil(sizeBytes / fsBlockBytes) * fsBlockBytes;
}

export class ContentStore {
  readonly #root: string;
  /** Sizes of all blobs, so that nobody has to look at the disk to know them. */
  readonly #sizes = new Map<Digest, number>();
  #temporary = 0;

  /** Opens or makes the store below `root` and lists its blobs. */
  constructor(root: string) {
    this.#root = root;
    for (const algorithm of ['sha256', 'sha512']) {
      const directory = join(root, 'blobs', algorithm);
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      for (const name of readdirSync(directory)) {
        const digest = `${algorithm}:${name}`;
        if (isDigest(digest)) this.#sizes.set(digest, statSync(join(directory, name)).size);
        // A blob that was being written when the daemon ended.
        else rmSync(join(directory, name), { force: true });
      }
    }
    mkdirSync(join(root, 'ingest'), { recursive: true, mode: 0o700 });
  }

  /** Where a blob is, or would be. */
  pathOf(digest: Digest): string {
    return join(this.#root, 'blobs', algorithmOf(digest), hexOf(digest));
  }

  /** Where the beginning of a blob is kept. */
  ingestPathOf(digest: Digest): string {
    return join(this.#root, 'ingest', digest.replace(':', '-'));
  }

  has(digest: Digest): boolean {
    return this.#sizes.has(digest);
  }

  /** Bytes of a blob; undefined if it is not here. */
  sizeOf(digest: Digest): number | undefined {
    return this.#sizes.get(digest);
  }

  /** Makes the file at `path`, whose digest was verified, the blob; the file is gone then. Idempotent. */
  take(digest: Digest, path: string): void {
    if (this.#sizes.has(digest)) rmSync(path, { force: true });
    else renameSync(path, this.pathOf(digest));
    this.adopt(digest);
  }

  list(): Digest[] {
    return [...this.#sizes.keys()];
  }

  /** The content of a small blob, verified; undefined if it is not here or was damaged (it is then removed). */
  find(digest: Digest): Buffer | undefined {
    if (!this.#sizes.has(digest)) return undefined;
    let content: Buffer | undefined;
    try {
      content = readFileSync(this.pathOf(digest));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
    if (content && digestOf(content, algorithmOf(digest)) === digest) return content;
    this.remove(digest);
    return undefined;
  }

  /** Stores a small blob under its digest. Idempotent. Throws DataLoss if the digest is another. */
  add(digest: Digest, content: Buffer): void {
    if (this.#sizes.has(digest)) return;
    const actual = digestOf(content, algorithmOf(digest));
    if (actual !== digest)
      throw new RuntimeError('DataLoss', `storing blob ${digest}: its content has digest ${actual}`);
    this.#temporary += 1;
    const path = this.pathOf(digest);
    const temporary = `${path}.${this.#temporary}`;
    try {
      writing(path, () => writeFileSync(temporary, content, { mode: 0o600 }));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
    renameSync(temporary, path);
    this.#sizes.set(digest, content.length);
  }

  /** Takes note of a blob that another process has committed by `Ingest.commit`. */
  adopt(digest: Digest): void {
    this.#sizes.set(digest, statSync(this.pathOf(digest)).size);
  }

  /** Removes a blob and what there may be of its ingest. Idempotent; the space comes back a moment later. */
  remove(digest: Digest): void {
    this.#sizes.delete(digest);
    // Unlinking a large file takes long, so it happens elsewhere, and under a name that a new blob will not have.
    for (const path of [this.pathOf(digest), this.ingestPathOf(digest)]) {
      this.#temporary += 1;
      const doomed = join(this.#root, 'blobs/sha256', `removed.${this.#temporary}`);
      try {
        renameSync(path, doomed);
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') continue;
        throw error;
      }
      // What cannot be unlinked now is at the next start.
      unlink(doomed, () => {});
    }
  }

  /** Removes the ingests that nothing was added to since `beforeMs` (Unix milliseconds). */
  dropIngests(beforeMs: number): void {
    for (const name of readdirSync(join(this.#root, 'ingest'))) {
      const path = join(this.#root, 'ingest', name);
      if (statSync(path).mtimeMs < beforeMs) rmSync(path, { force: true });
    }
  }

  /** Disk space and inodes of blobs and ingests. */
  usage(): { usedBytes: number; inodesUsed: number } {
    let usedBytes = 0;
    let inodesUsed = this.#sizes.size;
    for (const size of this.#sizes.values()) usedBytes += blocks(size);
    const ingests = join(this.#root, 'ingest');
    // At most a handful: the layers being fetched now, and those of pulls that failed lately.
    for (const name of readdirSync(ingests)) {
      usedBytes += blocks(statSync(join(ingests, name), { throwIfNoEntry: false })?.size ?? 0);
      inodesUsed += 1;
    }
    return { usedBytes, inodesUsed };
  }
}

/**
 * The beginning of a blob on disk, open for appending. One process at a time has it open; the caller sees to that.
 * Synchronous: for the process that fetches layers.
 */
export class Ingest {
  readonly #path: string;
  readonly #fd: number;
  #offset: number;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    this.#offset = fstatSync(this.#fd).size;
  }

  /** Bytes there are. */
  get offset(): number {
    return this.#offset;
  }

  /** The bytes there are, piece by piece. */
  *read(): Generator<Buffer> {
    for (let at = 0; at < this.#offset; ) {
      const chunk = Buffer.allocUnsafe(Math.min(1 << 20, this.#offset - at));
      const length = readSync(this.#fd, chunk, 0, chunk.length, at);
      if (length === 0) return;
      at += length;
      yield chunk.subarray(0, length);
    }
  }

  append(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; )
      at += writeSync(this.#fd, chunk, at, chunk.length - at, this.#offset + at);
    this.#offset += chunk.length;
  }

  /** Forgets what there is: it was wrong. */
  restart(): void {
    ftruncateSync(this.#fd, 0);
    this.#offset = 0;
  }

  /** Makes the ingest the blob at `blobPath`, its digest having been verified, and closes it. */
  commit(blobPath: string): void {
    closeSync(this.#fd);
    if (existsSync(blobPath)) rmSync(this.#path, { force: true });
    else renameSync(this.#path, blobPath);
  }

  /** Closes it and keeps what there is. */
  close(): void {
    closeSync(this.#fd);
  }

  /** Closes and removes it. */
  discard(): void {
    closeSync(this.#fd);
    rmSync(this.#path, { force: true });
  }
}
