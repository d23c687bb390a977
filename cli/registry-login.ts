/** Credentials on a command line, and the file they are kept in (the format of Docker's config.json). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { errnoOf, messageOf } from '#base/errors.ts';
import { CommandError, type Flag, UsageError } from './command.ts';
import type { FlagValues } from './flag-values.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export const credentialFlags: readonly Flag[] = [
  {
    long: 'creds',
    kind: 'string',
    valueName: 'USER[:PASSWORD]',
    help: 'credentials for this call alone; a password that is left out is asked for',
  },
  { long: 'username', short: 'u', kind: 'string', valueName: 'USER', help: 'user name for this call alone' },
  { long: 'password-stdin', kind: 'boolean', help: 'read the password from standard input' },
];

/** What the flags say; undefined where they say nothing, and the daemon's own files count. Throws UsageError. */
export async function readCredentials(flags: FlagValues): Promise<Credentials | undefined> {
  const creds = flags.string('creds');
  const username = flags.string('username') ?? creds?.split(':')[0];
  if (username === undefined) {
    if (flags.boolean('password-stdin')) throw new UsageError('--password-stdin needs --username');
    return undefined;
  }
  if (username === '') throw new UsageError('the user name is empty');
  const given = creds?.includes(':') ? creds.slice(creds.indexOf(':') + 1) : undefined;
  return { username, password: given ?? (await readPassword(flags.boolean('password-stdin'))) };
}

/** From standard input, or typed without being shown. */
export async function readPassword(isStdin: boolean): Promise<string> {
  if (isStdin) {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks)
      .toString('utf8')
      .replace(/\r?\n$/, '');
  }
  if (!process.stdin.isTTY)
    throw new UsageError(
      'there is no terminal to ask for the password',
      'Say --password-stdin and pipe it in.',
    );
  return ask('Password: ', true);
}

/** Asks on the terminal. */
export async function ask(question: string, isHidden: boolean): Promise<string> {
  process.stderr.write(question);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({
    input: process.stdin,
    output: isHidden ? silent : process.stderr,
    terminal: true,
  });
  try {
    return await reader.question('');
  } finally {
    reader.close();
    if (isHidden) process.stderr.write('\n');
  }
}

/** The file that logins are kept in. */
export function authFileOf(
  flags: FlagValues,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  return (
    flags.string('authfile') ||
    environment.REGISTRY_AUTH_FILE ||
    join(environment.DOCKER_CONFIG || join(environment.HOME || homedir(), '.docker'), 'config.json')
  );
}

/** Docker Hub is kept under this address, as other tools do. */
export function serverKey(registry: string): string {
  return registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry;
}

/** A registry as users write it: without a scheme and path, Docker Hub by one name. */
export function cleanRegistry(given: string): string {
  const host = given.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  return ['', 'docker.io', 'index.docker.io', 'registry-1.docker.io'].includes(host) ? 'docker.io' : host;
}

export interface AuthFile {
  auths?: Record<string, { auth?: string }>;
  credHelpers?: Record<string, string>;
  credsStore?: string;
}

/** Throws CommandError for a file that is none; an empty one for a missing file. */
export function readAuthFile(path: string): AuthFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return {};
    throw new CommandError(`${path} cannot be read: ${messageOf(error)}`);
  }
  try {
    // The parser's words could quote the file, which holds secrets.
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // said below
  }
  throw new CommandError(`${path} is not JSON`, { hint: 'Mend it, or name another one with --authfile.' });
}

/** Replaces the file as a whole, for its owner's eyes only. */
export function writeAuthFile(path: string, content: AuthFile): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, `${JSON.stringify(content, null, '\t')}\n`, { mode: 0o600 });
    chmodSync(temporary, 0o600);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new CommandError(`${path} cannot be written: ${messageOf(error)}`);
  }
}

/** The credential helper that the file names for a registry, if it does. */
export function helperOf(file: AuthFile, registry: string): string | undefined {
  return (
    file.credHelpers?.[registry] ?? file.credHelpers?.[serverKey(registry)] ?? (file.credsStore || undefined)
  );
}

/** Has `docker-credential-NAME` keep or forget credentials. Throws CommandError; what the helper says is not shown, it may hold secrets. */
export async function runHelper(name: string, action: 'store' | 'erase', input: string): Promise<void> {
  const program = `docker-credential-${name}`;
  const child = spawn(program, [action], { stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.on('error', () => {}); // one that ends without reading: its status tells
  child.stdin.end(input);
  const [status] = await (once(child, 'close') as Promise<[number | null]>).catch((error: unknown) => {
    throw new CommandError(`the credential helper ${program} cannot be started: ${messageOf(error)}`);
  });
  if (status !== 0) throw new CommandError(`the credential helper ${program} failed to ${action} the login`);
}
