/** Runs loads round by round on all subjects in turn, and keeps going when one of them fails. */
import type { Floor } from './floor.ts';
import type { Load, Recorder } from './load.ts';
import type { Subject } from './subject.ts';

/** Samples by metric, then by round. */
export type Samples = { readonly [metric: string]: readonly (readonly number[])[] };

export interface LoadResult {
  readonly load: Load;
  readonly samples: ReadonlyMap<string, Samples>;
  /** Column -> what went wrong; such a column has the rounds before that only. */
  readonly failures: ReadonlyMap<string, string>;
  readonly seconds: number;
}

export interface ScheduleOptions {
  readonly signal: AbortSignal;
  /** Instead of the load's own number. */
  readonly rounds?: number;
  readonly report: (line: string) => void;
}

export const floorName = 'floor';

/** One column during a load. */
interface Column {
  readonly name: string;
  readonly prepare: () => Promise<void>;
  readonly round: (record: Recorder) => Promise<void>;
  readonly finish: () => Promise<void>;
  /** After a failure: leaves nothing of it. */
  readonly clear: () => Promise<void>;
}

/** Runs one load to its end. Rejects only when the signal is aborted; failures of a subject are part of the result. */
export async function runLoad(
  load: Load,
  { subjects, floor }: { readonly subjects: readonly Subject[]; readonly floor: Floor | undefined },
  options: ScheduleOptions,
): Promise<LoadResult> {
  const startMs = performance.now();
  const columns = listColumns(load, subjects, floor);
  const samples = new Map<string, { [metric: string]: number[][] }>(columns.map(({ name }) => [name, {}]));
  const failures = new Map<string, string>();
  const attempt = async (column: Column, what: string, work: () => Promise<void>): Promise<void> => {
    options.signal.throwIfAborted();
    try {
      await work();
    } catch (error) {
      if (!failures.has(column.name)) failures.set(column.name, `${what}: ${describe(error)}`);
      options.report(`  ${column.name} failed to ${what}: ${describe(error)}`);
    }
  };
  const rounds = load.warmupRounds + (options.rounds ?? load.rounds);
  try {
    for (const column of columns) await attempt(column, 'prepare', column.prepare);
    for (let round = 0; round < rounds; round += 1) {
      // Whoever is first meets the machine as the last of the round before left it: so the order turns each time.
      for (const column of round % 2 === 0 ? columns : columns.toReversed()) {
        if (failures.has(column.name)) continue;
        const index = round - load.warmupRounds;
        const record = index < 0 ? () => {} : recordInto(samples.get(column.name)!, index);
        await attempt(column, `run round ${round + 1}`, () => column.round(record));
      }
    }
  } finally {
    for (const column of columns) await finishColumn(column, failures, options.report);
  }
  return { load, samples, failures, seconds: (performance.now() - startMs) / 1000 };
}

function listColumns(load: Load, subjects: readonly Subject[], floor: Floor | undefined): Column[] {
  const seen = new Set<string>();
  const columns = subjects.flatMap((subject): Column[] => {
    if (load.scope === 'daemon' && seen.has(subject.daemon.name)) return [];
    seen.add(subject.daemon.name);
    return [
      {
        name: load.scope === 'daemon' ? subject.daemon.name : subject.name,
        prepare: async () => {
          if (!subject.daemon.isRunning) await subject.daemon.start();
          await load.prepare?.(subject);
        },
        round: (record) => load.round(subject, record),
        finish: async () => load.finish?.(subject),
        clear: async () => {
          if (!subject.daemon.isRunning) await subject.daemon.start();
          await subject.removeEverything();
        },
      },
    ];
  });
  if (floor === undefined || load.floorRound === undefined) return columns;
  const floorRound = load.floorRound.bind(load);
  const nothing = async () => {};
  columns.push({
    name: floorName,
    prepare: nothing,
    round: (record) => floorRound(floor, record),
    finish: nothing,
    clear: () => floor.clear(),
  });
  return columns;
}

async function finishColumn(
  column: Column,
  failures: Map<string, string>,
  report: (line: string) => void,
): Promise<void> {
  const attemptStep = async (what: string, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!failures.has(column.name)) failures.set(column.name, `${what}: ${describe(error)}`);
      report(`  ${column.name} failed to ${what}: ${describe(error)}`);
    }
  };
  const failedBefore = failures.has(column.name);
  await attemptStep('finish', column.finish);
  if (failedBefore || failures.has(column.name)) await attemptStep('clear up', column.clear);
}

function recordInto(samples: { [metric: string]: number[][] }, round: number): Recorder {
  return (key, value) => {
    samples[key] ??= [];
    const list = samples[key];
    while (list.length <= round) list.push([]);
    list[round]!.push(value);
  };
}

/** The error's message with those of its causes. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The causes of gRPC errors repeat the message.
  const cause = error.cause instanceof Error ? error.cause : undefined;
  return cause === undefined || error.message.includes(cause.message)
    ? error.message
    : `${error.message}: ${describe(cause)}`;
}
