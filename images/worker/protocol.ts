/**
 * What the daemon and its layer process say to each other: one JSON object per line, over the process's standard input and
 * output. The process does what would block the daemon's event loop, and ends when its input does.
 */
import { type ErrorKind, errorKinds, messageOf, RuntimeError } from '#base/errors.ts';
import type { Digest } from '../contract.ts';
import type { Descriptor } from '../manifest.ts';
import type { WrittenBlob } from '../pack/blob-writer.ts';
import type { ChangedTree } from '../pack/tree-changes.ts';
import type { PullSource, PushSource } from '../registry/open.ts';
import type { FetchedLayer, LayerRequest } from '../unpack/fetch-layer.ts';
import type { HashedBlob } from './blob-tasks.ts';

export type Task =
  | {
      readonly type: 'layer';
      /** Undefined where the blob is here. */
      readonly source: PullSource | undefined;
      /** Layers of one pull share connections. */
      readonly pullId: string;
      readonly layer: LayerRequest;
    }
  /** Metadata of directories that a layer implies (unpack/inherit.ts). */
  | {
      readonly type: 'inherit';
      readonly directory: string;
      readonly impliedPath: string;
      readonly lowerDirs: readonly string[];
    }
  /** A whole tree from a parent's tree and an unpacked layer, for the plain-copy snapshotter. */
  | {
      readonly type: 'merge';
      readonly parent: string | undefined;
      readonly layer: string;
      readonly target: string;
    }
  /** A compressed layer of what a directory changes, in a new file. */
  | { readonly type: 'pack'; readonly tree: ChangedTree; readonly targetPath: string }
  /** A plain file compressed into a new one. */
  | { readonly type: 'compress'; readonly path: string; readonly targetPath: string }
  /** The digest of a file. */
  | { readonly type: 'hash'; readonly path: string; readonly algorithm: 'sha256' | 'sha512' }
  /** What a directory changes, written to a new file (blob-tasks.ts says how). */
  | { readonly type: 'changes'; readonly tree: ChangedTree; readonly targetPath: string }
  /** A blob from its registry into a new file, verified. */
  | {
      readonly type: 'fetch';
      readonly source: PullSource;
      readonly blob: Descriptor;
      readonly targetPath: string;
    }
  /** A blob to a registry. */
  | {
      readonly type: 'upload';
      readonly source: PushSource;
      readonly digest: Digest;
      readonly sizeBytes: number;
      readonly path: string;
    }
  /** Directories to remove with everything in them. */
  | { readonly type: 'remove'; readonly directories: readonly string[] }
  /** Writes everything on the file system of this directory to the disk. */
  | { readonly type: 'sync'; readonly directory: string };

export interface TreeSize {
  readonly usedBytes: number;
  readonly inodes: number;
}

/** What each task answers. */
export interface TaskResults {
  layer: FetchedLayer;
  inherit: undefined;
  merge: TreeSize;
  pack: WrittenBlob;
  compress: WrittenBlob;
  hash: HashedBlob;
  changes: number;
  fetch: undefined;
  upload: undefined;
  remove: undefined;
  sync: undefined;
}

export type Request =
  | { readonly type: 'run'; readonly id: number; readonly task: Task }
  | { readonly type: 'cancel'; readonly id: number };

export interface PlainError {
  readonly kind: ErrorKind;
  readonly message: string;
}

export type Reply =
  | { readonly type: 'bytes'; readonly id: number; readonly received: number }
  | { readonly type: 'done'; readonly id: number; readonly result: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly error: PlainError };

/** Splits a stream of text into lines and hands over each line's object. Throws SyntaxError for a line that is not JSON. */
export class LineReader<T> {
  readonly #take: (message: T) => void;
  #rest: string[] = [];

  constructor(take: (message: T) => void) {
    this.#take = take;
  }

  write(text: string): void {
    const lines = text.split('\n');
    const last = lines.pop()!;
    for (const line of lines) {
      const whole = this.#rest.length > 0 ? this.#rest.splice(0).join('') + line : line;
      this.#take(JSON.parse(whole) as T);
    }
    if (last !== '') this.#rest.push(last);
  }
}

/** An error as plain data. */
export function toPlain(error: unknown): PlainError {
  return { kind: error instanceof RuntimeError ? error.kind : 'Internal', message: messageOf(error) };
}

/** The error that plain data stands for. */
export function fromPlain(error: PlainError): RuntimeError {
  return new RuntimeError(errorKinds.includes(error.kind) ? error.kind : 'Internal', error.message);
}
