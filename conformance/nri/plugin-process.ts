import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** What the plugin does; see `plugin/main.go`. Messages are in protobuf's JSON form. */
export interface Behaviour {
  readonly log?: string;
  readonly events?: string;
  readonly fail?: Readonly<Record<string, string>>;
  readonly delay?: Readonly<Record<string, number>>;
  readonly adjust?: Readonly<Record<string, object>>;
  readonly update?: Readonly<Record<string, readonly object[]>>;
  readonly callDuring?: Readonly<Record<string, readonly object[]>>;
  readonly reject?: string;
  readonly failRequest?: boolean;
  readonly keepConnected?: boolean;
}

/** One line that the plugin printed. */
export interface PluginEvent {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the messages of the event hold
  readonly pod?: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly container?: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly more?: any;
}

/** A plugin that connects to the socket, as a process of its own. */
export class PluginProcess {
  readonly events: PluginEvent[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  #stderr = '';
  #changed = Promise.withResolvers<void>();

  constructor(
    program: string,
    options: { socket: string; name: string; index: string; behaviour?: Behaviour; isOld?: boolean },
  ) {
    this.#child = spawn(program, [
      ...['-socket', options.socket, '-name', options.name, '-index', options.index],
      ...['-behaviour', JSON.stringify(options.behaviour ?? {})],
      ...(options.isOld ? ['-old'] : []),
    ]);
    this.#child.stderr.on('data', (chunk) => {
      this.#stderr += chunk;
    });
    createInterface(this.#child.stdout).on('line', (line) => {
      this.events.push(JSON.parse(line) as PluginEvent);
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
    this.#child.once('exit', () => this.#changed.resolve());
  }

  /** Names of the events so far. */
  get names(): string[] {
    return this.events.map(({ event }) => event);
  }

  /** The first event of that name, now or to come. Throws if the plugin ends before, or after ten seconds. */
  async next(name: string, after = 0): Promise<PluginEvent> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      const found = this.events.slice(after).find(({ event }) => event === name);
      if (found) return found;
      if (this.#child.exitCode !== null) throw new Error(`the plugin ended without ${name}: ${this.#stderr}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, Math.max(1, deadline - performance.now()));
      await Promise.race([promise, this.#changed.promise]);
      clearTimeout(timer);
      if (performance.now() > deadline)
        throw new Error(`no ${name} among ${this.names.join(', ')}: ${this.#stderr}`);
    }
  }

  /** Has it call UpdateContainers with one update. */
  order(update: object): void {
    this.#child.stdin.write(`update ${JSON.stringify(update)}\n`);
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  async ended(): Promise<{ code: number | null; stderr: string }> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
    return { code: this.#child.exitCode, stderr: this.#stderr };
  }
}
