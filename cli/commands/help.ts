import { nearestName } from '#daemon/config/nearest-name.ts';
import { type CommandBody, findCommand, loadCommand, UsageError } from '../command.ts';
import { commandHelp, overview } from '../help.ts';

export const command: CommandBody = {
  description: ['Shows the list of commands, or one command with its flags and examples.'],
  arguments: [{ name: 'COMMAND', complete: 'command' }],
  flags: [],
  async run({ args, output, commands }) {
    const name = args[0];
    if (name === undefined) {
      output.write(overview(commands));
      return 0;
    }
    const entry = findCommand(commands, name);
    if (entry === undefined) {
      const near = nearestName(
        name,
        commands.map((row) => row.name),
      );
      throw new UsageError(`there is no command ${name}`, near && `did you mean ${near}?`);
    }
    output.write(commandHelp(await loadCommand(entry)));
    return 0;
  },
};
