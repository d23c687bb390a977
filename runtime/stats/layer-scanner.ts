import { statfsSync } from 'node:fs';
import type { Log } from '#base/log.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { LifecycleEvent } from '../contract.ts';
import type { RecordStore } from '../record-store.ts';
import type { WritableLayerFigures } from '../stats-contract.ts';
import { Pacer } from './pacer.ts';

export interface LayerUsage {
  readonly usedBytes: number;
  readonly inodesUsed: number;
}

export interface LayerScannerSettings {
  readonly containers: RecordStore<ContainerRecord>;
  /** Counts the writable layer of a container; asynchronous, and may take long for a large tree. */
  readonly usage: (containerId: string) => Promise<LayerUsage>;
  /** A path on the file system that holds the layers. */
  readonly mountpoint: string;
  /** Unix nanoseconds. */
  readonly clock: () => bigint;
  readonly log: Log;
  /** Room on that file system in bytes; undefined if it cannot be asked. Elsewhere only in tests. */
  readonly availableBytes?: () => number | undefined;
  /** Between two counts of a layer that changes; of one that does not, while somebody asks; and while nobody does. */
  readonly intervalsMs?: { readonly changing: number; readonly still: number; readonly unasked: number };
}

interface Layer {
  figures: WritableLayerFigures | undefined;
  isRunning: boolean;
  /** Counted since its container exited: it can change no more. */
  isFinal: boolean;
  intervalMs: number;
  /** performance.now() of the end of the last count; -Infinity: never counted, due at once. */
  countedAtMs: number;
  tookMs: number;
}

const defaultIntervalsMs = { changing: 10_000, still: 60_000, unasked: 600_000 };
/** A layer may be counted for at most this share of the time. */
const dutyShare = 0.05;
const lanes = 4;
/** Layers slower than this share one lane, so that a huge one keeps no other waiting. */
const slowMs = 1_000;
const askedForMs = 120_000;
/** What the disk may lose before old figures would mislead, and for how long a question waits for new ones. */
const noticedLossBytes = 64 << 20;
const patienceMs = 500;

/**
 * Counts writable layers in the background: first when the container is created, then every ten
 * seconds while the figures change, up to every minute while they do not, more rarely while nobody asks, once more after
 * the container exited, and never again. A question waits for a count only if the disk has lost much room since the last one,
 * and then not for long: the kubelet, which asks every ten seconds, would evict the wrong pod by the old figures. Layers of images are not its business: they do not change.
 */
export class LayerScanner {
  readonly #settings: LayerScannerSettings;
  readonly #intervalsMs: { readonly changing: number; readonly still: number; readonly unasked: number };
  readonly #layers = new Map<string, Layer>();
  #timer: NodeJS.Timeout | undefined;
  #running = 0;
  #isSlowRunning = false;
  #isStopped = true;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #lastAvailableBytes = 0;
  readonly #waiting = new Set<() => void>();
  readonly #pacer = new Pacer();

  constructor(settings: LayerScannerSettings) {
    this.#settings = settings;
    this.#intervalsMs = settings.intervalsMs ?? defaultIntervalsMs;
  }

