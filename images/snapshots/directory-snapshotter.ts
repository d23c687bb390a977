/**
 * What all snapshotters that keep a directory per snapshot have in common: `ROOT/snapshots/N/fs`, records, recovery, usage.
 * How a layer becomes a snapshot and what is mounted in the end is the form's business (overlay.ts, native.ts).
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { SingleFlight } from '#base/single-flight.ts';
import { spreadDirectoriesOf } from '#host/directory-hint.ts';
import { listMounts } from '#host/mount.ts';
import type { ChainId, Snapshot } from '../contract.ts';
import type { LayerProcesses } from '../worker/layer-processes.ts';
import { type SnapshotKind, type SnapshotRecord, SnapshotRecords } from './snapshot-records.ts';
import type { Layer, LayerSnapshotter, NewLayer, SnapshotUsage, UnpackPlace } from './snapshotter.ts';
import { Trash } from './trash.ts';
import { measureTree } from './tree-usage.ts';

export interface SnapshotterOptions {
  /** A directory of our own; its file system holds all snapshots. */
  readonly root: string;
  readonly database: DatabaseSync;
  readonly processes: LayerProcesses;
  readonly log: Log;
  /** /proc/sys/kernel/random/boot_id: tells a power cut from a restart of the daemon. */
  readonly bootId: string;
  /** Milliseconds since any fixed point. Default performance.now. */
  readonly nowMs?: () => number;
  /** How old the count of a writable directory may be in `totalUsage`. Default 60,000. */
  readonly usageMaxAgeMs?: number;
}

/** One way of making snapshots out of directories. `directory` is always `ROOT/snapshots/N`, stacks are topmost first. */
export interface SnapshotForm {
  /** Keeps the records of different forms apart: their directories hold different things. */
  readonly driver: string;
  /** Turns the unpacked layer in `place` into what is to stay. Returns its size where that is not the layer's own. */
  finishLayer(
    place: UnpackPlace,
    parentDir: string | undefined,
  ): Promise<{ usedBytes: number; inodes: number } | undefined>;
  /** Fills the directory of an active snapshot or a view. */
  fill(directory: string, kind: SnapshotKind, stackDirs: readonly string[]): Promise<void> | undefined;
  describe(key: string, directory: string, kind: SnapshotKind, stackDirs: readonly string[]): Snapshot;
}

/** A directory of this size is missed by whoever looks at the disk just after its removal: the kubelet under disk pressure. */
const largeBytes = 16 << 20;
const longestWaitMs = 1000;
const minimalUsage: SnapshotUsage = { usedBytes: 8192, inodesUsed: 2 };

export class DirectorySnapshotter implements LayerSnapshotter {
  readonly #options: SnapshotterOptions;
  readonly #form: SnapshotForm;
  readonly #records: SnapshotRecords;
  readonly #trash: Trash;
  readonly #preparing = new SingleFlight<Snapshot>();
  readonly #measured = new Map<string, { usage: SnapshotUsage; atMs: number }>();
  readonly #listeners: (() => void)[] = [];
  #measuring: Promise<void> | undefined;
  readonly #nowMs: () => number;
  /** Places of one life of the daemon are never those of another. */
  readonly #life = randomBytes(4).toString('hex');
  #lastPlace = 0;

