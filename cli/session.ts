/** An exec or attach from this terminal: bytes both ways, sizes, detach keys, and how it ended. */
import { spawnSync } from 'node:child_process';
import type { Writable } from 'node:stream';
import { type ChannelSocket, openChannels } from './channel-socket.ts';
import { CommandError, UsageError } from './command.ts';

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;

export type SessionEnd =
  | { readonly kind: 'exited'; readonly exitCode: number }
  /** The user left with the detach keys; the process goes on. */
  | { readonly kind: 'detached' }
  | { readonly kind: 'failed'; readonly message: string }
  /** The connection broke without a word. */
  | { readonly kind: 'lost' };

export interface SessionOptions {
  readonly hasTty: boolean;
  /** What is typed; undefined for none. */
  readonly stdin: NodeJS.ReadStream | undefined;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Bytes that leave the session; [] for none. Looked for with a terminal only. */
  readonly detachKeys: Buffer;
  /** Leaves the session when aborted. */
  readonly signal: AbortSignal;
}

export const defaultDetachKeys = 'ctrl-p,ctrl-q';

/** `ctrl-p,ctrl-q` or `a,ctrl-x` as bytes. Throws UsageError. */
export function parseDetachKeys(text: string): Buffer {
  const keys = text === '' ? [] : text.split(',');
  return Buffer.from(
    keys.map((key) => {
      if (key.length === 1) return key.charCodeAt(0);
      const letter = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
      if (letter === undefined)
        throw new UsageError(
          `${JSON.stringify(key)} is no detach key`,
          'Give letters or ctrl- and a letter, with commas between: ctrl-p,ctrl-q.',
        );
      return letter.toUpperCase().charCodeAt(0) - 64;
    }),
  );
}

/**
 * Finds a sequence of keys in what is typed. `take` gives the bytes to pass on; keys that may begin the sequence are held
 * back until the next ones tell.
 */
export class DetachKeys {
  readonly #keys: Buffer;
  #matched = 0;
  isComplete = false;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  take(typed: Buffer): Buffer {
    if (this.#keys.length === 0 || this.isComplete) return typed;
    const passed: number[] = [];
    for (const byte of typed) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched < this.#keys.length) continue;
        this.isComplete = true;
        break;
      }
      passed.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) passed.push(byte);
    }
    return Buffer.from(passed);
  }
}

/** An open session; `end` settles once and never rejects. */
export interface Session {
  readonly end: Promise<SessionEnd>;
}

/** Connects to a URL of Exec or Attach. With a terminal, this one is raw until the end. Throws CommandError. */
export async function openSession(url: string, options: SessionOptions): Promise<Session> {
  const { promise: end, resolve } = Promise.withResolvers<SessionEnd>();
  const words: Buffer[] = [];
  const socket = await openChannels(url, 'v5.channel.k8s.io', {
    onData(number, payload) {
      if (number === channel.error) words.push(payload);
      else if (number === channel.stdout || number === channel.stderr)
        pass(number === channel.stdout ? options.stdout : options.stderr, payload, socket);
    },
    onClose: () => resolve(readOutcome(Buffer.concat(words))),
  });
  const stops: (() => void)[] = [];
  const leave = (): void => {
    resolve({ kind: 'detached' });
    socket.close();
  };
  options.signal.addEventListener('abort', leave, { once: true });
  stops.push(() => options.signal.removeEventListener('abort', leave));
  if (options.hasTty) stops.push(followSize(socket));
  if (options.stdin) stops.push(feed(options.stdin, socket, options, leave));
  end.then(() => {
    for (const stop of stops) stop();
  });
  return { end };
}

/** Writes, and holds the other side back while the reader of our output cannot keep up. */
function pass(target: Writable, payload: Buffer, socket: ChannelSocket): void {
  if (target.write(payload)) return;
  socket.hold(true);
  target.once('drain', () => socket.hold(false));
}

