/** A whole image service on a directory of its own, for tests. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import pino from 'pino';
import { performMount, unmountAll } from '#host/mount.ts';
import type { Snapshot } from '../contract.ts';
import { defaultTransferLimits, type TransferLimits } from '../registry/transport.ts';
import { LocalImageService, type LocalImageServiceOptions } from '../service.ts';
import { NativeSnapshotter } from '../snapshots/native.ts';
import { OverlaySnapshotter } from '../snapshots/overlay.ts';
import type { LayerSnapshotter } from '../snapshots/snapshotter.ts';
import { defaultUnpackLimits } from '../unpack/layer-writer.ts';
import { LayerProcesses } from '../worker/layer-processes.ts';

export interface BenchOptions extends Partial<LocalImageServiceOptions> {
  readonly bootId?: string;
  readonly transfer?: Partial<TransferLimits>;
  readonly hostRoots?: readonly string[];
  readonly registriesConf?: string;
  readonly authFiles?: readonly string[];
  /** Where credential helpers are. */
  readonly helperDirs?: readonly string[];
  readonly mostProcesses?: number;
  readonly compileCacheDir?: string;
  /** Snapshots by plain copies. */
  readonly isNative?: boolean;
}

export class ImageBench {
  readonly root: string;
  processes!: LayerProcesses;
  snapshotter!: LayerSnapshotter;
  images!: LocalImageService;
  #database: DatabaseSync | undefined;

  /** On a new directory, or on one that another bench has left. */
  constructor(options: BenchOptions = {}, root = mkdtempSync(join(tmpdir(), 'images-'))) {
    this.root = root;
    this.open(options);
  }

  /** Opens what is on the disk, as a daemon does when it starts. */
  open(options: BenchOptions = {}): void {
    const log = pino({ level: 'silent' });
    const database = new DatabaseSync(join(this.root, 'state.db'));
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    this.#database = database;
    this.processes = new LayerProcesses({
      log,
      mostProcesses: options.mostProcesses ?? 1,
      lingerMs: 200,
      ...(options.compileCacheDir !== undefined && { compileCacheDir: options.compileCacheDir }),
    });
    const bootId = options.bootId ?? 'boot-1';
    const { processes } = this;
    const Snapshotter = options.isNative === true ? NativeSnapshotter : OverlaySnapshotter;
    this.snapshotter = new Snapshotter({
      root: join(this.root, 'store'),
      database,
      processes,
      log,
      bootId,
    });
    this.images = new LocalImageService({
      root: join(this.root, 'store'),
      database,
      snapshotter: this.snapshotter,
      processes,
      access: {
        hostRoots: options.hostRoots ?? [],
        registriesConf: options.registriesConf ?? '',
        authFiles: options.authFiles ?? [],
        helpers: { directories: options.helperDirs ?? [], environment: { PATH: '/usr/bin:/bin' } },
        proxy: {},
        transfer: { ...defaultTransferLimits, retryDelayMs: 10, longestDelayMs: 100, ...options.transfer },
        userAgent: 'berth-test',
      },
      policy: { path: '', mayBeMissing: true },
      limits: defaultUnpackLimits,
      log,
      resumableBytes: 0,
      ...options,
    });
    this.images.recover();
  }

  /** Ends it without a chance to tidy up, and opens it again. */
  async reopen(options: BenchOptions = {}): Promise<void> {
    await this.processes.close();
    this.#database?.close();
    this.open(options);
  }

  /** What a container over this snapshot sees. */
  mounted<T>(snapshot: Snapshot, look: (directory: string) => T): T {
    const directory = join(this.root, 'mnt');
    mkdirSync(directory, { recursive: true });
    performMount(snapshot.mount, directory);
    try {
      return look(directory);
    } finally {
      unmountAll(directory);
    }
  }

  /** Everything in the store that counts against the disk. */
  leftovers(): string[] {
    const list = (path: string) =>
      readdirSync(join(this.root, 'store', path)).map((name) => `${path}/${name}`);
    return ['snapshots', 'unpacking', 'staging', 'trash', 'content/ingest', 'content/blobs/sha256'].flatMap(
      list,
    );
  }

  /** Blocks of the store, as du counts them. */
  diskBytes(): number {
    return Number.parseInt(
      execFileSync('du', ['-s', '--block-size=1', join(this.root, 'store')], { encoding: 'utf8' }),
      10,
    );
  }

  async close(): Promise<void> {
    await this.images.close();
    this.#database?.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}
