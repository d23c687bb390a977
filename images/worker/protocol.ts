/**
 * What the daemon and its layer process say to each other: one JSON object per line, over the process's standard input and
 * output. The process does what would block the daemon's event loop, and ends when its input does.
 */
import { type ErrorKind, errorKinds, messageOf, RuntimeError } from '#base/errors.ts';
import type { PullSource } from '../registry/open.ts';
import type { FetchedLayer, LayerRequest } from '../unpack/fetch-layer.ts';

export type Task =
  | {
      readonly type: 'layer';
      readonly source: PullSource;
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
