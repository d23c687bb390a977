import type { CommandBody } from '../command.ts';
import { UsageError } from '../command.ts';
import { completionScript, type Shell, shells } from '../completion.ts';

export const command: CommandBody = {
  description: [
    'Prints a script that makes the shell complete commands, flags, and the names of containers, pods and images, which it asks the daemon for.',
  ],
  arguments: [{ name: 'SHELL', required: true, help: 'bash, zsh or fish', complete: shells }],
  flags: [],
  examples: [
    { text: 'in this shell', command: 'source <(berth completion bash)' },
    { text: 'for every user', command: 'berth completion bash > /etc/bash_completion.d/berth' },
  ],
  async run({ args, output }) {
    const shell = args[0]!;
    if (!(shells as readonly string[]).includes(shell))
      throw new UsageError(`there is no completion for ${shell}`, `It is made for ${shells.join(', ')}.`);
    output.write(completionScript(shell as Shell));
    return 0;
  },
};
