/** What runs and what it is told: argv, environment and working directory (CRI ContainerConfig over the image's config). */
import { posix } from 'node:path';
import { RuntimeError } from '#base/errors.ts';
import type { ImageConfig } from '#images/contract.ts';
import type { ContainerConfig } from '../container/config.ts';

/** PATH of a container that neither its image nor its request gives one. */
export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * The command line. A command hides the image's entrypoint and command; arguments alone hide the image's command
 * (CRI ContainerConfig.command, .args). Throws InvalidArgument when nothing is left to run.
 */
export function processArgs(
  config: Pick<ContainerConfig, 'command' | 'args'>,
  image: Pick<ImageConfig, 'entrypoint' | 'command'>,
): string[] {
  const args = chooseArgs(config, image);
  if (args.length === 0 || args[0] === '') {
    throw new RuntimeError(
      'InvalidArgument',
      'there is no command: neither the request nor the image has one',
    );
  }
  for (const arg of args) refuseNul(arg, 'an argument');
  return args;
}

function chooseArgs(
  config: Pick<ContainerConfig, 'command' | 'args'>,
  image: Pick<ImageConfig, 'entrypoint' | 'command'>,
): string[] {
  if (config.command.length > 0) return [...config.command, ...config.args];
  // Docker lets an image clear an inherited entrypoint by setting it to one empty string.
  const isCleared = image.entrypoint.length === 1 && image.entrypoint[0] === '';
  const entrypoint = isCleared ? [] : image.entrypoint;
  return [...entrypoint, ...(config.args.length > 0 ? config.args : image.command)];
}

export interface EnvironmentInput {
  readonly hostname: string;
  readonly hasTty: boolean;
  readonly home: string;
  /** `NAME=value` entries. */
  readonly imageEnv: readonly string[];
  readonly envs: readonly { readonly key: string; readonly value: string }[];
}

/**
 * The environment: defaults (PATH, HOSTNAME, HOME, TERM with a terminal), then the image's, then the request's. A later
 * value replaces an earlier one in its place. Entries without a name or an equals sign set nothing.
 */
export function processEnv(input: EnvironmentInput): string[] {
  const variables = new Map<string, string>([
    ['PATH', defaultPath],
    ['HOSTNAME', input.hostname],
    // Set here because the OCI runtimes would otherwise parse the image's /etc/passwd themselves.
    ['HOME', input.home],
  ]);
  if (input.hasTty) variables.set('TERM', 'xterm');
  for (const entry of input.imageEnv) {
    const equals = entry.indexOf('=');
    if (equals > 0) variables.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  for (const { key, value } of input.envs) if (key !== '') variables.set(key, value);
  return [...variables].map(([name, value]) => refuseNul(`${name}=${value}`, `environment variable ${name}`));
}

/** The working directory: the request's, else the image's, else `/`; always absolute. The OCI runtime makes it if missing. */
export function processCwd(requested: string, image: string): string {
  const chosen = requested !== '' ? requested : image;
  return posix.join('/', refuseNul(chosen, 'the working directory'));
}

function refuseNul(text: string, what: string): string {
  if (text.includes('\0')) throw new RuntimeError('InvalidArgument', `${what} contains a NUL byte`);
  return text;
}
