/**
 * Named volumes, each a folder `NAME/` with the data and a file that describes it. A volume is made beside its place and
 * renamed into it, and renamed away before it is deleted: whatever is cut short leaves a folder that begins with a dot, which
 * the next start removes, or the next removal under that name. Who uses a volume is read from the records of containers, so that no count can go wrong.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writing } from '#base/disk-full.ts';
import { errnoOf, RuntimeError } from '#base/errors.ts';
import { KeyedLock } from '#base/keyed-lock.ts';
import { step } from '#base/step.ts';
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

  async ensure(name: string, labels: Readonly<Record<string, string>>): Promise<NamedVolume> {
    const chosen = name === '' ? randomBytes(32).toString('hex') : name;
    if (!namePattern.test(chosen))
      throw new RuntimeError(
        'InvalidArgument',
        `${JSON.stringify(chosen)} is no name for a volume: letters, digits, dots, dashes and underscores, a letter or digit first`,
      );
    // Without the lock, which a volume that is being filled holds.
    if (!this.#exists(chosen)) await this.#lock.run(chosen, () => this.#make(chosen, labels, name === ''));
    return this.get(chosen);
  }

  async #make(name: string, labels: Readonly<Record<string, string>>, isNameMadeUp: boolean): Promise<void> {
    if (this.#exists(name)) return;
    const place = join(this.#options.folder, name);
    const making = join(this.#options.folder, `.making-${randomBytes(8).toString('hex')}`);
    try {
      await step('make-volume/write', () => {
        mkdirSync(join(making, 'data'), { recursive: true, mode: 0o755 });
        this.#write(making, { createdAtNs: nowNs().toString(), labels, isFilled: false });
      });
      await step('make-volume/place', () => renameSync(making, place));
    } catch (error) {
      // Whoever chose its name finds it by that; nobody else could.
      if (isNameMadeUp && this.#exists(name)) renameSync(place, making);
      rmSync(making, { recursive: true, force: true });
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    const { folder } = this.#options;
    await this.#lock.run(name, async () => {
      if (!this.#exists(name) && this.#halfRemoved(name).length > 0) return;
      const { containers } = this.get(name);
      if (containers.length > 0)
        throw new RuntimeError(
          'FailedPrecondition',
          `volume ${name} is used by ${containers.length === 1 ? 'container' : 'containers'} ${containers
            .map((id) => id.slice(0, 12))
            .join(', ')}; remove ${containers.length === 1 ? 'it' : 'them'} first`,
        );
      const removing = join(folder, `.removing-${name}-${randomBytes(8).toString('hex')}`);
      await step('remove-volume/take-away', () => renameSync(join(folder, name), removing));
    });
    // A lock of its own: a new volume of that name need not wait for the old one's files.
    await this.#lock.run(`removing ${name}`, () =>
      step('remove-volume/delete', async () => {
        for (const removing of this.#halfRemoved(name)) await removeVolumes(join(folder, removing));
      }),
    );
  }

  /** Folders that were a volume of this name. */
  #halfRemoved(name: string): string[] {
    const prefix = `.removing-${name}-`;
    return foldersIn(this.#options.folder).filter(
      (found) => found.startsWith(prefix) && /^[0-9a-f]{16}$/.test(found.slice(prefix.length)),
    );
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
        const filling = fillingOf(join(folder, name));
        try {
          await step('fill-volume/copy', async () => {
            await removeVolumes(filling);
            mkdirSync(filling, { mode: 0o755 });
            await copyUp(from, filling, signal);
          });
          // Over the empty folder, in one: there is never none (rename(2)).
          await step('fill-volume/place', () => renameSync(filling, data));
        } catch (error) {
          // Left, it would take up room until the next container comes; that one, or the next start, tries again.
          await removeVolumes(filling).catch(() => {});
          throw error;
        }
      }
      await step('fill-volume/record', () =>
        this.#write(join(folder, name), { ...described, isFilled: true }),
      );
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
      const place = join(folder, name);
      // An audit tells of one that stays, and the next start tries again.
      await removeVolumes(name.startsWith('.') ? place : fillingOf(place)).catch(() => {});
      // An older Berth had a moment without data when it filled a volume.
      if (!name.startsWith('.')) mkdirSync(this.#dataOf(name), { recursive: true, mode: 0o755 });
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

/** What becomes the data of a volume, while it is copied. */
function fillingOf(volume: string): string {
  return join(volume, 'filling');
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []; // nothing was ever made there
    throw error;
  }
}
