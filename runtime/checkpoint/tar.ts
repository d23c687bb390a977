/** Tar archives by the program tar, in a process of its own: they may hold gigabytes. */
import { RuntimeError } from '#base/errors.ts';
import { describeStatus, run, succeeded } from '#host/launch.ts';

const tarPath = '/bin/tar';
/** Attributes that are overlayfs' own say how layers lie on each other, which is another matter elsewhere. */
const attributes = ['--xattrs', '--xattrs-include=*', '--xattrs-exclude=trusted.*'];

async function tar(
  what: string,
  args: readonly string[],
  signal: AbortSignal,
  input?: string,
): Promise<void> {
  const result = await run({
    path: tarPath,
    args,
    // Names are bytes: a locale would make tar look at them as characters.
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    signal,
    ...(input === undefined ? {} : { input }),
  });
  if (succeeded(result.status)) return;
  const words = result.stderr.toString().trim().split('\n')[0] ?? '';
  throw new RuntimeError('Internal', `${what}: ${words === '' ? describeStatus(result.status) : words}`);
}

/**
 * Writes `names` (with everything below them, unless `isList`, where each counts for itself) of `folder` into a new archive,
 * with owners, modes and attributes. Throws Internal, Canceled, DeadlineExceeded.
 */
export async function writeTar(
  archive: string,
  folder: string,
  names: readonly string[],
  isList: boolean,
  signal: AbortSignal,
): Promise<void> {
  const args = [
    '--create',
    `--file=${archive}`,
    `--directory=${folder}`,
    '--format=pax',
    '--sparse',
    '--numeric-owner',
    ...attributes,
    ...(isList ? ['--no-recursion'] : []),
    '--null',
    '--verbatim-files-from',
    '--files-from=-',
  ];
  await tar(`writing ${archive}`, args, signal, names.map((name) => `${name}\0`).join(''));
}

/**
 * Unpacks an archive, compressed or not, into an empty folder. tar takes no name that leads out, and makes links only when
 * all else is there. Throws InvalidArgument for what is no archive, Canceled.
 */
export async function extractTar(archive: string, folder: string, signal: AbortSignal): Promise<void> {
  const args = [
    '--extract',
    `--file=${archive}`,
    `--directory=${folder}`,
    '--numeric-owner',
    '--same-owner',
    '--preserve-permissions',
    '--delay-directory-restore',
    ...attributes,
  ];
  try {
    await tar(`unpacking ${archive}`, args, signal);
  } catch (error) {
    if (!(error instanceof RuntimeError) || error.kind !== 'Internal') throw error;
    throw new RuntimeError('InvalidArgument', error.message, { cause: error });
  }
}
