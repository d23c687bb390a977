/** Where programs are: searched once along a list of folders, remembered until they turn out to be gone. */
import { accessSync, constants } from 'node:fs';

export class ProgramPaths {
  readonly #dirs: readonly string[];
  readonly #found = new Map<string, string>();

  constructor(dirs: readonly string[]) {
    this.#dirs = dirs;
  }

  /** The folders that are searched, in order. */
  get dirs(): readonly string[] {
    return this.#dirs;
  }

  /** The absolute path of an executable file `name` in the first folder that has one; undefined if none has. */
  find(name: string): string | undefined {
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    for (const dir of this.#dirs) {
      const path = `${dir}/${name}`;
      try {
        accessSync(path, constants.X_OK);
        this.#found.set(name, path);
        return path;
      } catch {
        // Not in this folder, or not executable: the next one may have it.
      }
    }
    return undefined;
  }

  /** Forgets a path that no longer works, so that the next `find` searches again. */
  forget(name: string): void {
    this.#found.delete(name);
  }
}
