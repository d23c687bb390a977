/** A long-running program of the bed: started, killed and started again, its output kept in one file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** Nothing that this script started outlives it, even if it dies of an error. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class ServiceProcess {
  readonly logFile: string;
  readonly #file: string;
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(file: string, args: readonly string[], logFile: string, env: NodeJS.ProcessEnv = process.env) {
    this.#file = file;
    this.#args = args;
    this.#env = env;
    this.logFile = logFile;
  }

  start(): void {
    const log = openSync(this.logFile, 'a');
    // A group of its own: Ctrl+C at the terminal must not end it before the pods are gone.
    const child = spawn(this.#file, this.#args, {
      stdio: ['ignore', log, log],
      detached: true,
      env: this.#env,
    });
    closeSync(log);
    this.#child = child;
    running.add(child);
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        running.delete(child);
        resolve();
      };
      child.once('close', end);
      child.once('error', end);
    });
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Sends the signal and waits for the end; SIGKILL after 20 s. Does nothing if it does not run. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.isRunning()) return;
    this.#child?.kill(signal);
    const timer = setTimeout(() => this.#child?.kill('SIGKILL'), 20_000);
    await this.#ended;
    clearTimeout(timer);
  }
}

/** The last lines of a log file. */
export function tail(file: string, lines = 8): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
