import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import { seccompKey, withCompiledSeccomp } from '../spec/seccomp-compiled.ts';

const mostFilters = 32;

/**
 * Compiled seccomp filters, taken from the first container of each profile and given to the ones that follow; see
 * `spec/seccomp-compiled.ts` for what that saves. In memory only: another daemon, or another crun, compiles anew.
 */
export class SeccompFilters {
  readonly #filters = new Map<string, Buffer>();

  /** The spec to hand to the OCI runtime: with a compiled filter where one is known. */
  apply(spec: OciSpec, runtime: CliRuntime): OciSpec {
    const key = this.#key(spec, runtime);
    const filter = key === undefined ? undefined : this.#filters.get(key);
    return filter === undefined ? spec : withCompiledSeccomp(spec, filter);
  }

  /** Keeps the filter that the runtime compiled for `spec` when it created container `id`. */
  learn(spec: OciSpec, runtime: CliRuntime, id: string): void {
    const key = this.#key(spec, runtime);
    if (key === undefined || this.#filters.has(key)) return;
    try {
      const filter = readFileSync(join(runtime.root, id, 'seccomp.bpf'));
      if (filter.length === 0 || filter.length % 8 !== 0) return;
      if (this.#filters.size >= mostFilters) this.#filters.clear();
      this.#filters.set(key, filter);
    } catch (error) {
      // A crun that leaves no such file, or a container that is gone already: the next one compiles again.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  #key(spec: OciSpec, runtime: CliRuntime): string | undefined {
    const { seccomp } = spec.linux;
    // A profile with a listener or flags is not only its filter.
    if (runtime.type !== 'crun' || seccomp === undefined || seccomp.listenerPath || seccomp.flags?.length)
      return undefined;
    return `${runtime.path} ${runtime.features.version} ${seccompKey(seccomp)}`;
  }
}
