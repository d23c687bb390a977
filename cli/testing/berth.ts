/** The command as a user runs it: a process, with pipes or on a terminal. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../bin/berth', import.meta.url));

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `berth` against the daemons of one socket. */
export class Berth {
  readonly #environment: Record<string, string | undefined>;

  constructor(socket: string) {
    this.#environment = {
      ...process.env,
      BERTH_ADDRESS: socket,
      NODE_COMPILE_CACHE: join(tmpdir(), 'berth-behaviour-compile-cache'),
      // The daemon's own faults and options are none of the command's.
      NODE_OPTIONS: '',
    };
  }

  /** Begins it, with pipes. */
  spawn(args: readonly string[]): ChildProcess {
    return spawn(program, args, { env: this.#environment, stdio: 'pipe' });
  }

  /** Runs it to its end, with `input` as its standard input. */
  async run(args: readonly string[], input: string | Buffer = ''): Promise<Ended> {
    const child = this.spawn(args);
    const [stdout, stderr] = [child.stdout!, child.stderr!].map((stream) => {
      let text = '';
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      return () => text;
    });
    child.stdin!.on('error', () => {}); // it may end without reading
    child.stdin!.end(input);
    const [status] = await once(child, 'close');
    return { status, stdout: stdout!(), stderr: stderr!() };
  }

  /** Runs it and gives its standard output; throws unless it succeeds. */
  async ok(...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(args);
    if (status !== 0) throw new Error(`berth ${args.join(' ')}: exit status ${status}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Runs it on a terminal of its own. */
  onTerminal(args: readonly string[]): OnTerminal {
    const words = [program, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    return new OnTerminal(
      // script(1) makes the terminal, and passes on what is typed and the exit status.
      spawn('script', ['--quiet', '--flush', '--return', '--command', `exec ${words}`, '/dev/null'], {
        env: this.#environment,
        stdio: 'pipe',
      }),
    );
  }
}

export class OnTerminal {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  /** All that was shown so far. */
  shown = '';

  constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
      this.shown += chunk;
    });
    this.#ended = once(child, 'close').then(([status]) => status as number | null);
  }

  type(text: string): void {
    this.#child.stdin!.write(text);
  }

  /** Gives the terminal another size; the kernel tells the programs on it. */
  resize(rows: number, columns: number): void {
    const [inner] = readFileSync(`/proc/${this.#child.pid}/task/${this.#child.pid}/children`, 'latin1').split(
      ' ',
    );
    const terminal = readdirSync(`/proc/${inner}/fd`)
      .map((fd) => readlinkSync(`/proc/${inner}/fd/${fd}`))
      .find((target) => target.startsWith('/dev/pts/'));
    execFileSync('stty', ['-F', terminal!, 'rows', String(rows), 'cols', String(columns)]);
  }

  /** Waits until `words` are shown behind what was shown before this call's mark. */
  async until(words: string, from = 0, timeoutMs = 20_000): Promise<void> {
    const deadline = AbortSignal.timeout(timeoutMs);
    while (!this.shown.slice(from).includes(words)) {
      const more = once(this.#child.stdout!, 'data', { signal: deadline });
      try {
        await Promise.race([more, this.#ended.then(() => Promise.reject(new Error('it ended')))]);
      } catch (error) {
        if (this.shown.slice(from).includes(words)) return;
        throw new Error(`${JSON.stringify(words)} was not shown (${String(error)}), but:\n${this.shown}`);
      }
    }
  }

  /** Closes the terminal, as its window does. */
  close(): void {
    this.#child.kill('SIGKILL');
  }

  /** The exit status. */
  ended(): Promise<number | null> {
    return this.#ended;
  }
}
