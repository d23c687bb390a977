/**
 * Credential helpers: programs `docker-credential-NAME` that are asked `get` with a registry on their standard input and
 * answer in JSON (the protocol of Docker's credential helpers). Nothing of an answer is logged, nor put into a message:
 * only how the program ended.
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { isRuntimeError, RuntimeError } from '#base/errors.ts';
import { describeStatus, run, succeeded } from '#host/launch.ts';
import type { Secret } from './credentials.ts';

export interface HelperAccess {
  /** Where helpers are looked for. */
  readonly directories: readonly string[];
  /** Their whole environment. */
  readonly environment: Readonly<Record<string, string>>;
}

const timeoutMs = 10_000;
const outputLimitBytes = 1 << 20;
/** How a helper says that it has nothing for this registry; it then ends with a failure. */
const nothing = /credentials not found|not found in native keychain|no credentials/i;
/** The user name that stands for a refresh token. */
const tokenUser = '<token>';

/**
 * What helper `name` knows for `server`; undefined if it knows nothing. Throws Unknown naming the helper and `where` it is
 * configured, if there is no such program, it fails, or takes more than 10 s; Canceled.
 */
export async function askHelper(
  name: string,
  server: string,
  where: string,
  access: HelperAccess,
  signal: AbortSignal,
): Promise<Secret | undefined> {
  const program = `docker-credential-${name}`;
  const refuse = (why: string, cause?: unknown) =>
    new RuntimeError('Unknown', `credential helper ${program} (of ${where}), asked for ${server}: ${why}`, {
      cause,
    });
  const path = /^[\w.-]+$/.test(name)
    ? access.directories.map((directory) => join(directory, program)).find(isExecutable)
    : undefined;
  if (path === undefined) throw refuse(`it is not in ${access.directories.join(':')}`);
  let result: Awaited<ReturnType<typeof run>>;
  try {
    result = await run({
      path,
      args: ['get'],
      env: access.environment,
      input: server,
      timeoutMs,
      outputLimitBytes,
      newSession: true,
      killGroup: true,
      signal,
    });
  } catch (error) {
    if (isRuntimeError(error, 'DeadlineExceeded')) throw refuse(`no answer within ${timeoutMs / 1000} s`);
    if (isRuntimeError(error, 'Canceled')) throw error;
    throw refuse('it cannot be started', error);
  }
  const answer = result.stdout.toString('utf8');
  if (!succeeded(result.status)) {
    if (nothing.test(answer) || nothing.test(result.stderr.toString('utf8'))) return undefined;
    throw refuse(`it ended with ${describeStatus(result.status)}; run it by hand to see why`);
  }
  return parseAnswer(answer, refuse);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not there, or not to be run: the next directory may have it
  }
}

function parseAnswer(answer: string, refuse: (why: string) => RuntimeError): Secret | undefined {
  let value: { Username?: unknown; Secret?: unknown };
  try {
    value = JSON.parse(answer) as typeof value;
  } catch {
    // The parser's words would quote the answer.
    throw refuse('its answer is not JSON');
  }
  const { Username: username, Secret: secret } = value ?? {};
  if (typeof username !== 'string' || typeof secret !== 'string')
    throw refuse('its answer has no Username and Secret');
  if (secret === '') return undefined;
  if (username === tokenUser) return { type: 'refreshToken', token: secret };
  return { type: 'password', username, password: secret };
}
