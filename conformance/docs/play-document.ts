/** Runs a document's commands, one after the other, and compares what they print with what is written. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../cache.ts';
import type { DocMachine } from './machine.ts';
import { findDifference, readSteps } from './transcript.ts';

export interface PlayedStep {
  readonly command: string;
  readonly tookMs: number;
}

/** Throws with every command that prints something else, or ends otherwise, than the document says. */
export async function playDocument(machine: DocMachine, path: string): Promise<PlayedStep[]> {
  const played: PlayedStep[] = [];
  const wrongs: string[] = [];
  for (const { line, command, typed, output, mustFail } of readSteps(
    readFileSync(join(projectRoot, path), 'utf8'),
  )) {
    const ran = typed === undefined ? await machine.run(command) : await machine.onTerminal(command, typed);
    const difference = findDifference(output, ran.output);
    const wrong = difference ?? ((ran.status !== 0) === mustFail ? undefined : `exit status ${ran.status}`);
    if (wrong !== undefined)
      wrongs.push(`${path}:${line}: $ ${command}\n  ${wrong}\nall of it:\n${ran.output}`);
    played.push({ command, tookMs: ran.tookMs });
    if (/^berthd\b.*&$/.test(command)) await machine.untilServed();
  }
  if (wrongs.length > 0) throw new Error(wrongs.join('\n\n'));
  return played;
}
