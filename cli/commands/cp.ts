import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, posix, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { ArchiveFilter } from '../archive-filter.ts';
import { type CommandBody, CommandError, UsageError } from '../command.ts';
import type { Connection } from '../connection.ts';
import { findContainer } from '../containers.ts';
import type { Output } from '../output.ts';

/** Much less than a gRPC message may hold. */
const pieceBytes = 512 * 1024;

interface Side {
  /** undefined for this machine. */
  readonly container: string | undefined;
  readonly path: string;
}

/** `CONTAINER:PATH`, or a path of this machine: one with a slash before any colon always is. */
function parseSide(text: string): Side {
  const at = text.indexOf(':');
  const isHere = at < 0 || text.startsWith('.') || text.startsWith('/') || text.slice(0, at).includes('/../');
  if (isHere) return { container: undefined, path: text };
  const path = text.slice(at + 1);
  if (path === '') throw new UsageError(`${JSON.stringify(text)} names no path in the container`);
  return { container: text.slice(0, at), path: path.startsWith('/') ? path : `/${path}` };
}

/** What is copied as the content of a folder, and not as the folder itself. */
const isContent = (path: string): boolean => /(^|\/)\.$/.test(path);
const isFolderName = (path: string): boolean => path.endsWith('/');

export const command: CommandBody = {
  description: [
    'Copies files and folders between this machine and a container, which may run or not. As with cp -r: into a folder that is there, or to a name that is not there yet. A source that ends in /. means the content of the folder.',
    '- stands for a tar archive on standard input or output. Of a running container mounted folders are seen too; of a stopped one only its own layer over its image. Links in the container lead nowhere out of it, and devices are never copied.',
  ],
  arguments: [
    {
      name: 'SOURCE',
      required: true,
      help: 'CONTAINER:PATH, a path of this machine, or -',
      complete: 'container',
    },
    { name: 'TARGET', required: true, help: 'the same; one of the two is in a container', complete: 'file' },
  ],
  flags: [
    {
      long: 'archive',
      short: 'a',
      kind: 'boolean',
      help: 'keep owners; otherwise root has what is copied in, and you what is copied out, without FIFOs, setuid and setgid',
    },
    { long: 'follow-link', short: 'L', kind: 'boolean', help: 'copy what a link as the source points to' },
  ],
  examples: [
    { text: 'a file out', command: 'berth cp web:/etc/nginx/nginx.conf .' },
    { text: 'the content of a folder in', command: 'berth cp ./site/. web:/usr/share/nginx/html' },
  ],
  async run({ args, flags, signal, connect, output }) {
    const source = parseSide(args[0]!);
    const target = parseSide(args[1]!);
    if ((source.container === undefined) === (target.container === undefined))
      throw new UsageError(
        'one of SOURCE and TARGET must be in a container',
        'For instance web:/etc/hosts ./hosts',
      );
    const connection = await connect();
    const options = { keepOwner: flags.boolean('archive'), followLink: flags.boolean('follow-link'), signal };
    if (source.container !== undefined) {
      const { id } = await findContainer(connection, source.container, { signal });
      await copyOut(connection, id, source.path, target.path, options, output);
    } else {
      const { id } = await findContainer(connection, target.container!, { signal });
      await copyIn(connection, id, source.path, target.path, options);
    }
    return 0;
  },
};

interface Options {
  readonly keepOwner: boolean;
  readonly followLink: boolean;
  readonly signal: AbortSignal;
}

async function copyOut(
  connection: Connection,
  id: string,
  from: string,
  to: string,
  options: Options,
  output: Output,
): Promise<void> {
  const { signal, followLink, keepOwner } = options;
  const found = await connection.admin(
    'StatPath',
    { container_id: id, path: from, follow_link: true },
    { signal },
  );
  const plain = followLink
    ? found
    : await connection.admin('StatPath', { container_id: id, path: from, follow_link: false }, { signal });
  if (plain.type === '') throw new CommandError(`there is no ${from} in the container`);
  const pieces = connection.adminStream(
    'CopyFromContainer',
    { container_id: id, path: from, follow_link: followLink },
    { signal },
  );
  if (to === '-') {
    for await (const { data } of pieces) if (!process.stdout.write(data)) await once(process.stdout, 'drain');
    return;
  }
  const isFolder = plain.type === 'directory' || (isContent(from) && found.type === 'directory');
  // The archive's first name: of a folder that is named with /. it is the dot.
  const name = isContent(from) || from === '/' ? '.' : posix.basename(from.replace(/\/+$/, ''));
  const { folder, rename } = placeHere(to, name, isFolder);
  const tar = spawnTar(
    [
      '--extract',
      '--file=-',
      `--directory=${folder}`,
      ...transform(name, rename, followLink),
      ...(keepOwner ? ['--same-owner', '--numeric-owner'] : ['--no-same-owner']),
    ],
    ['pipe', 'ignore', 'inherit'],
  );
  const archive = new ArchiveFilter({
    keepsAll: keepOwner,
    // The container chose the name: no control characters of it reach a terminal.
    onSkipped: (what, path) => output.note(`not copied, for it is ${what}: ${JSON.stringify(path)}`),
  });
  for await (const { data } of pieces)
    if (!tar.stdin!.write(archive.filter(data))) await once(tar.stdin!, 'drain');
  tar.stdin!.end();
  await ended(tar, `writing to ${to}`);
}