  /** Begins with the containers there are; new ones come by `onEvent`. Keeps no process alive. */
  start(): void {
    this.#isStopped = false;
    for (const record of this.#settings.containers.list()) this.#ensureLayer(record.id);
    this.#schedule();
  }

  /** Ends counting; counts under way end by themselves and are dropped. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** For the announcer: created and stopped containers are counted soon, deleted ones forgotten. */
  onEvent(event: LifecycleEvent): void {
    if (event.type === 'deleted') {
      this.#layers.delete(event.subjectId);
      return;
    }
    if (event.type === 'started' || !this.#settings.containers.findExact(event.subjectId)) return;
    const layer = this.#ensureLayer(event.subjectId);
    if (event.type === 'stopped') {
      layer.countedAtMs = Number.NEGATIVE_INFINITY;
      layer.tookMs = 0;
    }
    this.#schedule();
  }

  /** The last count; undefined before the first. Says that somebody is interested. */
  find(containerId: string): WritableLayerFigures | undefined {
    const now = performance.now();
    const wasUnasked = now - this.#askedAtMs > askedForMs;
    this.#askedAtMs = now;
    if (wasUnasked) this.#schedule();
    return this.#layers.get(containerId)?.figures;
  }

  /**
   * Before a list: resolves at once unless the disk has lost much room; else when every layer that can change and is not slow
   * was counted anew, at the latest after half a second.
   */
  async catchUp(): Promise<void> {
    const available = (this.#settings.availableBytes ?? (() => readAvailable(this.#settings.mountpoint)))();
    if (available === undefined || this.#isStopped) return;
    const lost = this.#lastAvailableBytes - available;
    if (lost > 0 && lost < noticedLossBytes) return;
    this.#lastAvailableBytes = available;
    if (lost <= 0) return;
    for (const layer of this.#layers.values())
      if (canCatchUp(layer)) layer.countedAtMs = Number.NEGATIVE_INFINITY;
    this.#schedule();
    if (!this.#isBehind()) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, patienceMs);
      this.#waiting.add(wake);
    });
  }

  #isBehind(): boolean {
    return [...this.#layers.values()].some(
      (layer) => canCatchUp(layer) && layer.countedAtMs === Number.NEGATIVE_INFINITY,
    );
  }

  #ensureLayer(id: string): Layer {
    let layer = this.#layers.get(id);
    if (!layer) {
      layer = {
        figures: undefined,
        isRunning: false,
        isFinal: false,
        intervalMs: this.#intervalsMs.changing,
        countedAtMs: Number.NEGATIVE_INFINITY,
        tookMs: 0,
      };
      this.#layers.set(id, layer);
    }
    return layer;
  }

  #dueAtMs(layer: Layer, now: number): number {
    const isAsked = now - this.#askedAtMs <= askedForMs;
    const longest = isAsked ? this.#intervalsMs.still : this.#intervalsMs.unasked;
    return layer.countedAtMs + Math.max(layer.tookMs / dutyShare, Math.min(layer.intervalMs, longest));
  }

  /** Starts what is due and sets the one timer for what is due next. */
  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#isStopped) return;
    const now = performance.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [id, layer] of this.#layers) {
      if (layer.isRunning || layer.isFinal) continue;
      const dueAtMs = this.#dueAtMs(layer, now);
      const isSlow = layer.tookMs > slowMs;
      if (dueAtMs > now) nextMs = Math.min(nextMs, dueAtMs - now);
      // What finds no lane is started when one becomes free.
      else if (this.#running < lanes && !(isSlow && this.#isSlowRunning)) void this.#count(id, layer, isSlow);
    }
    if (nextMs < Number.POSITIVE_INFINITY)
      this.#timer = setTimeout(() => this.#schedule(), Math.ceil(nextMs)).unref();
  }

  /** Never rejects. */
  async #count(id: string, layer: Layer, isSlow: boolean): Promise<void> {
    const { containers, usage, clock, mountpoint, log } = this.#settings;
    layer.isRunning = true;
    this.#running++;
    if (isSlow) this.#isSlowRunning = true;
    // Many small layers, all due at once as at the daemon's start, are counted without a pause by themselves.
    if (this.#pacer.isDue()) await this.#pacer.pause();
    const startedAtMs = performance.now();
    // What was written after this state was read is not missed: a later exit asks for another count.
    const wasExited = containers.findExact(id)?.state === 'exited';
    const wasCountedAtMs = layer.countedAtMs;
    try {
      const { usedBytes, inodesUsed } = await usage(id);
      this.#keep(layer, {
        timestampNs: clock(),
        mountpoint,
        usedBytes: BigInt(usedBytes),
        inodesUsed: BigInt(inodesUsed),
      });
      layer.isFinal = wasExited;
    } catch (error) {
      // The layer may just be going. A lasting fault is tried as rarely as an unchanged layer.
      layer.intervalMs = this.#intervalsMs.unasked;
      if (containers.findExact(id))
        log.debug({ err: error, containerId: id }, 'writable layer was not counted');
    }
    const now = performance.now();
    layer.tookMs = now - startedAtMs;
    const isAgain =
      layer.countedAtMs !== wasCountedAtMs || (!wasExited && containers.findExact(id)?.state === 'exited');
    layer.countedAtMs = isAgain ? Number.NEGATIVE_INFINITY : now;
    layer.isRunning = false;
    this.#running--;
    if (isSlow) this.#isSlowRunning = false;
    if (!containers.findExact(id)) this.#layers.delete(id);
    this.#schedule();
    if (this.#waiting.size === 0 || this.#isBehind()) return;
    for (const wake of this.#waiting) wake();
  }

  #keep(layer: Layer, figures: WritableLayerFigures): void {
    const last = layer.figures;
    const isSame = last?.usedBytes === figures.usedBytes && last.inodesUsed === figures.inodesUsed;
    layer.intervalMs = isSame
      ? Math.min(layer.intervalMs * 2, this.#intervalsMs.unasked)
      : this.#intervalsMs.changing;
    layer.figures = figures;
  }
}

function canCatchUp(layer: Layer): boolean {
  return !layer.isFinal && layer.tookMs <= slowMs;
}

function readAvailable(path: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    // Then the layers cannot be counted either, which is told there.
    return undefined;
  }
}
