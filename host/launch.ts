/**
 * All processes of the daemon start here, by posix_spawn: fork copies the page tables of a large process and blocks the
 * event loop for milliseconds, posix_spawn no longer than until the child has executed, and in a thread of the pool not at
 * all. libuv reaps only children of its own, so these are reaped here, on SIGCHLD. Descriptors not named in the options never
 * reach the child: everything the daemon opens is close-on-exec.
 */
import { closeSync, constants as fsConstants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import koffi from 'koffi';
import { abortError, RuntimeError } from '#base/errors.ts';
import { close, duplicate, libc, pipe, SystemCallError } from './libc.ts';

const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
const WNOHANG = 1;
const PR_SET_CHILD_SUBREAPER = 36;

const spawnRaw = libc.func(
  'int posix_spawn(_Out_ int *pid, const char *path, const void *actions, const void *attributes, const char **argv, const char **envp)',
);
const actionsInit = libc.func('int posix_spawn_file_actions_init(void *actions)');
const actionsDestroy = libc.func('int posix_spawn_file_actions_destroy(void *actions)');
const actionsDup2 = libc.func('int posix_spawn_file_actions_adddup2(void *actions, int fd, int target)');
const actionsChdir = libc.func('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)');
const attributesInit = libc.func('int posix_spawnattr_init(void *attributes)');
const attributesFlags = libc.func('int posix_spawnattr_setflags(void *attributes, short flags)');
const attributesDefaults = libc.func('int posix_spawnattr_setsigdefault(void *attributes, const void *set)');
const attributesMask = libc.func('int posix_spawnattr_setsigmask(void *attributes, const void *set)');
const waitpidRaw = libc.func('int waitpid(int pid, _Out_ int *status, int options)');
const killRaw = libc.func('int kill(int pid, int signal)');
const prctlRaw = libc.func('int prctl(int option, ulong argument)');

// glibc: sizeof(posix_spawn_file_actions_t) = 80, sizeof(posix_spawnattr_t) = 336, sizeof(sigset_t) = 128; musl's are smaller.
const fileActionsBytes = 128;
const noSignals = Buffer.alloc(128);
const allSignals = Buffer.alloc(128, 0xff);

/** One set of attributes per session flag, made once: signals at their defaults (Node ignores SIGPIPE), none blocked. */
function makeAttributes(newSession: boolean): Buffer {
  const attributes = Buffer.alloc(512);
  attributesInit(attributes);
  const flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (newSession ? POSIX_SPAWN_SETSID : 0);
  attributesFlags(attributes, flags);
  attributesDefaults(attributes, allSignals);
  attributesMask(attributes, noSignals);
  return attributes;
}
const sameSession = makeAttributes(false);
const ownSession = makeAttributes(true);

export type ExitStatus =
  | { readonly type: 'exited'; readonly code: number }
  | { readonly type: 'signaled'; readonly signal: number };

export interface LaunchOptions {
  /** Absolute path of the program. */
  readonly path: string;
  /** The file to execute, where it is not the one at `path` (see `SealedProgram`). */
  readonly executable?: string;
  /** Arguments after argv[0], which is `path`. */
  readonly args: readonly string[];
  /** The whole environment of the child; by default only PATH. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A number is a descriptor that the caller keeps and closes. Default 'null'. */
  readonly stdin?: 'null' | 'pipe' | number;
  readonly stdout?: 'null' | 'pipe' | number;
  readonly stderr?: 'null' | 'pipe' | number;
  /** Further descriptors of the caller, by their number in the child (3 and up). */
  readonly descriptors?: Readonly<Record<number, number>>;
  /** Whether the child leads a session of its own. Default false. */
  readonly newSession?: boolean;
}

export interface Launched {
  readonly pid: number;
  readonly stdin: Socket | undefined;
  readonly stdout: Socket | undefined;
  readonly stderr: Socket | undefined;
  /** Settles once, with how the child ended; never rejects. */
  readonly exited: Promise<ExitStatus>;
  /** Sends a signal unless the child was reaped already. */
  kill(signal: number): void;
}

export const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

let launchedCount = 0;

/** Number of processes started since the daemon's start. */
export function processStarts(): number {
  return launchedCount;
}

const waiters = new Map<number, (status: ExitStatus) => void>();
// A signal listener alone does not keep a Node process alive; this timer does while a child is awaited. It never fires.
const aliveWhileAwaiting = setInterval(() => {}, 0x7fffffff).unref();
/** Children that ended before anyone said it awaits them, newest last; only a subreaper has such. */
const unclaimed = new Map<number, { status: number; atMs: number }>();
const unclaimedForMs = 30_000;
let isSubreaper = false;
let isListening = false;

/** How a process ended, from the status word of wait(2). */
export function decodeStatus(status: number): ExitStatus {
  const signal = status & 0x7f;
  return signal === 0 ? { type: 'exited', code: (status >> 8) & 0xff } : { type: 'signaled', signal };
}

function keepUnclaimed(pid: number, status: number): void {
  const now = performance.now();
  unclaimed.delete(pid);
  unclaimed.set(pid, { status, atMs: now });
  for (const [old, entry] of unclaimed) {
    if (unclaimed.size <= 256 && now - entry.atMs < unclaimedForMs) break;
    unclaimed.delete(old);
  }
}

function settle(pid: number, status: number): void {
  const waiter = waiters.get(pid);
  if (!waiter) {
    keepUnclaimed(pid, status);
    return;
  }
  waiters.delete(pid);
  if (waiters.size === 0) aliveWhileAwaiting.unref();
  waiter(decodeStatus(status));
}

function reap(): void {
  const status = [0];
  if (isSubreaper) {
    for (;;) {
      const pid = waitpidRaw(-1, status, WNOHANG);
      if (pid <= 0) return;
      settle(pid, status[0]!);
    }
  }
  for (const pid of [...waiters.keys()]) {
    if (waitpidRaw(pid, status, WNOHANG) === pid) settle(pid, status[0]!);
  }
}

function awaitChild(pid: number): Promise<ExitStatus> {
  aliveWhileAwaiting.ref();
  return new Promise((resolve) => waiters.set(pid, resolve));
}

function listen(): void {
  if (isListening) return;
  isListening = true;
  process.on('SIGCHLD', reap);
}

/**
 * Makes orphans below this process its children, so that their end is seen and reaped here. For the daemon only: it then
 * reaps every child, also those that `node:child_process` would wait for.
 */
export function becomeSubreaper(): void {
  if (prctlRaw(PR_SET_CHILD_SUBREAPER, 1) !== 0)
    throw new SystemCallError('prctl', koffi.errno(), 'PR_SET_CHILD_SUBREAPER');
  isSubreaper = true;
  listen();
}

/**
 * The end of a process that this one did not start but inherited, or will inherit, as a subreaper. One that ended up to
 * half a minute ago is answered at once.
 */
export function awaitAdopted(pid: number): Promise<ExitStatus> {
  listen();
  const ended = unclaimed.get(pid);
  if (ended && performance.now() - ended.atMs < unclaimedForMs) {
    unclaimed.delete(pid);
    return Promise.resolve(decodeStatus(ended.status));
  }
  return awaitChild(pid);
}

/** Whether a process that was inherited has ended within the last half minute, and nobody has asked how; `awaitAdopted` tells. */
export function hasUnclaimedEnd(pid: number): boolean {
  const ended = unclaimed.get(pid);
  return ended !== undefined && performance.now() - ended.atMs < unclaimedForMs;
}

/** Sends a signal; false if there is no such process. Throws SystemCallError otherwise. */
export function sendSignal(pid: number, signal: number): boolean {
  if (killRaw(pid, signal) === 0) return true;
  const errno = koffi.errno();
  if (errno === constants.errno.ESRCH) return false;
  throw new SystemCallError('kill', errno, `pid ${pid}`);
}

interface Stdio {
  childFd: number;
  ours: Socket | undefined;
  closeAfter: boolean;
}

let nullFd = -1;
function nullDescriptor(): number {
  if (nullFd < 0) nullFd = openSync('/dev/null', fsConstants.O_RDWR);
  return nullFd;
}

function prepareStdio(kind: 'null' | 'pipe' | number, isInput: boolean): Stdio {
  if (kind === 'null') return { childFd: nullDescriptor(), ours: undefined, closeAfter: false };
  if (typeof kind === 'number') return { childFd: kind, ours: undefined, closeAfter: false };
  const [readEnd, writeEnd] = pipe();
  const [childFd, ourFd] = isInput ? [readEnd, writeEnd] : [writeEnd, readEnd];
  const ours = new Socket({ fd: ourFd, readable: !isInput, writable: isInput });
  // A child that goes away while we write ends in its exit status; EPIPE adds nothing.
  ours.on('error', () => {});
  return { childFd, ours, closeAfter: true };
}

/** All that posix_spawn takes, and what is to be let go when it has returned. */
interface Preparation {
  readonly options: LaunchOptions;
  readonly stdio: readonly Stdio[];
  readonly actions: Buffer;
  readonly lifted: readonly number[];
  readonly startedMs: number;
}

function prepare(options: LaunchOptions): Preparation {
  listen();
  const stdio: Stdio[] = [];
  const actions = Buffer.alloc(fileActionsBytes);
  actionsInit(actions);
  const lifted: number[] = [];
  const preparation = { options, stdio, actions, lifted, startedMs: performance.now() };
  try {
    for (const [index, kind] of [options.stdin, options.stdout, options.stderr].entries())
      stdio.push(prepareStdio(kind ?? 'null', index === 0));
    const wanted = new Map<number, number>(stdio.map((entry, index) => [index, entry.childFd]));
    for (const [target, fd] of Object.entries(options.descriptors ?? {})) wanted.set(Number(target), fd);
    for (const [target, fd] of wanted) {
      // A source below the highest target could be overwritten by an earlier dup2: lift it out of the way.
      let source = fd;
      if (fd < 32 && fd !== target) {
        source = duplicate(fd, 64);
        lifted.push(source);
      }
      actionsDup2(actions, source, target);
    }
    if (options.cwd !== undefined) actionsChdir(actions, options.cwd);
    return preparation;
  } catch (error) {
    abandon(preparation);
    throw error;
  }
}

function spawnArguments({ options, actions }: Preparation, pidOut: number[]) {
  const env = Object.entries(options.env ?? { PATH: defaultPath }).map(([name, value]) => `${name}=${value}`);
  return [
    pidOut,
    options.executable ?? options.path,
    actions,
    options.newSession ? ownSession : sameSession,
    [options.path, ...options.args, null],
    [...env, null],
  ] as const;
}

/** Lets go of what only the child needed. */
function release({ stdio, actions, lifted }: Preparation): void {
  actionsDestroy(actions);
  for (const fd of lifted) close(fd);
  for (const entry of stdio) if (entry.closeAfter) closeSync(entry.childFd);
}

function abandon(preparation: Preparation): void {
  for (const entry of preparation.stdio) entry.ours?.destroy();
  release(preparation);
}

/** `error` is what posix_spawn returned. */
function complete(preparation: Preparation, error: number, pid: number): Launched {
  const { options, stdio, startedMs } = preparation;
  if (error !== 0) {
    abandon(preparation);
    const cause = new SystemCallError('posix_spawn', error, options.path);
    throw new RuntimeError('Internal', `starting ${options.path}: ${cause.code}`, { cause });
  }
  release(preparation);
  launchedCount += 1;
  unfinished += 1;
  let isOver = false;
  const exited = awaitLaunched(pid, startedMs).then((status) => {
    isOver = true;
    unfinished -= 1;
    return status;
  });
  return {
    pid,
    stdin: stdio[0]!.ours,
    stdout: stdio[1]!.ours,
    stderr: stdio[2]!.ours,
    exited,
    kill: (signal) => {
      if (!isOver) sendSignal(pid, signal);
    },
  };
}

/** A child may have ended, and been reaped, before it was known that it is one; an older process of its pid was not it. */
function awaitLaunched(pid: number, startedMs: number): Promise<ExitStatus> {
  const ended = unclaimed.get(pid);
  unclaimed.delete(pid);
  if (ended && ended.atMs >= startedMs) return Promise.resolve(decodeStatus(ended.status));
  const exited = awaitChild(pid);
  // Who is no subreaper reaps whom it knows: this one may have ended when it was not known.
  if (!isSubreaper) reap();
  return exited;
}

/**
 * Starts a program. Throws RuntimeError Internal if it cannot be started (missing, not executable, no memory).
 * The caller awaits `exited`; streams of kind 'pipe' are the caller's to read or destroy.
 */
export function launch(options: LaunchOptions): Launched {
  const preparation = prepare(options);
  const pidOut = [0];
  const error = spawnRaw(...spawnArguments(preparation, pidOut));
  return complete(preparation, error, pidOut[0]!);
}

/** Programs that were started and have not ended. */
let unfinished = 0;
/** With so many of them the processors are busy, and the next one may wait for its turn. */
const manyUnfinished = 3;

/**
 * As `launch`, without holding up the event loop where many programs are at work. posix_spawn returns when the child has
 * executed its program, and on a busy machine the child has to wait for a processor first: then a thread of the pool waits for
 * it. Where little is going on that takes longer than the call itself. Descriptors that the options name stay open meanwhile.
 */
export async function launchAside(options: LaunchOptions): Promise<Launched> {
  if (unfinished < manyUnfinished) return launch(options);
  const preparation = prepare(options);
  const pidOut = [0];
  const error = await new Promise<number>((resolve, reject) => {
    const done = (failure: unknown, result: number) => (failure ? reject(failure) : resolve(result));
    spawnRaw.async(...spawnArguments(preparation, pidOut), done);
  }).catch((failure: unknown) => {
    abandon(preparation);
    throw failure;
  });
  return complete(preparation, error, pidOut[0]!);
}

export interface RunOptions extends Omit<LaunchOptions, 'stdin' | 'stdout' | 'stderr'> {
  /** Written to standard input, which is then closed. */
  readonly input?: string | Buffer;
  /** Killed with SIGKILL after this; the error is DeadlineExceeded. */
  readonly timeoutMs?: number;
  /** Killed with SIGKILL when aborted; the error is Canceled. */
  readonly signal?: AbortSignal;
  /** Bytes kept of each stream; more is read and dropped. Default 1 MiB. */
  readonly outputLimitBytes?: number;
  /** How long to wait for the streams to end after the program did (a child of it may hold them). Default 1000. */
  readonly drainMs?: number;
  /** With `newSession`: what stops the program stops its process group too. Default false. */
  readonly killGroup?: boolean;
}

export interface RunResult {
  readonly status: ExitStatus;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** Collects a stream up to a limit; `done` settles at its end or at its destruction. */
export function collect(stream: Socket, limitBytes: number): { bytes: () => Buffer; done: Promise<void> } {
  const chunks: Buffer[] = [];
  let kept = 0;
  stream.on('data', (chunk: Buffer) => {
    if (kept >= limitBytes) return;
    const part = chunk.length > limitBytes - kept ? chunk.subarray(0, limitBytes - kept) : chunk;
    chunks.push(part);
    kept += part.length;
  });
  const done = new Promise<void>((resolve) => {
    stream.once('close', () => resolve());
    stream.once('end', () => stream.destroy());
  });
  return { bytes: () => Buffer.concat(chunks), done };
}

/**
 * Runs a program to its end and returns its output; a non-zero exit is a result, not an error.
 * Throws DeadlineExceeded or Canceled (after killing it), Internal if it cannot be started.
 */
export async function run(options: RunOptions): Promise<RunResult> {
  const name = options.path.slice(options.path.lastIndexOf('/') + 1);
  if (options.signal?.aborted) throw abortError(options.signal, `running ${name}`);
  const child = await launchAside({
    ...options,
    stdin: options.input === undefined ? 'null' : 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  if (options.input !== undefined) child.stdin?.end(options.input);
  const limit = options.outputLimitBytes ?? 1 << 20;
  const stdout = collect(child.stdout!, limit);
  const stderr = collect(child.stderr!, limit);
  let failure: RuntimeError | undefined;
  const stop = (error: RuntimeError) => {
    failure ??= error;
    child.kill(constants.signals.SIGKILL);
    if (options.newSession && options.killGroup) sendSignal(-child.pid, constants.signals.SIGKILL);
  };
  const timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(
          () =>
            stop(
              new RuntimeError('DeadlineExceeded', `running ${name}: no end within ${options.timeoutMs} ms`),
            ),
          options.timeoutMs,
        );
  const onAbort = () => stop(abortError(options.signal!, `running ${name}`));
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted) onAbort();
  const status = await child.exited;
  clearTimeout(timer);
  options.signal?.removeEventListener('abort', onAbort);
  const drain = setTimeout(() => {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, options.drainMs ?? 1000);
  await Promise.all([stdout.done, stderr.done]);
  clearTimeout(drain);
  if (failure) throw failure;
  return { status, stdout: stdout.bytes(), stderr: stderr.bytes() };
}

/** How a process ended, for messages: `exit status 3`, `signal 9`. */
export function describeStatus(status: ExitStatus): string {
  return status.type === 'exited' ? `exit status ${status.code}` : `signal ${status.signal}`;
}

/** Whether the program ended by itself with status 0. */
export function succeeded(status: ExitStatus): boolean {
  return status.type === 'exited' && status.code === 0;
}
