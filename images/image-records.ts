/** Records of images and of the references to them, in the database. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ChainId, Digest, ImageConfig, ImageId } from './contract.ts';

export interface ImageRecord {
  readonly id: ImageId;
  readonly chainId: ChainId | undefined;
  /** Bytes of its blobs. */
  readonly sizeBytes: number;
  readonly config: ImageConfig;
  /** Media type of an artifact; undefined for a container image. */
  readonly artifactType: string | undefined;
  /** Blobs that belong to it: config, manifests, indexes, and layers where those are kept. */
  readonly blobs: readonly Digest[];
}

/** A `name:tag` or `name@digest` and the image that it means. */
export interface ReferenceRecord {
  readonly name: string;
  readonly imageId: ImageId;
}

const schema = `
  CREATE TABLE IF NOT EXISTS image_images (
    id TEXT PRIMARY KEY,
    chain_id TEXT,
    size_bytes INTEGER NOT NULL,
    config TEXT NOT NULL,
    blobs TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS image_artifacts (
    image_id TEXT PRIMARY KEY,
    artifact_type TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS image_references (
    name TEXT PRIMARY KEY,
    image_id TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

export class ImageRecords {
  readonly #database: DatabaseSync;
  readonly #putImage: StatementSync;
  readonly #putReference: StatementSync;
  readonly #putArtifact: StatementSync;
  readonly #deleteArtifact: StatementSync;
  readonly #deleteImage: StatementSync;
  readonly #deleteReferences: StatementSync;
  readonly #deleteReference: StatementSync;

  /** Makes the tables if they are missing. */
  constructor(database: DatabaseSync) {
    this.#database = database;
    database.exec(schema);
    this.#putImage = database.prepare('INSERT OR REPLACE INTO image_images VALUES (?, ?, ?, ?, ?)');
    this.#putReference = database.prepare('INSERT OR REPLACE INTO image_references VALUES (?, ?)');
    this.#putArtifact = database.prepare('INSERT OR REPLACE INTO image_artifacts VALUES (?, ?)');
    this.#deleteArtifact = database.prepare('DELETE FROM image_artifacts WHERE image_id = ?');
    this.#deleteImage = database.prepare('DELETE FROM image_images WHERE id = ?');
    this.#deleteReference = database.prepare('DELETE FROM image_references WHERE name = ?');
    this.#deleteReferences = database.prepare('DELETE FROM image_references WHERE image_id = ?');
  }

  load(): { images: ImageRecord[]; references: ReferenceRecord[] } {
    const images = this.#database.prepare('SELECT * FROM image_images').all();
    const artifacts = this.#database.prepare('SELECT * FROM image_artifacts').all();
    const artifactTypes = new Map(artifacts.map((row) => [row.image_id, row.artifact_type as string]));
    const references = this.#database.prepare('SELECT * FROM image_references').all();
    return {
      images: images.map((row) => ({
        id: row.id as ImageId,
        chainId: (row.chain_id as ChainId | null) ?? undefined,
        sizeBytes: row.size_bytes as number,
        config: JSON.parse(row.config as string) as ImageConfig,
        artifactType: artifactTypes.get(row.id),
        blobs: JSON.parse(row.blobs as string) as Digest[],
      })),
      references: references.map((row) => ({ name: row.name as string, imageId: row.image_id as ImageId })),
    };
  }

  #transaction(work: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  /** Stores an image and points `names` at it, all or nothing. */
  put(image: ImageRecord, names: readonly string[]): void {
    const { id, chainId, sizeBytes, config, artifactType, blobs } = image;
    this.#transaction(() => {
      this.#putImage.run(id, chainId ?? null, sizeBytes, JSON.stringify(config), JSON.stringify(blobs));
      if (artifactType !== undefined) this.#putArtifact.run(id, artifactType);
      for (const name of names) this.#putReference.run(name, id);
    });
  }

  /** Removes one reference. Idempotent. */
  removeReference(name: string): void {
    this.#deleteReference.run(name);
  }

  /** Removes an image with all references to it. Idempotent. */
  remove(id: ImageId): void {
    this.#transaction(() => {
      this.#deleteImage.run(id);
      this.#deleteArtifact.run(id);
      this.#deleteReferences.run(id);
    });
  }
}
