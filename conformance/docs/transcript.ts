/**
 * Documents with commands and what they print, as blocks that can be run. A block fenced as `console` holds commands after
 * `$ `, each followed by its output; a line `/ # words` is typed into the container whose terminal the command before it opened.
 *
 * In output, `...` stands for anything in a line, a line of its own for any lines; numbers, addresses and ids stand for others
 * of their kind. A command after whose block's fence stands `fails` must fail.
 */

export interface Step {
  readonly line: number;
  readonly command: string;
  /** Typed into a terminal, in their order; undefined for a command without one. */
  readonly typed: readonly string[] | undefined;
  /** What it prints; with a terminal, what is seen on it. */
  readonly output: readonly string[];
  readonly mustFail: boolean;
}

/** The prompt of busybox's shell for root. */
export const containerPrompt = '/ # ';

export function readSteps(markdown: string): Step[] {
  const steps: Step[] = [];
  let block: { readonly isRun: boolean; readonly mustFail: boolean } | undefined;
  let step: { line: number; command: string; output: string[] } | undefined;
  const finish = (): void => {
    if (step === undefined) return;
    const typed = step.output.flatMap((line) =>
      line.startsWith(containerPrompt) ? [line.slice(containerPrompt.length)] : [],
    );
    steps.push({
      ...step,
      typed: typed.length === 0 ? undefined : typed,
      mustFail: block?.mustFail === true,
    });
    step = undefined;
  };
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line)?.[1];
    if (fence !== undefined && block !== undefined) {
      finish();
      block = undefined;
    } else if (fence !== undefined) {
      const words = fence.split(' ');
      block = { isRun: words[0] === 'console', mustFail: words.includes('fails') };
    } else if (block?.isRun === true && line.startsWith('$ ')) {
      finish();
      step = { line: index + 1, command: line.slice(2), output: [] };
    } else if (step !== undefined && step.output.length === 0 && step.command.endsWith('\\'))
      step.command += `\n${line.replace(/^> /, '')}`;
    else if (step !== undefined && line.startsWith('> ')) step.command += `\n${line.slice(2)}`;
    else step?.output.push(line);
  }
  return steps;
}

/** undefined where the output is as written, else the first line that is not. */
export function findDifference(expected: readonly string[], actual: string): string | undefined {
  const found = actual.split('\n').map(normalize);
  while (found.at(-1) === '') found.pop();
  const wanted = expected.map(normalize);
  while (wanted.at(-1) === '') wanted.pop();
  return match(wanted, found, 0, 0);
}

function match(
  wanted: readonly string[],
  found: readonly string[],
  w: number,
  f: number,
): string | undefined {
  if (w === wanted.length) return f === found.length ? undefined : `more than expected: ${found[f]}`;
  if (wanted[w] === '...') {
    let last: string | undefined;
    for (let at = f; at <= found.length; at += 1) {
      last = match(wanted, found, w + 1, at);
      if (last === undefined) return undefined;
    }
    return last;
  }
  if (f === found.length) return `not printed: ${wanted[w]}`;
  if (!toPattern(wanted[w]!).test(found[f]!)) return `printed: ${found[f]}\n  written: ${wanted[w]}`;
  return match(wanted, found, w + 1, f + 1);
}

function normalize(line: string): string {
  return line.replaceAll(/\s+/g, ' ').trim();
}

/** Words must be the same; what differs from run to run may differ. */
function toPattern(line: string): RegExp {
  const kinds: readonly (readonly [RegExp, string])[] = [
    [/^\.\.\./, '.*'],
    [/^sha256:[0-9a-f]+/, 'sha256:[0-9a-f]+'],
    [/^\d+\.\d+\.\d+\.\d+/, '\\d+\\.\\d+\\.\\d+\\.\\d+'],
    [/^(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}/, '[0-9a-f]+'],
    [/^\d+(?:\.\d+)?/, '\\d+(?:\\.\\d+)?'],
    [/^ /, ' '],
  ];
  let pattern = '';
  for (let rest = line; rest !== ''; ) {
    const kind = kinds.find(([start]) => start.test(rest));
    const taken = kind === undefined ? rest[0]! : kind[0].exec(rest)![0];
    pattern += kind === undefined ? taken.replace(/[.*+?^${}()|[\]\\]/, '\\$&') : kind[1];
    rest = rest.slice(taken.length);
  }
  return new RegExp(`^${pattern}$`);
}