/** Where an archive is unpacked here, and what its first name becomes. */
function placeHere(to: string, name: string, isFolder: boolean): { folder: string; rename: string } {
  const path = resolve(to);
  const there = existsSync(path) ? statSync(path) : undefined;
  if (there?.isDirectory()) return { folder: path, rename: name };
  if (there && isFolder) throw new CommandError(`${to} is a file, and a folder does not go there`);
  if (!there && isFolderName(to) && !isFolder) throw new CommandError(`there is no folder ${to}`);
  const parent = dirname(path);
  if (!existsSync(parent))
    throw new CommandError(`there is no folder ${parent}`, { hint: `mkdir -p ${parent} makes it.` });
  return { folder: parent, rename: basename(path) };
}

async function copyIn(
  connection: Connection,
  id: string,
  from: string,
  to: string,
  options: Options,
): Promise<void> {
  const { signal, keepOwner } = options;
  const stat = (path: string) =>
    connection.admin('StatPath', { container_id: id, path, follow_link: true }, { signal });
  const there = await stat(to);
  if (from === '-') {
    if (there.type !== 'directory') throw new CommandError(`there is no folder ${to} in the container`);
    await upload(connection, id, to, process.stdin, keepOwner, signal);
    return;
  }
  const path = resolve(from);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) throw new CommandError(`there is no ${from}`);
  const source = found.isSymbolicLink() && options.followLink ? realpathSync(path) : path;
  const isFolder =
    statSync(source).isDirectory() && (!found.isSymbolicLink() || options.followLink || isContent(from));
  const name = isContent(from) ? '.' : basename(source);
  let folder = to;
  let rename = isContent(from) ? '.' : basename(path);
  if (there.type !== 'directory') {
    if (there.type !== '' && isFolder)
      throw new CommandError(`${to} is a file, and a folder does not go there`);
    if (there.type === '' && isFolderName(to) && !isFolder)
      throw new CommandError(`there is no folder ${to} in the container`);
    const clean = to.replace(/\/+$/, '');
    folder = posix.dirname(clean);
    rename = posix.basename(clean);
    if ((await stat(folder)).type !== 'directory')
      throw new CommandError(`there is no folder ${folder} in the container`);
  }
  const directory = isContent(from) ? source : dirname(source);
  const tar = spawnTar(
    [
      '--create',
      '--file=-',
      '--format=pax',
      '--numeric-owner',
      `--directory=${directory}`,
      ...transform(name, rename, options.followLink),
      '--',
      name,
    ],
    ['ignore', 'pipe', 'inherit'],
  );
  await upload(connection, id, folder, tar.stdout!, keepOwner, signal);
  await ended(tar, `reading ${from}`);
}

async function upload(
  connection: Connection,
  id: string,
  path: string,
  archive: Readable,
  keepOwner: boolean,
  signal: AbortSignal,
): Promise<void> {
  const requests = async function* () {
    yield { container_id: id, path, keep_owner: keepOwner };
    for await (const chunk of archive as AsyncIterable<Buffer>)
      for (let at = 0; at < chunk.length; at += pieceBytes)
        yield { data: chunk.subarray(at, at + pieceBytes) };
  };
  await connection.adminUpload('CopyToContainer', requests(), { signal });
}

/** Gives the archive's first name another, in names and in hard links but not in what symbolic links point to. */
function transform(from: string, to: string, isFollowed: boolean): string[] {
  if (from === to) return [];
  // A link that was followed is in the archive by the name of what it points to.
  const pattern = isFollowed && from !== '.' ? '^[^/]*' : `^${from.replaceAll(/[.[\]*^$\\|/]/g, '\\$&')}`;
  return [`--transform=flags=rSh;s|${pattern}\\(/\\|$\\)|${to.replaceAll(/[\\&|]/g, '\\$&')}\\1|`];
}

function spawnTar(args: readonly string[], stdio: ('pipe' | 'ignore' | 'inherit')[]): ChildProcess {
  const child = spawn('tar', args, { stdio, env: { ...process.env, LC_ALL: 'C' } });
  // EPIPE of a tar that failed: its exit status tells more.
  child.stdin?.on('error', () => {});
  return child;
}

async function ended(child: ChildProcess, what: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  if (child.exitCode !== 0) throw new CommandError(`${what} failed`);
}
