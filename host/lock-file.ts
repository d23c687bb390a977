/**
 * Exclusive locks on files, held by the kernel for as long as their process lives: they need no clean-up after a crash
 * and cannot be stale (flock(2)).
 */
import { closeSync, constants, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { RuntimeError } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import { libc } from './libc.ts';
import { hasOpen } from './proc.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const flockRaw = libc.func('int flock(int fd, int operation)');
const EWOULDBLOCK = 11;

/**
 * The pid of the process that holds the lock on `path`; undefined if nobody does. Takes no lock to find out, or a daemon that
 * starts at that moment would be refused it: the holder is who is named in the file and has it open.
 */
export function findLockHolder(path: string): number | undefined {
  if (!existsSync(path)) return undefined;
  const pid = Number(readFileSync(path, 'latin1').trim());
  return pid > 0 && hasOpen(pid, path) ? pid : undefined;
}

/**
 * Takes the lock on `path`, making the file, and writes our pid into it for people to read. Returns what lets it go.
 * Throws FailedPrecondition naming the holder if somebody has it, Node's error if the file cannot be made.
 */
export function lockFile(path: string): () => void {
  // Append mode: opening must not empty a file that another process holds.
  const fd = openSync(path, 'a+', 0o600);
  if (flockRaw(fd, LOCK_EX | LOCK_NB) !== 0) {
    const errno = koffi.errno();
    const holder = readFileSync(path, 'latin1').trim();
    closeSync(fd);
    if (errno !== EWOULDBLOCK) throw new RuntimeError('Internal', `lock ${path}: errno ${errno}`);
    throw new RuntimeError(
      'FailedPrecondition',
      `lock ${path}: process ${holder} holds it, stop that daemon first`,
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  return () => closeSync(fd);
}

const patienceMs = 60_000;

/**
 * A lock that this process shares with others who hold it for moments. Whoever has to wait does so in a thread of the pool,
 * one for each lock at most, however many want it.
 */
export class SharedLock {
  readonly #path: string;
  readonly #mode: number;
  readonly #patienceMs: number;
  readonly #turns = new KeyedLock();
  /** Resolves when a wait that was given up has had the lock after all, and let it go. */
  #abandoned: Promise<void> | undefined;

  /** `mode` is that of the file if it has to be made; its folder must be there when the lock is taken. */
  constructor(path: string, mode: number, waitAtMostMs = patienceMs) {
    this.#path = path;
    this.#mode = mode;
    this.#patienceMs = waitAtMostMs;
  }

  /**
   * Does `work`, which must be synchronous, while nobody else holds the lock. Throws Unavailable when another process does
   * not let go of it within a minute, Node's error if the file cannot be opened, and what `work` throws.
   */
  hold<T>(work: () => T): Promise<T> {
    return this.#turns.run('', async () => {
      const fd = await this.#take();
      try {
        return work();
      } finally {
        closeSync(fd);
      }
    });
  }

  async #take(): Promise<number> {
    if (this.#abandoned) await this.#inTime(this.#abandoned);
    const fd = openSync(this.#path, constants.O_RDONLY | constants.O_CREAT, this.#mode);
    if (flockRaw(fd, LOCK_EX | LOCK_NB) === 0) return fd;
    const taken = new Promise<void>((resolve, reject) => {
      flockRaw.async(fd, LOCK_EX, (error: unknown, status: number) => {
        const errno = koffi.errno();
        if (!error && status === 0) resolve();
        else reject(error ?? new RuntimeError('Internal', `lock ${this.#path}: errno ${errno}`));
      });
    });
    try {
      await this.#inTime(taken);
      return fd;
    } catch (error) {
      this.#abandoned = taken
        .catch(() => {}) // whoever waited has been told already
        .then(() => {
          closeSync(fd);
          this.#abandoned = undefined;
        });
      throw error;
    }
  }

  async #inTime(wait: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const text = `lock ${this.#path}: another process has held it for ${this.#patienceMs} ms`;
        reject(new RuntimeError('Unavailable', text));
      }, this.#patienceMs);
    });
    try {
      await Promise.race([wait, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
