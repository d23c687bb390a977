/** Sees to it that an image is here before something is made of it. */
import { CommandError } from './command.ts';
import { CallError, type Connection } from './connection.ts';
import type { Output } from './output.ts';
import { showTransfer } from './transfer-display.ts';

export type PullPolicy = 'missing' | 'always' | 'never';

/** Pulls `image` if the policy says so, telling of it on standard error. Throws CallError, CommandError. */
export async function ensureImage(
  connection: Connection,
  image: string,
  policy: PullPolicy,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  if (policy !== 'always') {
    const { image: found } = await connection.call('ImageStatus', { image: { image } }, { signal });
    if (found !== undefined) return;
    if (policy === 'never')
      throw new CommandError(`image ${image} is not here, and --pull never forbids to fetch it`, {
        hint: `\`berth pull ${image}\` fetches it.`,
      });
    output.note(`image ${image} is not here: pulling it`);
  }
  const pulled = connection.adminStream('PullImage', { reference: image }, { signal });
  try {
    const { image_id } = await showTransfer(pulled, output, false);
    output.note(`pulled ${image} (${image_id.slice(0, 19)})`);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    throw new CallError(`pulling ${image}: ${error.message}`, error.code, {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}
