/** ConfigMaps and Secrets of a file, as its pods refer to them. */
import { nearestName } from '#daemon/config/nearest-name.ts';
import type { KeyRef } from './manifest.ts';
import type { Path, Source } from './source.ts';

/** ConfigMaps and Secrets of a file by `namespace/name`, their values by key. */
export class KeyStores {
  readonly configMaps = new Map<string, ReadonlyMap<string, Buffer>>();
  readonly secrets = new Map<string, ReadonlyMap<string, Buffer>>();

  /** undefined, and a problem told, where it is not there; undefined alone where it is optional. */
  find(
    kind: 'configMaps' | 'secrets',
    { name, optional }: { readonly name: string; readonly optional?: boolean },
    at: Place,
  ): ReadonlyMap<string, Buffer> | undefined {
    const found = this[kind].get(`${at.namespace}/${name}`);
    if (found === undefined && optional !== true) {
      const word = kind === 'configMaps' ? 'ConfigMap' : 'Secret';
      const known = [...this[kind].keys()].flatMap((key) =>
        key.startsWith(`${at.namespace}/`) ? [key.slice(at.namespace.length + 1)] : [],
      );
      const near = nearestName(name, known);
      at.source.problem(
        at.path,
        `there is no ${word} ${name} in the file${near === undefined ? ': without a cluster it has to be there' : `, did you mean ${near}?`}`,
      );
    }
    return found;
  }

  findKey(kind: 'configMaps' | 'secrets', ref: KeyRef, at: Place): Buffer | undefined {
    const store = this.find(kind, ref, at);
    const value = store?.get(ref.key);
    if (store !== undefined && value === undefined && ref.optional !== true)
      at.source.problem(
        at.path,
        `${ref.name} has no key ${ref.key}: it has ${[...store.keys()].join(', ') || 'none'}`,
      );
    return value;
  }
}

/** Where in a file something stands, for what is told of it. */
export interface Place {
  readonly source: Source;
  readonly path: Path;
  readonly namespace: string;
}

export interface PodPlace extends Place {
  readonly stores: KeyStores;
  /** The folder of the file: `localhostProfile` is looked for in seccomp/ there. */
  readonly folder: string;
}
