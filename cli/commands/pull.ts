import { type CommandBody, CommandError } from '../command.ts';
import { jsonFlag, quietFlag } from '../flags.ts';
import { credentialFlags, readCredentials } from '../registry-login.ts';
import { showTransfer } from '../transfer-display.ts';

export const command: CommandBody = {
  description: [
    'Pulls images and unpacks them. A name without a registry is completed as registries.conf says, else with docker.io. On a terminal each layer has a bar with its rate and the time left; elsewhere a line tells when a layer is done.',
    'Credentials come from the auth files of the daemon (images.auth_files), where berth login puts them, unless they are given.',
  ],
  arguments: [
    { name: 'IMAGE', required: true, repeatable: true, help: 'NAME[:TAG] or NAME@DIGEST', complete: 'image' },
  ],
  flags: [
    { ...quietFlag, help: 'print the id only' },
    {
      long: 'platform',
      kind: 'string',
      valueName: 'OS/ARCH',
      help: "an image for another platform than this machine's, such as linux/arm64",
    },
    ...credentialFlags,
    jsonFlag,
  ],
  examples: [
    { text: 'an image of Docker Hub', command: 'berth pull nginx:1.27' },
    {
      text: 'with a password from a pipe',
      command: 'pass show registry | berth pull -u me --password-stdin registry.example.com/team/app',
    },
  ],
  async run({ args, flags, output, signal, connect }) {
    const credentials = await readCredentials(flags);
    const connection = await connect();
    const isQuiet = flags.boolean('quiet');
    for (const reference of args) {
      if (!isQuiet) output.note(`pulling ${reference}`);
      const messages = connection.adminStream(
        'PullImage',
        { reference, platform: flags.string('platform') ?? '', ...(credentials && { credentials }) },
        { signal },
      );
      const result = await showTransfer(messages, output, isQuiet).catch((error: unknown) => {
        throw withAuthHint(error);
      });
      if (flags.boolean('json')) output.jsonLine(result);
      else if (isQuiet) output.line(result.image_id);
      else {
        if (result.digest !== '') output.note(`digest ${result.digest}`);
        output.line(result.reference);
      }
    }
    return 0;
  },
};

function withAuthHint(error: unknown): unknown {
  if (!(error instanceof CommandError) || error.hint !== undefined) return error;
  if (!/authorization failed|access denied/i.test(error.message)) return error;
  return new CommandError(error.message, {
    cause: error,
    hint: '`berth login REGISTRY` keeps credentials; --creds gives them for one pull.',
  });
}
