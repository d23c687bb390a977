/** All images and what they are called. Questions are answered from memory; changes reach the database first. */
import { isRuntimeError, RuntimeError } from '#base/errors.ts';
import type { Image, ImageId } from './contract.ts';
import { isDigest } from './digest.ts';
import type { ImageRecord, ImageRecords } from './image-records.ts';
import { formatReference, type ImageReference, parseReference } from './reference.ts';

export interface ImageStoreOptions {
  readonly records: ImageRecords;
  /** References that the kubelet must never collect; one may end with `*`. */
  readonly pinned: readonly string[];
  /** The config blob of an image as text, read when somebody looks at it. */
  readonly readConfig: (id: ImageId) => string;
  /** The complete references that a name may stand for; throws InvalidArgument for what is none. */
  readonly complete: (text: string) => readonly ImageReference[];
}

export class ImageStore {
  readonly #records: ImageRecords;
  readonly #readConfig: (id: ImageId) => string;
  readonly #complete: (text: string) => readonly ImageReference[];
  readonly #images = new Map<ImageId, ImageRecord>();
  readonly #references = new Map<string, ImageId>();
  /** The answers, made again when an image or its references change. */
  readonly #answers = new Map<ImageId, Image>();
  #isPinned: (names: readonly string[]) => boolean;

  constructor(options: ImageStoreOptions) {
    this.#records = options.records;
    this.#readConfig = options.readConfig;
    this.#complete = options.complete;
    this.#isPinned = pinnedBy(options.pinned);
    const { images, references } = options.records.load();
    for (const image of images) this.#images.set(image.id, image);
    for (const { name, imageId } of references)
      if (this.#images.has(imageId)) this.#references.set(name, imageId);
    this.#answerAll();
  }

  /** Replaces the list of pinned references. Throws InvalidArgument, changing nothing, if one is no reference. */
  setPinned(pinned: readonly string[]): void {
    this.#isPinned = pinnedBy(pinned);
    this.#answerAll();
  }

  /** Every image, in no particular order. */
  list(): readonly Image[] {
    return [...this.#answers.values()];
  }

  records(): readonly ImageRecord[] {
    return [...this.#images.values()];
  }

  /**
   * By ID, name and tag, name and digest, or the beginning of an ID that only one image has. Throws InvalidArgument for what
   * can be none of these.
   */
  find(reference: string): Image | undefined {
    return this.lookUp(reference)?.image;
  }

  /** The same, with the stored name by which it was found; undefined where that was an ID. */
  lookUp(reference: string): { readonly image: Image; readonly name: string | undefined } | undefined {
    const byId = (id: ImageId | undefined) => {
      const image = id === undefined ? undefined : this.#answers.get(id);
      return image && { image, name: undefined };
    };
    if (isDigest(reference)) return byId(reference as ImageId);
    const hex = reference.replace(/^sha256:/, '');
    if (/^[0-9a-f]{64}$/.test(hex)) return byId(`sha256:${hex}` as ImageId);
    const isPrefix = /^[0-9a-f]{1,63}$/.test(hex);
    let names: string[] = [];
    try {
      names = this.#complete(reference).map(formatReference);
    } catch (error) {
      if (!isPrefix || !isRuntimeError(error, 'InvalidArgument')) throw error;
    }
    const known = names.find((name) => this.#references.has(name));
    if (known !== undefined) return { image: this.#answers.get(this.#references.get(known)!)!, name: known };
    if (!isPrefix) return undefined;
    const matching = [...this.#images.keys()].filter((candidate) => candidate.startsWith(`sha256:${hex}`));
    return matching.length === 1 ? byId(matching[0]) : undefined;
  }

  /** Adds an image, or more names and blobs of one that is there. A tag that meant another image leaves it. */
  put(record: ImageRecord, names: readonly string[]): Image {
    const before = this.#images.get(record.id);
    const merged = { ...record, blobs: [...new Set([...(before?.blobs ?? []), ...record.blobs])] };
    this.#records.put(merged, names);
    this.#images.set(merged.id, merged);
    const changed = new Set<ImageId>([merged.id]);
    for (const name of names) {
      const previous = this.#references.get(name);
      if (previous !== undefined) changed.add(previous);
      this.#references.set(name, merged.id);
    }
    for (const id of changed) this.#answer(id);
    return this.#answers.get(merged.id)!;
  }

  /** Throws NotFound. */
  getRecord(id: ImageId): ImageRecord {
    const record = this.#images.get(id);
    if (!record) throw new RuntimeError('NotFound', `image ${id}: not here any more`);
    return record;
  }

  /** Takes a name away; the image stays. Idempotent. */
  removeName(name: string): void {
    const id = this.#references.get(name);
    if (id === undefined) return;
    this.#records.removeReference(name);
    this.#references.delete(name);
    this.#answer(id);
  }

  /** Removes an image and all its references. Idempotent. */
  remove(id: ImageId): void {
    if (!this.#images.has(id)) return;
    this.#records.remove(id);
    this.#images.delete(id);
    this.#answers.delete(id);
    for (const [name, imageId] of this.#references) if (imageId === id) this.#references.delete(name);
  }

  #answerAll(): void {
    for (const id of this.#images.keys()) this.#answer(id);
  }

  #answer(id: ImageId): void {
    const record = this.#images.get(id);
    if (!record) return;
    const names = [...this.#references].filter(([, imageId]) => imageId === id).map(([name]) => name);
    names.sort();
    const readConfig = this.#readConfig;
    this.#answers.set(id, {
      id,
      repoTags: names.filter((name) => !name.includes('@')),
      repoDigests: names.filter((name) => name.includes('@')),
      sizeBytes: record.sizeBytes,
      isPinned: this.#isPinned(names),
      config: record.config,
      chainId: record.chainId,
      ...(record.artifactType !== undefined && { artifactType: record.artifactType }),
      get rawConfig() {
        return readConfig(id);
      },
    });
  }
}

function pinnedBy(pinned: readonly string[]): (names: readonly string[]) => boolean {
  const prefixes = pinned.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
  const exact = new Set(pinned.filter((name) => !name.endsWith('*')).map(completed));
  return (names) =>
    names.some((name) => exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix)));
}

/** A pinned name as references are stored. Throws InvalidArgument, naming the setting. */
function completed(name: string): string {
  try {
    return formatReference(parseReference(name));
  } catch (cause) {
    throw new RuntimeError('InvalidArgument', `pinned image ${JSON.stringify(name)}: no image reference`, {
      cause,
    });
  }
}
