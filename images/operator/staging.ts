/** Folders for what is on its way into the store. Nothing in them outlasts the daemon. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

export interface StagingPlace {
  /** A path for a new file. */
  next(): string;
  /** Removes everything. Idempotent. */
  remove(): Promise<void>;
}

export class Staging {
  readonly #root: string;
  #last = 0;

  /** `root` is a directory of our own, on the file system of the content store; made if it is missing. */
  constructor(root: string) {
    this.#root = root;
    mkdirSync(root, { recursive: true, mode: 0o700 });
  }

  /** Removes what an earlier daemon left. */
  recover(): void {
    for (const name of readdirSync(this.#root))
      rmSync(join(this.#root, name), { recursive: true, force: true });
  }

  /** A new folder, made when the first file is about to be. */
  open(): StagingPlace {
    this.#last += 1;
    const directory = join(this.#root, String(this.#last));
    let files = 0;
    return {
      next: () => {
        if (files === 0) mkdirSync(directory, { mode: 0o700 });
        files += 1;
        return join(directory, String(files));
      },
      remove: async () => {
        if (files > 0) await rm(directory, { recursive: true, force: true });
      },
    };
  }
}
