import { once } from 'node:events';
import { createWriteStream, rmSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { createGzip, createZstdCompress } from 'node:zlib';
import { type CommandBody, CommandError, UsageError } from '../command.ts';

export const command: CommandBody = {
  description: [
    'Writes images into an archive, with all their names or those that are given: an OCI image layout, which berth load, podman, skopeo, buildah, ctr and docker read, or a docker-archive for older ones. Layers that several of the images have are in it once.',
  ],
  arguments: [{ name: 'IMAGE', required: true, repeatable: true, complete: 'image' }],
  flags: [
    {
      long: 'output',
      short: 'o',
      kind: 'string',
      valueName: 'FILE',
      help: 'where to; standard output if left out',
      complete: 'file',
    },
    {
      long: 'format',
      kind: 'string',
      valueName: 'FORMAT',
      help: 'what to write',
      choices: ['oci', 'oci-archive', 'docker-archive', 'docker'],
      default: 'oci',
    },
    {
      long: 'compress',
      kind: 'string',
      valueName: 'HOW',
      help: 'compress the archive as a whole; the layers of an OCI layout are compressed in any case',
      choices: ['none', 'gzip', 'zstd'],
      default: 'none',
    },
  ],
  examples: [
    { text: 'two images to another machine', command: 'berth save app:1 db:2 | ssh other berth load' },
  ],
  async run({ args, flags, output, signal, connect }) {
    const path = flags.string('output');
    const isStdout = path === undefined || path === '-';
    if (isStdout && process.stdout.isTTY)
      throw new UsageError('an archive is not for a terminal', 'Name a file with --output, or redirect it.');
    const connection = await connect();
    const format = flags.string('format')!.startsWith('docker') ? 'docker' : 'oci';
    const pieces = connection.adminStream('SaveImages', { images: args, format }, { signal });
    // What is wrong with the request is known before a file is made.
    const first = await pieces.next();
    if (first.done === true) throw new CommandError('the daemon sent no archive');
    if (first.value.layers_remade > 0)
      output.warn(
        `${first.value.layers_remade} layers had to be packed anew, because their blobs are neither here nor where the images came from: the saved images have other ids`,
      );
    const target = isStdout ? process.stdout : createWriteStream(path, { mode: 0o644 });
    try {
      await pour(pieces, target, flags.string('compress')!);
      if (!isStdout) {
        target.end();
        await once(target, 'close');
      }
    } catch (error) {
      if (!isStdout) {
        target.destroy();
        rmSync(path, { force: true });
      }
      throw error;
    }
    return 0;
  },
};

async function pour(
  pieces: AsyncIterable<{ readonly data: Buffer }>,
  target: Writable,
  how: string,
): Promise<void> {
  const packer = how === 'gzip' ? createGzip() : how === 'zstd' ? createZstdCompress() : undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new CommandError(`writing the archive failed: ${error.message}`));
    target.once('error', fail);
    packer?.once('error', fail);
  });
  failed.catch(() => {}); // nobody may be waiting when it comes
  packer?.pipe(target, { end: false });
  const sink: Writable = packer ?? target;
  for await (const { data } of pieces)
    if (!sink.write(data)) await Promise.race([once(sink, 'drain'), failed]);
  if (!packer) return;
  packer.end();
  await Promise.race([once(packer, 'end'), failed]);
}