  constructor(options: SnapshotterOptions, form: SnapshotForm) {
    if (/[:,\\\n]/.test(options.root))
      throw new RuntimeError(
        'InvalidArgument',
        `storage root ${options.root}: it may not contain a colon, comma or backslash`,
      );
    this.#options = options;
    this.#form = form;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    for (const name of ['snapshots', 'unpacking']) {
      mkdirSync(join(options.root, name), { recursive: true, mode: 0o700 });
      spreadDirectoriesOf(join(options.root, name));
    }
    this.#records = new SnapshotRecords(options.database, form.driver);
    this.#trash = new Trash(join(options.root, 'trash'), options.log, async (directories) => {
      await options.processes.run<'remove'>({ type: 'remove', directories });
    });
  }

  get treeForm(): 'overlay' | 'whole' {
    return this.#form.driver === 'overlay' ? 'overlay' : 'whole';
  }

  #directory(number: number): string {
    return join(this.#options.root, 'snapshots', String(number));
  }

  #stackDirs(record: SnapshotRecord | undefined): string[] {
    return this.#records.stack(record).map(({ number }) => join(this.#directory(number), 'fs'));
  }

  #getLayer(chainId: ChainId): SnapshotRecord {
    const record = this.#records.findLayer(chainId);
    if (!record)
      throw new RuntimeError('NotFound', `layer ${chainId}: not unpacked here; pull its image again`);
    return record;
  }

  // Active snapshots and views

  async prepare(key: string, parent: ChainId | undefined): Promise<Snapshot> {
    return this.#ensure(key, 'active', parent);
  }

  async view(key: string, parent: ChainId): Promise<Snapshot> {
    return this.#ensure(key, 'view', parent);
  }

  async #ensure(key: string, kind: SnapshotKind, parent: ChainId | undefined): Promise<Snapshot> {
    const snapshot = await this.#preparing.run(key, undefined, () => this.#make(key, kind, parent));
    const record = this.#records.findKeyed(key);
    const parentKey = record?.parent === undefined ? undefined : this.#records.get(record.parent)?.key;
    if (record && (record.kind !== kind || parentKey !== parent))
      throw new RuntimeError(
        'AlreadyExists',
        `snapshot ${key}: there is one of kind ${record.kind} over ${parentKey}`,
      );
    return snapshot;
  }

  async #make(key: string, kind: SnapshotKind, parent: ChainId | undefined): Promise<Snapshot> {
    const existing = this.find(key);
    if (existing) return existing;
    const below = parent === undefined ? undefined : this.#getLayer(parent);
    const stackDirs = this.#stackDirs(below);
    const record: SnapshotRecord = {
      number: this.#records.freeNumber(),
      kind,
      key,
      parent: below?.number,
      usedBytes: 0,
      inodes: 0,
      unsyncedBoot: undefined,
    };
    const directory = this.#directory(record.number);
    // The record first: it keeps the number taken and the layers in place while the directory is filled.
    this.#records.add(record, () => mkdirSync(directory, { mode: 0o700 }));
    try {
      const filling = this.#form.fill(directory, kind, stackDirs);
      if (filling) await filling;
    } catch (error) {
      this.#drop(record);
      throw error;
    }
    this.#measured.set(key, { usage: minimalUsage, atMs: this.#nowMs() });
    return this.#form.describe(key, directory, kind, stackDirs);
  }

  find(key: string): Snapshot | undefined {
    const record = this.#records.findKeyed(key);
    if (!record) return undefined;
    return this.#form.describe(key, this.#directory(record.number), record.kind, this.#stackDirs(record));
  }

  listKeys(): string[] {
    return this.#records.keyed().map(({ key }) => key);
  }

  async remove(key: string): Promise<void> {
    const record = this.#records.findKeyed(key);
    if (!record) return;
    const isLarge = (this.#measured.get(key)?.usage.usedBytes ?? 0) >= largeBytes;
    this.#drop(record);
    for (const listener of this.#listeners) listener();
    if (isLarge) await Promise.race([this.#trash.settled(), delay(longestWaitMs, undefined, { ref: false })]);
  }

  onRemoved(listener: () => void): void {
    this.#listeners.push(listener);
  }

  #drop(record: SnapshotRecord): void {
    this.#records.remove(record);
    if (record.kind !== 'layer') this.#measured.delete(record.key);
    this.#trash.discard(this.#directory(record.number));
  }

  async usage(key: string): Promise<SnapshotUsage> {
    const record = this.#records.findKeyed(key);
    if (!record) throw new RuntimeError('NotFound', `snapshot ${key}: there is none`);
    const usage = await measureTree(join(this.#directory(record.number), 'fs'));
    if (this.#records.findKeyed(key) === record) this.#measured.set(key, { usage, atMs: this.#nowMs() });
    return usage;
  }

  // Layers

  hasLayer(chainId: ChainId): boolean {
    return this.#records.findLayer(chainId) !== undefined;
  }

  listLayers(): Layer[] {
    return this.#records.layers().map(({ key, parent, usedBytes, inodes }) => ({
      chainId: key as ChainId,
      parent: parent === undefined ? undefined : (this.#records.get(parent)?.key as ChainId | undefined),
      usedBytes,
      inodes,
    }));
  }

  layerDirs(chainId: ChainId): string[] {
    return this.#stackDirs(this.#getLayer(chainId));
  }

  startLayer(): UnpackPlace {
    this.#lastPlace += 1;
    const id = `${this.#life}-${this.#lastPlace}`;
    const directory = join(this.#options.root, 'unpacking', id);
    mkdirSync(directory, { mode: 0o700 });
    return { id, directory: join(directory, 'fs'), impliedPath: join(directory, 'implied') };
  }

  abandonLayer(place: UnpackPlace): void {
    this.#trash.discard(join(this.#options.root, 'unpacking', place.id));
  }

  async commitLayer(layer: NewLayer): Promise<void> {
    const parent = layer.parent === undefined ? undefined : this.#getLayer(layer.parent);
    const parentDir = parent === undefined ? undefined : join(this.#directory(parent.number), 'fs');
    const size = this.hasLayer(layer.chainId)
      ? undefined
      : await this.#form.finishLayer(layer.place, parentDir);
    if (this.hasLayer(layer.chainId)) {
      this.abandonLayer(layer.place);
      return;
    }
    if (parent && this.#records.get(parent.number) !== parent)
      throw new RuntimeError('NotFound', `layer ${layer.chainId}: the layer below it was removed meanwhile`);
    const number = this.#records.freeNumber();
    const record: SnapshotRecord = {
      number,
      kind: 'layer',
      key: layer.chainId,
      parent: parent?.number,
      usedBytes: size?.usedBytes ?? layer.usedBytes,
      inodes: size?.inodes ?? layer.inodes,
      unsyncedBoot: this.#options.bootId,
    };
    this.#records.add(record, () =>
      renameSync(join(this.#options.root, 'unpacking', layer.place.id), this.#directory(number)),
    );
  }

  removeLayer(chainId: ChainId): void {
    const record = this.#records.findLayer(chainId);
    if (!record) return;
    if (this.#records.hasChildren(record.number))
      throw new RuntimeError('FailedPrecondition', `layer ${chainId}: other snapshots stand on it`);
    this.#drop(record);
  }

  layersInUse(): ChainId[] {
    const numbers = new Set(
      this.#records.keyed().flatMap(({ parent }) => (parent === undefined ? [] : [parent])),
    );
    return [...numbers].flatMap((number) => {
      const record = this.#records.get(number);
      return record ? [record.key as ChainId] : [];
    });
  }

  async markDurable(flush: () => Promise<void>): Promise<void> {
    const unsynced = this.#records.layers().filter(({ unsyncedBoot }) => unsyncedBoot !== undefined);
    if (unsynced.length === 0) return;
    await flush();
    this.#records.markSynced(unsynced);
  }

  // The whole

  async totalUsage(): Promise<SnapshotUsage> {
    this.#measuring ??= this.#measureOld().finally(() => {
      this.#measuring = undefined;
    });
    let usedBytes = 0;
    let inodesUsed = 0;
    for (const layer of this.#records.layers()) {
      usedBytes += layer.usedBytes;
      inodesUsed += layer.inodes;
    }
    for (const { usage } of this.#measured.values()) {
      usedBytes += usage.usedBytes;
      inodesUsed += usage.inodesUsed;
    }
    return { usedBytes, inodesUsed };
  }

  /** Looks again at the writable directories whose count is old. Callers do not wait for it: their next question gets it. */
  async #measureOld(): Promise<void> {
    const oldest = this.#nowMs() - (this.#options.usageMaxAgeMs ?? 60_000);
    for (const key of this.listKeys()) {
      if ((this.#measured.get(key)?.atMs ?? -Infinity) >= oldest || !this.#records.findKeyed(key)) continue;
      try {
        await this.usage(key);
      } catch (error) {
        this.#options.log.debug({ snapshot: key, err: error }, 'a writable directory could not be measured');
      }
    }
  }

  recover(): ChainId[] {
    const { root, bootId, log } = this.#options;
    for (const name of readdirSync(join(root, 'unpacking')))
      this.#trash.discard(join(root, 'unpacking', name));
    const all = [...this.#records.layers(), ...this.#records.keyed()];
    const bad = new Map<number, string>();
    for (const { number, unsyncedBoot } of all) {
      if (!existsSync(join(this.#directory(number), 'fs'))) bad.set(number, 'its directory is gone');
      else if (unsyncedBoot !== undefined && unsyncedBoot !== bootId)
        bad.set(number, 'the machine went down before it was on the disk');
    }
    for (let before = -1; before !== bad.size; ) {
      before = bad.size;
      for (const { number, parent } of all)
        if (parent !== undefined && (bad.has(parent) || !this.#records.get(parent)) && !bad.has(number))
          bad.set(number, 'a layer below it is gone');
    }
    const mounted = bad.size === 0 ? [] : listMounts().map(({ superOptions }) => superOptions);
    const dropped: ChainId[] = [];
    for (const record of all) {
      const reason = bad.get(record.number);
      if (reason === undefined) continue;
      const directory = this.#directory(record.number);
      // A container that runs on it keeps what it has; its removal will remove this too.
      if (record.kind !== 'layer' && mounted.some((options) => options.includes(`${directory}/`))) continue;
      log.warn({ snapshot: record.key, kind: record.kind, reason }, 'snapshot dropped');
      this.#drop(record);
      if (record.kind === 'layer') dropped.push(record.key as ChainId);
    }
    for (const name of readdirSync(join(root, 'snapshots')))
      if (!this.#records.get(Number(name))) this.#trash.discard(join(root, 'snapshots', name));
    this.#trash.empty();
    return dropped;
  }

  async settled(): Promise<void> {
    await this.#measuring;
    await this.#trash.settled();
  }
}
