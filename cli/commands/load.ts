import { createReadStream, statSync } from 'node:fs';
import { type CommandBody, CommandError, UsageError } from '../command.ts';
import { jsonFlag, quietFlag } from '../flags.ts';
import { TransferDisplay } from '../transfer-display.ts';

const pieceBytes = 512 * 1024;
const drawEveryMs = 100;

/** 0 for what is no file, or not there, which reading it will tell. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

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
    const display = new TransferDisplay(output, flags.boolean('quiet'));
    const sizeBytes = path === undefined || path === '-' ? 0 : sizeOf(path);
    let sentBytes = 0;
    const tell = (): void => {
      // Of a pipe nobody knows how much will come.
      if (sizeBytes === 0 || !output.isErrorTerminal) return;
      const state = sentBytes < sizeBytes ? 'transferring' : 'unpacking';
      const [size_bytes, done_bytes] = [BigInt(sizeBytes), BigInt(sentBytes)];
      display.show([{ digest: 'archive', size_bytes, done_bytes, state }]);
    };
    let toldMs = 0;
    const requests = async function* () {
      yield { tag: flags.string('tag') ?? '' };
      try {
        for await (const chunk of input as AsyncIterable<Buffer>)
          for (let at = 0; at < chunk.length; at += pieceBytes) {
            const data = chunk.subarray(at, at + pieceBytes);
            yield { data };
            sentBytes += data.length;
            if (sentBytes < sizeBytes && performance.now() < toldMs + drawEveryMs) continue;
            toldMs = performance.now();
            tell();
          }
      } catch (error) {
        throw new CommandError(`${path ?? 'standard input'} cannot be read: ${(error as Error).message}`);
      }
    };
    const { images } = await connection
      .adminUpload('LoadImages', requests(), { signal })
      .finally(() => display.clear());
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
