import { RuntimeError } from '#base/errors.ts';
import type { CliRuntime } from './oci/cli-runtime.ts';

/** The runtime handlers by name (CRI runtime_handler; a RuntimeClass names one). '' is the default handler. */
export class HandlerTable {
  readonly #handlers: ReadonlyMap<string, CliRuntime>;
  readonly defaultName: string;

  constructor(handlers: ReadonlyMap<string, CliRuntime>, defaultName: string) {
    this.#handlers = handlers;
    this.defaultName = defaultName;
  }

  /** Throws NotFound naming the handlers there are. */
  get(name: string): CliRuntime {
    const handler = this.#handlers.get(name === '' ? this.defaultName : name);
    if (!handler)
      throw new RuntimeError(
        'NotFound',
        `runtime handler "${name}" is not configured; there are: ${this.names().join(', ')}`,
      );
    return handler;
  }

  names(): string[] {
    return [...this.#handlers.keys()].sort();
  }

  list(): CliRuntime[] {
    return this.names().map((name) => this.get(name));
  }
}
