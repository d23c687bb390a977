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

  /**
   * The handler that a container was made with. Where its name is not known (a damaged record) or configured no more, the one
   * whose folder holds the container, else the default: clean-up must be possible whatever the configuration has become.
   */
  owner(id: string, name: string): CliRuntime {
    const named = this.#handlers.get(name);
    if (named) return named;
    return [...this.#handlers.values()].find((handler) => handler.holds(id)) ?? this.get('');
  }

  names(): string[] {
    return [...this.#handlers.keys()].sort();
  }

  list(): CliRuntime[] {
    return this.names().map((name) => this.get(name));
  }
}
