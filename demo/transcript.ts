/** What the demo prints: numbered steps, CRI calls with their result and duration, and checks. */
import type { CriClient, MethodName, ReplyOf, RequestOf } from '#conformance/cri-client.ts';

/** A check that did not hold, or a call that should not have failed: the demo ends with its message. */
export class DemoFailure extends Error {}

const isTerminal = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code: number, text: string): string => (isTerminal ? `\x1b[${code}m${text}\x1b[0m` : text);

export class Transcript {
  #step = 0;
  #checks = 0;
  #interruption: string | undefined;

  get checkCount(): number {
    return this.#checks;
  }

  /** From now on steps, calls and checks throw DemoFailure with `reason` instead of beginning. */
  interrupt(reason: string): void {
    this.#interruption ??= reason;
  }

  #throwIfInterrupted(): void {
    if (this.#interruption !== undefined) throw new DemoFailure(this.#interruption);
  }

  title(text: string): void {
    console.log(paint(1, text));
  }

  /** Begins a numbered step. */
  step(text: string): void {
    this.#throwIfInterrupted();
    this.#step += 1;
    console.log(`\n${paint(1, `${this.#step}. ${text}`)}`);
  }

  /** A line of explanation, or of a file or another program's output. */
  say(text: string): void {
    for (const line of text.split('\n')) console.log(`   ${line}`);
  }

  /** Output of something else, set off from our own words. */
  quote(text: string): void {
    for (const line of text.trimEnd().split('\n')) console.log(`   ${paint(2, '|')} ${line}`);
  }

  /** Prints that `what` holds; throws DemoFailure, with what was seen, if it does not. */
  check(what: string, holds: boolean, seen: string): void {
    this.#throwIfInterrupted();
    if (!holds) throw new DemoFailure(`${what}: it does not hold (${seen})`);
    this.#checks += 1;
    console.log(`   ${paint(32, 'ok')}  ${what}${seen === '' ? '' : paint(2, `  (${seen})`)}`);
  }

  /**
   * One CRI call: prints its name, `about` (what of the request matters), the result in the words of `tell`, and the time.
   * Rejects with the server's words.
   */
  async call<N extends MethodName>(
    client: CriClient,
    name: N,
    request: RequestOf<N>,
    about: string,
    tell: (reply: ReplyOf<N>) => string,
  ): Promise<ReplyOf<N>> {
    this.#throwIfInterrupted();
    const { ms, reply } = await client.time(name, request, 60_000).catch((error: Error) => {
      throw new DemoFailure(error.message, { cause: error.cause });
    });
    const left = `${paint(36, name)} ${about}`.trimEnd();
    const pad = ' '.repeat(Math.max(1, 46 - `${name} ${about}`.trimEnd().length));
    console.log(`   ${left}${pad}-> ${tell(reply)}${paint(2, `  ${ms.toFixed(ms < 10 ? 1 : 0)} ms`)}`);
    return reply;
  }
}

export function shortId(id: string): string {
  return id.slice(0, 13);
}
