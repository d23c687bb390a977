/** Questions before what cannot be taken back. */
import { createInterface } from 'node:readline/promises';
import { CommandError, UsageError } from './command.ts';

/** Asks on the terminal; throws unless the answer is yes. Without a terminal it does not ask but throws UsageError. */
export async function confirm(question: string, isAnswered: boolean): Promise<void> {
  if (isAnswered) return;
  if (!process.stdin.isTTY)
    throw new UsageError(`${question} Nobody can be asked without a terminal`, 'Say --yes to go on.');
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await reader.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('nothing was done');
  } finally {
    reader.close();
  }
}
