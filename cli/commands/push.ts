import type { CommandBody } from '../command.ts';
import { jsonFlag, quietFlag } from '../flags.ts';
import { formatSize } from '../quantity.ts';
import { credentialFlags, readCredentials } from '../registry-login.ts';
import { showTransfer } from '../transfer-display.ts';

export const command: CommandBody = {
  description: [
    'Pushes an image to the registry that its name says, or to TARGET. Layers that the registry has are not sent; those that another of its repositories has are taken over there. Large layers go up in chunks and are gone on with after a broken connection.',
    'What was pulled goes out as it came: layers whose compressed form is not kept here are fetched again from where they came from. Where that cannot be, they are packed anew; the image then has another digest there, and a warning says so.',
  ],
  arguments: [
    { name: 'IMAGE', required: true, complete: 'image' },
    { name: 'TARGET', help: 'another name to push it to', complete: 'image' },
  ],
  flags: [{ ...quietFlag, help: 'print the digest only' }, ...credentialFlags, jsonFlag],
  examples: [
    { text: 'a new name, pushed', command: 'berth push app:latest registry.example.com/team/app:1.4' },
  ],
  async run({ args, flags, output, signal, connect }) {
    const credentials = await readCredentials(flags);
    const connection = await connect();
    const isQuiet = flags.boolean('quiet');
    const [image, target] = args;
    if (!isQuiet) output.note(`pushing ${target ?? image}`);
    const messages = connection.adminStream(
      'PushImage',
      { image: image!, target: target ?? '', ...(credentials && { credentials }) },
      { signal },
    );
    const result = await showTransfer(messages, output, isQuiet);
    if (result.layers_remade > 0)
      output.warn(
        `${result.layers_remade} of its layers had to be packed anew, because their blobs are neither here nor where the image came from: it has another digest there than here`,
      );
    if (flags.boolean('json')) output.json(result);
    else if (isQuiet) output.line(result.digest);
    else output.line(`${result.reference}@${result.digest} (${formatSize(result.size_bytes)})`);
    return 0;
  },
};
