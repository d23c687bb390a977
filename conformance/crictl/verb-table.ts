/** What was tried with each verb of crictl and how it went. */

export const transports = ['spdy', 'websocket'] as const;
export type Transport = (typeof transports)[number];

interface Row {
  readonly verb: string;
  readonly transport: Transport | undefined;
  readonly what: string;
  readonly ms: number;
  /** undefined when all was as it should be. */
  readonly problem: string | undefined;
}

export class VerbTable {
  readonly #rows: Row[] = [];

  /** Runs a check and notes the outcome; a check that throws is a failed one. */
  async check(
    verb: string,
    what: string,
    work: () => Promise<unknown>,
    transport?: Transport,
  ): Promise<void> {
    const startedMs = performance.now();
    let problem: string | undefined;
    try {
      await work();
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    const row = { verb, transport, what, ms: performance.now() - startedMs, problem };
    this.#rows.push(row);
    console.log(formatRow(row));
  }

  get failed(): number {
    return this.#rows.filter(({ problem }) => problem !== undefined).length;
  }

  /** Those of `verbs` that nothing was tried with. */
  missing(verbs: readonly string[]): string[] {
    const tried = new Set(this.#rows.map(({ verb }) => verb));
    return verbs.filter((verb) => !tried.has(verb));
  }

  summary(): string {
    const verbs = new Set(this.#rows.map(({ verb }) => verb)).size;
    return `${this.#rows.length - this.failed} passed, ${this.failed} failed, with ${verbs} verbs`;
  }
}

function formatRow({ verb, transport, what, ms, problem }: Row): string {
  const head = `${problem === undefined ? 'ok    ' : 'FAILED'} ${verb.padEnd(22)} ${(transport ?? '').padEnd(9)} ${what}`;
  const end = `${head.padEnd(100)} ${ms.toFixed(0).padStart(6)} ms`;
  return problem === undefined
    ? end
    : `${end}\n         ${problem.split('\n').slice(0, 8).join('\n         ')}`;
}

/** Throws with `message` and what was seen unless `holds`. */
export function require(holds: boolean, message: string, seen?: unknown): asserts holds {
  if (holds) return;
  const text = typeof seen === 'string' ? seen : JSON.stringify(seen);
  throw new Error(seen === undefined ? message : `${message}: ${text.slice(0, 800)}`);
}
