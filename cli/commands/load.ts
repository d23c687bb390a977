import { createReadStream } from 'node:fs';
import { type CommandBody, CommandError, UsageError } from '../command.ts';
import { jsonFlag, quietFlag } from '../flags.ts';

const pieceBytes = 512 * 1024;

export const command: CommandBody = {
  description: [
    'Takes images out of an archive: an OCI image layout (buildah push oci-archive:, skopeo, docker save of today) or what docker save has always written (docker-archive), plain or compressed with gzip or zstd. All of it is verified; an archive that is damaged or tries to harm is refused as a whole.',
    'Unlike pulled ones, loaded images keep their compressed layers too, because nobody else has them.',
  ],
  arguments: [],
  flags: [
    {
      long: 'input',
      short: 'i',
      kind: 'string',
      valueName: 'FILE',
      help: 'the archive; standard input if left out',
      complete: 'file',
    },
    {
      long: 'tag',
      short: 't',
      kind: 'string',
      valueName: 'NAME',
      help: 'a name for the only image of the archive',
    },
    { ...quietFlag, help: 'print ids only' },
    jsonFlag,
  ],
  examples: [
    {
      text: 'what buildah built',
      command: 'buildah push app oci-archive:/dev/stdout:app:latest | berth load',
    },
  ],
  async run({ flags, output, signal, connect }) {
    const path = flags.string('input');
    if ((path === undefined || path === '-') && process.stdin.isTTY)
      throw new UsageError(
        'an archive is not typed on a terminal',
        'Name a file with --input, or pipe it in.',
      );
    const input = path === undefined || path === '-' ? process.stdin : createReadStream(path);
    const connection = await connect();
    const requests = async function* () {
      yield { tag: flags.string('tag') ?? '' };
      try {
        for await (const chunk of input as AsyncIterable<Buffer>)
          for (let at = 0; at < chunk.length; at += pieceBytes)
            yield { data: chunk.subarray(at, at + pieceBytes) };
      } catch (error) {
        throw new CommandError(`${path ?? 'standard input'} cannot be read: ${(error as Error).message}`);
      }
    };
    const { images } = await connection.adminUpload('LoadImages', requests(), { signal });
    if (flags.boolean('json')) {
      output.json(images);
      return 0;
    }
    for (const { id, names } of images) {
      if (flags.boolean('quiet')) output.line(id);
      else if (names.length === 0) {
        output.line(`loaded ${id}`);
        output.note('It has no name: `berth tag` gives it one.');
      } else for (const name of names) output.line(`loaded ${name}`);
    }
    return 0;
  },
};
