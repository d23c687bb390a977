import type { CommandBody } from '../command.ts';
import { type Candidate, complete, type ListNames } from '../completion.ts';

/** A shell waits with the user: who does not answer at once is not asked. */
const patienceMs = 1500;

export const command: CommandBody = {
  description: ['Prints what a shell may offer in the place of the last word. Completion scripts call it.'],
  arguments: [{ name: 'WORD', repeatable: true }],
  flags: [],
  stopsAtFirstArgument: true,
  async run({ args, output, commands, connect }) {
    const listNames: ListNames = async (kind) => {
      try {
        const connection = await connect();
        const { listCompletions } = await import('../completion-names.ts');
        return await listCompletions(connection, kind, { timeoutMs: patienceMs });
      } catch {
        return []; // no daemon, no names; the rest still helps
      }
    };
    const found: readonly Candidate[] = await complete(args, commands, listNames);
    for (const { text, help } of found) output.line(help === undefined ? text : `${text}\t${help}`);
    return 0;
  },
};