/** Tells the size now and at each change. */
function followSize(socket: ChannelSocket): () => void {
  const terminal = [process.stdout, process.stderr].find(({ isTTY }) => isTTY);
  if (!terminal) return () => {};
  const tell = (): void => {
    const size = { Width: terminal.columns, Height: terminal.rows };
    if (size.Width > 0) socket.send(channel.resize, Buffer.from(JSON.stringify(size)));
  };
  tell();
  process.on('SIGWINCH', tell);
  return () => {
    process.off('SIGWINCH', tell);
  };
}

function feed(
  stdin: NodeJS.ReadStream,
  socket: ChannelSocket,
  { hasTty, detachKeys }: SessionOptions,
  leave: () => void,
): () => void {
  const keys = hasTty ? new DetachKeys(detachKeys) : undefined;
  const isRaw = hasTty && stdin.isTTY;
  if (isRaw) makeRaw(stdin);
  const onData = (typed: Buffer): void => {
    const passed = keys?.take(typed) ?? typed;
    if (passed.length > 0 && !socket.send(channel.stdin, passed)) {
      stdin.pause();
      socket.drained().then(() => stdin.resume());
    }
    if (keys?.isComplete === true) leave();
  };
  // The end of input is no end of file on a terminal, where a key tells the command of that: the terminal has closed.
  const onEnd = (): void => {
    if (hasTty) leave();
    else socket.endChannel(channel.stdin);
  };
  stdin.on('data', onData);
  stdin.on('end', onEnd);
  return () => {
    stdin.off('data', onData);
    stdin.off('end', onEnd);
    if (isRaw) stdin.setRawMode(false);
    stdin.pause();
    // A pipe that nobody closes would keep this process.
    stdin.unref?.();
  };
}

/**
 * Passes on what is typed and shown unchanged. Node leaves the terminal's own translation of line ends on, which would
 * double what the container's terminal has done already; setRawMode(false) restores that too.
 */
function makeRaw(stdin: NodeJS.ReadStream): void {
  stdin.setRawMode(true);
  // Without stty the picture of full-screen programs may be off, no more.
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
}

/** What the error channel said at the end (metav1.Status). */
export function readOutcome(bytes: Buffer): SessionEnd {
  if (bytes.length === 0) return { kind: 'lost' };
  let status: {
    status?: string;
    message?: string;
    reason?: string;
    details?: { causes?: { message?: string }[] };
  };
  try {
    status = JSON.parse(bytes.toString());
  } catch {
    return { kind: 'failed', message: bytes.toString() };
  }
  if (status.status === 'Success') return { kind: 'exited', exitCode: 0 };
  const code = Number(status.details?.causes?.[0]?.message);
  if (status.reason === 'NonZeroExitCode' && Number.isInteger(code))
    return { kind: 'exited', exitCode: code };
  return {
    kind: 'failed',
    message: (status.message ?? 'it failed').replace(/^Internal error occurred: /, ''),
  };
}

/** The streams of this process for a session. Throws UsageError for a terminal that is none. */
export function ownStreams(options: { readonly interactive: boolean; readonly tty: boolean }) {
  if (options.tty && options.interactive && !process.stdin.isTTY)
    throw new UsageError(
      'standard input is no terminal, and -t needs one',
      'Leave -t out to pipe something into the container.',
    );
  return {
    stdin: options.interactive ? process.stdin : undefined,
    stdout: process.stdout,
    stderr: process.stderr,
  };
}

/** The error for a session that ended otherwise than by its process. */
export function sessionError(
  end: Extract<SessionEnd, { kind: 'failed' | 'lost' }>,
  what: string,
): CommandError {
  return end.kind === 'lost'
    ? new CommandError(`${what}: the connection broke`, {
        hint: 'If the daemon ended, containers go on, and `berth attach` comes back when it is up again.',
      })
    : new CommandError(`${what}: ${end.message}`, { exitStatus: startStatus(end.message) });
}

/** 127 where a program is not there, 126 where it cannot be executed, as shells and docker have it; else 125. */
export function startStatus(message: string): number {
  if (/executable file .*not found|no such file or directory|not found in \$PATH/i.test(message)) return 127;
  // crun names no path: "open executable: Operation not permitted" is a folder, for one.
  if (/open executable|permission denied|exec format error|is a directory/i.test(message)) return 126;
  return 125;
}
