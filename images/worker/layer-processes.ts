/** Starts layer processes when there is work for them, spreads tasks over them, and ends them when it is done. */
import { fileURLToPath } from 'node:url';
import { RuntimeError, throwIfAborted } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { defaultPath, type Launched, launch } from '#host/launch.ts';
import { fromPlain, LineReader, type Reply, type Request, type Task, type TaskResults } from './protocol.ts';

export interface LayerProcessesOptions {
  readonly log: Log;
  /** The program and its arguments, to which our pid is added; by default this Node on worker/main.ts. */
  readonly command?: { readonly path: string; readonly args: readonly string[] };
  /** One keeps two cores busy: it decompresses on its thread pool while it writes files. */
  readonly mostProcesses: number;
  /** How long an idle process waits for more work, ms. */
  readonly lingerMs: number;
  /** Where Node may keep compiled code between starts (its NODE_COMPILE_CACHE): halves the start. A directory of root's. */
  readonly compileCacheDir?: string;
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: RuntimeError) => void;
  readonly onBytes: ((received: number) => void) | undefined;
}

const stderrLimitBytes = 8 << 10;

class LayerProcess {
  readonly pending = new Map<number, Pending>();
  readonly exited: Promise<void>;
  readonly #child: Launched;
  #stderr = '';
  #isOver = false;

  constructor(command: { path: string; args: readonly string[] }, cacheDir: string | undefined) {
    const env = { PATH: defaultPath, ...(cacheDir !== undefined && { NODE_COMPILE_CACHE: cacheDir }) };
    const args = [...command.args, String(process.pid)];
    this.#child = launch({ path: command.path, args, env, stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
    const { stdout, stderr } = this.#child;
    const reader = new LineReader<Reply>((reply) => this.#take(reply));
    stdout!.setEncoding('utf8');
    stdout!.on('data', (text: string) => reader.write(text));
    stderr!.setEncoding('utf8');
    stderr!.on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrLimitBytes);
    });
    const drained = new Promise<void>((resolve) => stdout!.once('close', () => resolve()));
    stdout!.once('end', () => stdout!.destroy());
    stderr!.once('end', () => stderr!.destroy());
    this.exited = Promise.all([this.#child.exited, drained]).then(([status]) => {
      this.#isOver = true;
      const how = status.type === 'exited' ? `with code ${status.code}` : `by signal ${status.signal}`;
      const error = new RuntimeError('Unknown', `the process that unpacks layers ended ${how}`, {
        details: { stderr: this.#stderr },
      });
      for (const { reject } of this.pending.values()) reject(error);
      this.pending.clear();
    });
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  send(request: Request): void {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
  }

  /** Lets it end: it does so when its input ends. */
  end(): void {
    this.#isOver = true;
    this.#child.stdin?.end();
  }

  kill(): void {
    this.#isOver = true;
    this.#child.kill(9);
  }

  #take(reply: Reply): void {
    const pending = this.pending.get(reply.id);
    if (!pending) return;
    if (reply.type === 'bytes') {
      pending.onBytes?.(reply.received);
      return;
    }
    this.pending.delete(reply.id);
    if (reply.type === 'done') pending.resolve(reply.result);
    else pending.reject(fromPlain(reply.error));
  }
}

export class LayerProcesses {
  readonly #options: LayerProcessesOptions;
  readonly #command: { readonly path: string; readonly args: readonly string[] };
  readonly #processes = new Set<LayerProcess>();
  readonly #idle = new Map<LayerProcess, NodeJS.Timeout>();
  #lastId = 0;

  constructor(options: LayerProcessesOptions) {
    this.#options = options;
    this.#command = options.command ?? {
      path: process.execPath,
      args: [fileURLToPath(new URL('./main.ts', import.meta.url))],
    };
  }

  /** How many run now. */
  get count(): number {
    return this.#processes.size;
  }

  /**
   * Performs a task and resolves with its result. An abort is passed on to the task; the promise settles only when the task
   * has let go of its files. Throws what the task throws; Unknown if the process died.
   */
  async run<K extends Task['type']>(
    task: Task & { type: K },
    signal?: AbortSignal,
    onBytes?: (received: number) => void,
  ): Promise<TaskResults[K]> {
    throwIfAborted(signal, `starting task ${task.type}`);
    const chosen = this.#choose();
    clearTimeout(this.#idle.get(chosen));
    this.#idle.delete(chosen);
    this.#lastId += 1;
    const id = this.#lastId;
    const cancel = () => chosen.send({ type: 'cancel', id });
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await new Promise<TaskResults[K]>((resolve, reject) => {
        chosen.pending.set(id, { resolve: resolve as (result: unknown) => void, reject, onBytes });
        chosen.send({ type: 'run', id, task });
      });
    } finally {
      signal?.removeEventListener('abort', cancel);
      this.#rest(chosen);
    }
  }

  /** Lets a process go after a while, unless it gets work. */
  #rest(idle: LayerProcess): void {
    if (idle.pending.size > 0 || idle.isOver) return;
    // Tasks that end in one breath come here one after the other.
    clearTimeout(this.#idle.get(idle));
    const timer = setTimeout(() => this.#letGo(idle), this.#options.lingerMs);
    timer.unref();
    this.#idle.set(idle, timer);
  }

  /** Starts a process now if none runs, for work that will come in a moment. */
  warm(): void {
    if ([...this.#processes].some(({ isOver }) => !isOver)) return;
    this.#rest(this.#start());
  }

  /** Kills all processes and waits for their end; what they were doing fails. */
  async close(): Promise<void> {
    const all = [...this.#processes];
    for (const one of all) one.kill();
    for (const timer of this.#idle.values()) clearTimeout(timer);
    this.#idle.clear();
    await Promise.all(all.map(({ exited }) => exited));
  }

  #letGo(idle: LayerProcess): void {
    this.#idle.delete(idle);
    idle.end();
  }

  #choose(): LayerProcess {
    const usable = [...this.#processes].filter(({ isOver }) => !isOver);
    usable.sort((a, b) => a.pending.size - b.pending.size);
    const [best] = usable;
    if (best && (best.pending.size === 0 || usable.length >= this.#options.mostProcesses)) return best;
    return this.#start();
  }

  #start(): LayerProcess {
    const started = new LayerProcess(this.#command, this.#options.compileCacheDir);
    this.#processes.add(started);
    void started.exited.then(() => {
      this.#processes.delete(started);
      clearTimeout(this.#idle.get(started));
      this.#idle.delete(started);
      this.#options.log.debug('layer process ended');
    });
    return started;
  }
}
