/**
 * The machine as the doctor sees it: files, programs, processes, sockets. It only ever reads. Everything is below one root,
 * so that a test can plant faults on real files in a folder of its own and have real programs run from there.
 */
import {
  accessSync,
  constants,
  readdirSync,
  readFileSync,
  readlinkSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs';
import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { errnoOf, messageOf } from '#base/errors.ts';
import { defaultPath, run } from '#host/launch.ts';

export interface Ran {
  /** Exit status; -1 if it could not be started, was killed, or took too long. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** 0 where the file system has no fixed number. */
  readonly totalInodes: number;
  readonly freeInodes: number;
}

export interface RunningProcess {
  readonly pid: number;
  readonly command: readonly string[];
}

/** What became of one call to a CRI socket. */
export type SocketAnswer = 'answers' | 'silent' | 'refused' | 'absent' | 'forbidden';

export interface Machine {
  /** Where a path of that machine is on this one. */
  at(path: string): string;
  /** A message of a parser that was given a path from `at`, in the words of that machine. */
  shown(text: string): string;
  /** The text of a file; undefined if it cannot be read. */
  read(path: string): string | undefined;
  /** What a link says; undefined if it is none. */
  link(path: string): string | undefined;
  /** Names in a folder, sorted; empty if it cannot be read. */
  list(path: string): string[];
  /** Links are followed; undefined if there is nothing. */
  stat(path: string): Stats | undefined;
  /** Of the file system that holds the path, or would hold it. */
  space(path: string): Space | undefined;
  /** The path of a program in PATH, or the path itself if it is one; undefined if it cannot be run. */
  findProgram(name: string): string | undefined;
  /** Runs a program found before, with ten seconds' patience. Never rejects. */
  run(path: string, args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Ran>;
  processes(): RunningProcess[];
  /** Calls Version of the CRI on a unix socket. Never rejects. */
  ask(socketPath: string): Promise<SocketAnswer>;
  /** Milliseconds since the epoch. */
  nowMs(): number;
}

const runTimeoutMs = 10_000;
const askTimeoutMs = 5000;
const programDirs = defaultPath.split(':');

export interface MachineOptions {
  /** '' for this machine. */
  readonly root?: string;
  readonly nowMs?: () => number;
  /** Stands in for statfs(2) where a full disk has to be imagined. */
  readonly space?: (path: string) => Space | undefined;
}

function statfsSpace(path: string): Space | undefined {
  try {
    const { bsize, blocks, bavail, files, ffree } = statfsSync(path);
    return {
      totalBytes: bsize * blocks,
      freeBytes: bsize * bavail,
      totalInodes: files,
      freeInodes: ffree,
    };
  } catch {
    return undefined; // not there, or hidden from us: nothing can be said of it
  }
}

/** Opens the view. Nothing is read before it is asked for. */
export function openMachine(options: MachineOptions = {}): Machine {
  const root = options.root ?? '';
  const at = (path: string): string => `${root}${path}`;
  const stat = (path: string): Stats | undefined => {
    try {
      return statSync(at(path), { throwIfNoEntry: false });
    } catch {
      return undefined; // behind a file or a folder that is closed to us
    }
  };
  const list = (path: string): string[] => {
    try {
      return readdirSync(at(path)).sort();
    } catch {
      return []; // not there, or closed to us
    }
  };
  const read = (path: string): string | undefined => {
    try {
      return readFileSync(at(path), 'utf8');
    } catch {
      return undefined; // not there, or closed to us
    }
  };
  const isProgram = (path: string): boolean => {
    try {
      accessSync(at(path), constants.X_OK);
      return stat(path)?.isFile() === true;
    } catch {
      return false; // not there, or no program
    }
  };
  return {
    at,
    shown: (text) => (root === '' ? text : text.replaceAll(root, '')),
    read,
    link: (path) => {
      try {
        return readlinkSync(at(path));
      } catch {
        return undefined; // no link, or closed to us
      }
    },
    list,
    stat,
    space: (path) => {
      if (options.space) return options.space(path);
      let candidate = path;
      while (candidate !== '/' && !stat(candidate)) candidate = candidate.replace(/\/[^/]*$/, '') || '/';
      return statfsSpace(at(candidate));
    },
    findProgram: (name) => {
      if (name.startsWith('/')) return isProgram(name) ? name : undefined;
      return programDirs.map((dir) => `${dir}/${name}`).find(isProgram);
    },
    run: async (path, args, env = {}) => {
      try {
        const { status, stdout, stderr } = await run({
          path: at(path),
          args,
          env: { PATH: defaultPath, LC_ALL: 'C', ...env },
          timeoutMs: runTimeoutMs,
        });
        const code = status.type === 'exited' ? status.code : -1;
        return { code, stdout: stdout.toString(), stderr: stderr.toString() };
      } catch (error) {
        return { code: -1, stdout: '', stderr: messageOf(error) };
      }
    },
    processes: () =>
      list('/proc').flatMap((name) => {
        if (!/^\d+$/.test(name)) return [];
        const text = read(`/proc/${name}/cmdline`) ?? '';
        return text === '' ? [] : [{ pid: Number(name), command: text.replace(/\0$/, '').split('\0') }];
      }),
    ask: (socketPath) => askSocket(at(socketPath)),
    nowMs: options.nowMs ?? Date.now,
  };
}

/** An empty gRPC message: no compression, no bytes. */
const emptyMessage = Buffer.alloc(5);

/** HTTP/2 by hand, for the doctor has no business with gRPC beyond knowing whether somebody answers. */
function askSocket(path: string): Promise<SocketAnswer> {
  return new Promise((resolve) => {
    const socket = connectSocket(path);
    const session = connect('http://localhost', { createConnection: () => socket });
    const settle = (answer: SocketAnswer): void => {
      clearTimeout(timer);
      session.destroy();
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => settle('silent'), askTimeoutMs);
    const onError = (error: unknown): void => {
      const errno = errnoOf(error);
      if (errno === 'ENOENT') settle('absent');
      else if (errno === 'EACCES' || errno === 'EPERM') settle('forbidden');
      else settle(errno === 'ECONNREFUSED' ? 'refused' : 'silent');
    };
    socket.on('error', onError);
    session.on('error', onError);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/runtime.v1.RuntimeService/Version',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', onError);
    stream.on('response', () => settle('answers'));
    stream.end(emptyMessage);
  });
}
