/**
 * Named volumes, each a folder `NAME/` with the data and a file that describes it. A volume is made beside its place and
 * renamed into it, and renamed away before it is deleted: whatever is cut short leaves a folder that begins with a dot, which
 * the next start removes. Who uses a volume is read from the records of containers, so that no count can go wrong.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writing } from '#base/disk-full.ts';
import { errnoOf, RuntimeError } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import { nowNs } from '#host/clock.ts';
import type { ContainerRecord } from '../container/record.ts';
import { copyUp, removeVolumes } from '../container/volumes.ts';
import type { RecordStore } from '../record-store.ts';
import type { NamedVolume, VolumeOperations } from './contract.ts';

/** What stands in `volume.json`. */
interface Description {
  readonly createdAtNs: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The first container has got what its image has at the path. */
  readonly isFilled: boolean;
}

export interface NamedVolumesOptions {
  readonly folder: string;
  readonly containers: Pick<RecordStore<ContainerRecord>, 'list'>;
  readonly measureFolder: (path: string) => Promise<number>;
}

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

export class NamedVolumes implements VolumeOperations {
  readonly #options: NamedVolumesOptions;
  readonly #lock = new KeyedLock();

  constructor(options: NamedVolumesOptions) {
    this.#options = options;
  }

  list(): readonly NamedVolume[] {
    return foldersIn(this.#options.folder)
      .filter((name) => !name.startsWith('.'))
      .toSorted()
      .map((name) => this.get(name));
  }

  /** Throws NotFound. */
  get(name: string): NamedVolume {
    const { labels, createdAtNs } = this.#read(name);
    const path = this.#dataOf(name);
    return { name, path, labels, createdAtNs: BigInt(createdAtNs), containers: this.#usersOf(path) };
  }

  ensure(name: string, labels: Readonly<Record<string, string>>): NamedVolume {
    const chosen = name === '' ? randomBytes(32).toString('hex') : name;
    if (!namePattern.test(chosen))
      throw new RuntimeError(
        'InvalidArgument',
        `${JSON.stringify(chosen)} is no name for a volume: letters, digits, dots, dashes and underscores, a letter or digit first`,
      );
    const { folder } = this.#options;
    const making = join(folder, `.making-${randomBytes(8).toString('hex')}`);
    if (this.#exists(chosen)) return this.get(chosen);
    mkdirSync(join(making, 'data'), { recursive: true, mode: 0o755 });
    this.#write(making, { createdAtNs: nowNs().toString(), labels, isFilled: false });
    renameSync(making, join(folder, chosen));
    return this.get(chosen);
  }

  async remove(name: string): Promise<void> {
    const { folder } = this.#options;
    const removing = join(folder, `.removing-${randomBytes(8).toString('hex')}`);
    await this.#lock.run(name, async () => {
      const { containers } = this.get(name);
      if (containers.length > 0)
        throw new RuntimeError(
          'FailedPrecondition',
          `volume ${name} is used by ${containers.length === 1 ? 'container' : 'containers'} ${containers
            .map((id) => id.slice(0, 12))
            .join(', ')}; remove ${containers.length === 1 ? 'it' : 'them'} first`,
        );
      renameSync(join(folder, name), removing);
    });
    await removeVolumes(removing);
  }

  measure(name: string): Promise<number> {
    return this.#options.measureFolder(this.get(name).path);
  }

  /**
   * Readies a volume for a container that mounts it at `path`: the first one leaves in it what its image has there, as docker
   * does. Does nothing for a folder that is no volume. Throws NotFound for a volume that is gone, Internal when copying fails.
   */
  async prepare(hostPath: string, from: Parameters<typeof copyUp>[0], signal: AbortSignal): Promise<void> {
    const name = this.#nameOf(hostPath);
    if (name === undefined) return;
    await this.#lock.run(name, async () => {
      const described = this.#read(name);
      if (described.isFilled) return;
      const { folder } = this.#options;
      const data = this.#dataOf(name);
      // Whoever put something there knows what belongs there.
      if (readdirSync(data).length === 0) {
        const filling = join(folder, name, 'filling');
        await removeVolumes(filling);
        mkdirSync(filling, { mode: 0o755 });
        await copyUp(from, filling, signal);
        rmdirSync(data);
        renameSync(filling, data);
      }
      this.#write(join(folder, name), { ...described, isFilled: true });
    });
  }

  /**
   * Removes what an earlier daemon had half made or half removed. Call before anything else. What cannot be removed does not
   * keep the daemon from its pods.
   */
  async recover(): Promise<void> {
    const { folder } = this.#options;
    mkdirSync(folder, { recursive: true, mode: 0o711 });
    for (const name of foldersIn(folder)) {
      // An audit tells of one that stays, and the next start tries again.
      if (name.startsWith('.')) await removeVolumes(join(folder, name)).catch(() => {});
      // Between the two renames of a filling there is no data.
      else mkdirSync(this.#dataOf(name), { recursive: true, mode: 0o755 });
    }
  }

  #usersOf(path: string): string[] {
    return this.#options.containers
      .list()
      .filter(({ config }) =>
        config.mounts.some(({ hostPath }) => hostPath === path || hostPath.startsWith(`${path}/`)),
      )
      .map(({ id }) => id);
  }

  #nameOf(hostPath: string): string | undefined {
    const prefix = `${this.#options.folder}/`;
    return hostPath.startsWith(prefix) ? hostPath.slice(prefix.length).split('/')[0] : undefined;
  }

  #dataOf(name: string): string {
    return join(this.#options.folder, name, 'data');
  }

  #exists(name: string): boolean {
    return foldersIn(this.#options.folder).includes(name);
  }

  #read(name: string): Description {
    if (!namePattern.test(name) || !this.#exists(name))
      throw new RuntimeError('NotFound', `there is no volume ${JSON.stringify(name)}`);
    const path = join(this.#options.folder, name, 'volume.json');
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as Description;
    } catch (error) {
      throw new RuntimeError('DataLoss', `${path} cannot be read; the data beside it is as it was`, {
        cause: error,
      });
    }
  }

  /** In one piece: whoever reads it sees the old or the new one. */
  #write(volume: string, description: Description): void {
    const path = join(volume, 'volume.json');
    writing(path, () => writeFileSync(`${path}.new`, JSON.stringify(description), { mode: 0o600 }));
    renameSync(`${path}.new`, path);
  }
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []; // nothing was ever made there
    throw error;
  }
}
