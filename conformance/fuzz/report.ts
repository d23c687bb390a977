/** What a run has found, and its last line. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';

const mostShown = 25;

export class Report {
  readonly #counts = new Map<string, number>();
  readonly #seed: number;
  #findings = 0;
  readonly #known = new Set<string>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Something that must not be; the input is kept for a look. Alike ones are shown once. */
  finding(words: string, input?: Buffer): void {
    this.#findings += 1;
    const kind = words.replace(/[0-9a-f]{6,}|\d+/g, '#').slice(0, 120);
    if (this.#known.has(kind) || this.#known.size >= mostShown) return;
    this.#known.add(kind);
    console.log(`FOUND ${words}`);
    if (!input) return;
    const path = join(cacheDir('fuzz'), `seed-${this.#seed}-${this.#known.size}`);
    writeFileSync(path, input);
    console.log(`      input: ${path}`);
  }

  note(words: string): void {
    console.log(words);
  }

  count(what: string, number: number): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + number);
  }

  /** Prints the verdict; true if nothing was found. */
  close(): boolean {
    const counts = [...this.#counts].map(([what, number]) => `${number} ${what}`).join(', ');
    console.log(
      this.#findings === 0
        ? `fuzz: PASSED, seed ${this.#seed}: ${counts}; nothing found`
        : `fuzz: FAILED, seed ${this.#seed}: ${counts}; ${this.#findings} findings (--seed ${this.#seed} repeats it)`,
    );
    return this.#findings === 0;
  }
}
