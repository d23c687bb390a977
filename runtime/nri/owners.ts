import { RuntimeError } from '#base/errors.ts';
import { Field, type FieldOwnersInit, type OwningPluginsInit } from '#proto/nri/generated/nri.ts';

/** A thing that one plugin at most may set: a field, or one key of a field that has many. */
export interface Claim {
  readonly field: Field;
  readonly key?: string;
}

interface ContainerOwners {
  readonly simple: Map<Field, string>;
  readonly keyed: Map<Field, Map<string, string>>;
}

const fieldNames = new Map<number, string>(Object.entries(Field).map(([name, number]) => [number, name]));

function describe({ field, key }: Claim): string {
  const name = fieldNames.get(field) ?? `field ${field}`;
  return key === undefined ? name : `${name} ${JSON.stringify(key)}`;
}

/**
 * Which plugin set what, over all containers that one request is about. An owner `-NAME` is the plugin that removed what
 * another had set: it alone may set it anew.
 */
export class Owners {
  readonly #containers = new Map<string, ContainerOwners>();

  #of(containerId: string): ContainerOwners {
    let owners = this.#containers.get(containerId);
    if (!owners) {
      owners = { simple: new Map(), keyed: new Map() };
      this.#containers.set(containerId, owners);
    }
    return owners;
  }

  #find(containerId: string, { field, key }: Claim): string | undefined {
    const owners = this.#containers.get(containerId);
    return key === undefined ? owners?.simple.get(field) : owners?.keyed.get(field)?.get(key);
  }

  #set(containerId: string, { field, key }: Claim, owner: string): void {
    const { simple, keyed } = this.#of(containerId);
    if (key === undefined) {
      simple.set(field, owner);
      return;
    }
    const keys = keyed.get(field) ?? new Map<string, string>();
    keyed.set(field, keys.set(key, owner));
  }

  /** Takes all of `claims` for `plugin`, or none: throws FailedPrecondition if another plugin has one of them. */
  claim(containerId: string, plugin: string, claims: readonly Claim[]): void {
    for (const claim of claims) {
      const owner = this.#find(containerId, claim)?.replace(/^-/, '');
      if (owner !== undefined && owner !== plugin)
        throw new RuntimeError(
          'FailedPrecondition',
          `NRI plugins ${owner} and ${plugin} both want to set ${describe(claim)} of container ${containerId}; configure one of them not to`,
        );
    }
    for (const claim of claims) this.#set(containerId, claim, plugin);
  }

  /** Gives `plugin` the right to set what another has set. */
  release(containerId: string, plugin: string, claim: Claim): void {
    if (this.#find(containerId, claim) !== undefined) this.#set(containerId, claim, `-${plugin}`);
  }

  /** Adds `plugin` to those that added to a field without conflict. */
  share(containerId: string, plugin: string, field: Field): void {
    const owner = this.#find(containerId, { field });
    this.#set(containerId, { field }, owner === undefined ? plugin : `${owner},${plugin}`);
  }

  toMessage(): OwningPluginsInit {
    const owners: Record<string, FieldOwnersInit> = {};
    for (const [id, { simple, keyed }] of this.#containers)
      owners[id] = {
        simple: Object.fromEntries(simple),
        compound: Object.fromEntries(
          [...keyed].map(([field, keys]) => [field, { owners: Object.fromEntries(keys) }]),
        ),
      };
    return { owners };
  }
}
