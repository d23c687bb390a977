import { type CommandBody, CommandError } from '../command.ts';
import { jsonFlag } from '../flags.ts';

export const command: CommandBody = {
  description: [
    'Looks at this node and says what is wrong for Berth, what that breaks, and the command that mends it: kernel, control groups, programs, CNI, packet rules, registries, disk, limits, privileges, clock, other runtimes, the daemon and what it left behind.',
    'It changes nothing and works while the daemon is down. Run it as root: others see less. docs/doctor.md lists what it knows.',
  ],
  arguments: [],
  flags: [
    {
      long: 'config',
      kind: 'string',
      valueName: 'FILE',
      help: "berthd's configuration, instead of /etc/berth/config.toml",
      complete: 'file',
    },
    jsonFlag,
  ],
  examples: [
    { text: 'What is wrong on this node', command: 'sudo berth doctor' },
    {
      text: 'Only the ids of errors, for a script',
      command: 'berth doctor --json | jq -r \'.diagnoses[] | select(.severity == "error").id\'',
    },
  ],
  exitStatuses: [
    { status: '10', meaning: 'There are warnings: something will not work, or not always.' },
    { status: '20', meaning: 'There are errors: something does not work.' },
  ],
  async run({ flags, output }) {
    const [{ examineNode }, { exitStatusOf, formatDiagnoses }] = await Promise.all([
      import('#daemon/doctor.ts'),
      import('#doctor/examine.ts'),
    ]);
    const diagnoses = await examineNode(flags.has('config') ? flags.string('config') : undefined).catch(
      (error: Error) => {
        throw new CommandError(`the examination failed: ${error.message}`, { cause: error });
      },
    );
    if (flags.boolean('json')) output.json({ diagnoses });
    else output.write(formatDiagnoses(diagnoses, output.paint('x', 'bold') !== 'x'));
    return exitStatusOf(diagnoses);
  },
};
