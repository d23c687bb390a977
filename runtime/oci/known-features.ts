/**
 * What OCI runtimes said they can do, kept until the machine starts anew: asking takes two runs of each program at every start
 * of the daemon. An answer holds for the very file that gave it, and for the version of Berth that asked. A script is asked
 * each time: what it runs may change while it does not.
 */
import { closeSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import type { HandlerFeatures } from './features.ts';

interface Known {
  readonly file: string;
  readonly features: HandlerFeatures;
}

const elf = Buffer.from('\x7fELF', 'latin1');

function isBinary(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    const head = Buffer.alloc(elf.length);
    return readSync(fd, head) === head.length && head.equals(elf);
  } finally {
    closeSync(fd);
  }
}

/** Changes with every replacement of the file and every write to it, also where its time was set back. */
function describeFile(path: string): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

function isFeatures(value: HandlerFeatures | undefined): value is HandlerFeatures {
  return (
    typeof value?.version === 'string' &&
    [value.hasRecursiveReadonly, value.hasIdmappedMounts, value.hasUserNamespaces, value.hasCheckpoint].every(
      (flag) => typeof flag === 'boolean',
    )
  );
}

export class KnownFeatures {
  readonly #path: string;
  readonly #version: string;
  /** By the path of the program. */
  readonly #known = new Map<string, Known>();
  #hasNews = false;

  /** `path` is a file that a reboot forgets; `version` is Berth's. What cannot be read there is asked for again. */
  constructor(path: string, version: string) {
    this.#path = path;
    this.#version = version;
    try {
      const { by, programs } = JSON.parse(readFileSync(path, 'utf8')) as {
        by?: string;
        programs?: Record<string, Known>;
      };
      if (by === version) this.#known = new Map(Object.entries(programs ?? {}));
    } catch {
      // There is none since the boot, or it was not written to its end.
    }
  }

  /** What the program at `path` said, or says by `ask`. Rejects as that does. */
  async of(path: string, ask: () => Promise<HandlerFeatures>): Promise<HandlerFeatures> {
    const file = describeFile(path);
    const known = this.#known.get(path);
    if (known?.file === file && isFeatures(known.features)) return known.features;
    const features = await ask();
    // As it was before it was asked: a file that was replaced meanwhile is asked again at the next start.
    if (isBinary(path)) {
      this.#known.set(path, { file, features });
      this.#hasNews = true;
    }
    return features;
  }

  /** Keeps what is new. Throws what writing a file throws. */
  save(): void {
    if (!this.#hasNews) return;
    const text = JSON.stringify({ by: this.#version, programs: Object.fromEntries(this.#known) });
    writeFileSync(this.#path, `${text}\n`, { mode: 0o600 });
    this.#hasNews = false;
  }
}
