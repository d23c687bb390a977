/** Starts crictl, to its end or as long as it is needed. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** What crictl reads; its input is empty unless given. */
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Typed on a terminal, they leave a container that one is attached to: Ctrl-P Ctrl-Q. */
export const detachKeys = '\x10\x11';

/** A window of this size is what a program on a terminal sees. */
export const windowSize = { rows: 33, columns: 77 } as const;

export class Crictl {
  readonly #program: string;
  readonly #configFile: string;

  /** Writes its configuration file into `dir`, so that the machine's own is not read. */
  constructor(program: string, endpoint: string, dir: string) {
    this.#program = program;
    this.#configFile = join(dir, 'crictl.yaml');
    writeFileSync(
      this.#configFile,
      `runtime-endpoint: ${endpoint}\nimage-endpoint: ${endpoint}\ntimeout: 30\n`,
    );
  }

  /** Runs it to its end, whatever that is. Rejects when it takes longer than `timeoutMs` (60 s), after ending it. */
  async run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return await this.start(args).end(options);
  }

  /** Its standard output. Rejects unless it succeeds. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<string> {
    const ran = await this.run(args, options);
    if (ran.status !== 0) throw new Error(`exit status ${ran.status}: ${ran.stderr.trim()}`);
    return ran.stdout;
  }

  /** What a verb prints as JSON. */
  async json<T>(verb: string, ...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.ok([verb, '--output', 'json', ...args])) as T;
  }

  /** Its standard error. Rejects if it succeeds, or says something else than `wanted`. */
  async fails(args: readonly string[], wanted: RegExp): Promise<string> {
    const ran = await this.run(args);
    if (ran.status === 0) throw new Error(`it succeeded; wanted an error like ${wanted}`);
    if (!wanted.test(ran.stderr)) throw new Error(`wanted an error like ${wanted}: ${ran.stderr.trim()}`);
    return ran.stderr;
  }

  start(args: readonly string[]): Session {
    return new Session(spawn(this.#program, this.#arguments(args)));
  }

  /** The same on a terminal of `windowSize`. */
  startOnTerminal(args: readonly string[]): Session {
    const words = [this.#program, ...this.#arguments(args)].map(
      (word) => `'${word.replaceAll("'", "'\\''")}'`,
    );
    const command = `stty rows ${windowSize.rows} cols ${windowSize.columns}; exec ${words.join(' ')}`;
    // script(1) gives the command a terminal, passes its own streams through it, and ends with the command's status.
    return new Session(spawn('script', ['--quiet', '--return', '--command', command, '/dev/null']));
  }

  #arguments(args: readonly string[]): string[] {
    return ['--config', this.#configFile, ...args];
  }
}

/** One crictl that runs. Whoever starts it ends it. */
export class Session {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<number | null>;
  readonly #waiting = new Set<() => void>();
  stdout = '';
  stderr = '';

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    const note = (): void => {
      for (const look of this.#waiting) look();
    };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      note();
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      note();
    });
    // It may end without reading what it is sent.
    child.stdin.on('error', () => {});
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => {
        resolve(status);
        note();
      });
    });
  }

  write(text: string): void {
    this.#child.stdin.write(text);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves with the match once its standard output has it. Rejects when it ends before, or after `timeoutMs`. */
  async expect(wanted: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    const found = Promise.withResolvers<RegExpExecArray>();
    const look = (): void => {
      const match = wanted.exec(this.stdout);
      if (match !== null) found.resolve(match);
      else if (!this.isRunning) found.reject(new Error(`it ended without ${wanted}: ${this.#said()}`));
    };
    const timer = setTimeout(
      () => found.reject(new Error(`no ${wanted} in ${timeoutMs} ms: ${this.#said()}`)),
      timeoutMs,
    );
    this.#waiting.add(look);
    look();
    try {
      return await found.promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(look);
    }
  }

  /** Closes its input after `input`, and waits. Rejects when it does not end in time, after ending it. */
  async end({ input = '', timeoutMs = 60_000 }: RunOptions = {}): Promise<Ran> {
    this.#child.stdin.end(input);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    const status = await this.#ended;
    clearTimeout(timer);
    if (this.#child.signalCode === 'SIGKILL') throw new Error(`no end in ${timeoutMs} ms: ${this.#said()}`);
    return { status, stdout: this.stdout, stderr: this.stderr };
  }

  /** Interrupts it as a person would, and waits. A session without terminal ends only at the second time. Idempotent. */
  async interrupt(): Promise<void> {
    if (this.isRunning) this.#child.kill('SIGINT');
    const second = setTimeout(() => this.#child.kill('SIGINT'), 300);
    const last = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await this.#ended;
    for (const timer of [second, last]) clearTimeout(timer);
  }

  #said(): string {
    return `${this.stdout.slice(-500)}${this.stderr.slice(-500)}`.trim();
  }
}
