/**
 * Contract of a load. A load runs in rounds; in each round it runs on every subject in turn (A B C, then C B A, ...), so that
 * what the machine does in the meantime hits all alike. It records samples by metric. What it makes, it removes in the
 * same round or in `finish`; after a failure the schedule removes every pod of the subject.
 */
import type { Floor } from './floor.ts';
import type { Subject } from './subject.ts';

export type Unit = 'ms' | 's' | 'MB' | 'count';

/**
 * CNI set-ups: `same` for all; `builtin`, the same but for Berth's option to carry it out without the plugins; or each runtime
 * with the network it comes with.
 */
export const networkSetups = ['same', 'builtin', 'default'] as const;
export type NetworkSetup = (typeof networkSetups)[number];

export interface Metric {
  /** Unique within its load. */
  readonly key: string;
  /** As the tables have it. */
  readonly title: string;
  readonly unit: Unit;
  /** Greatest ratio to the better of the containerd variants that the project wants; none if undefined. */
  readonly targetRatio?: number;
  /** The same for `--quick`, which asks for less. */
  readonly quickTargetRatio?: number;
  /** Greatest value for Berth alone, in `unit`; for what has no peer. */
  readonly targetMax?: number;
  /** Whether it is a row of the README's table. */
  readonly inReadme?: boolean;
}

export type Recorder = (key: string, value: number) => void;

export interface Load {
  readonly name: string;
  readonly title: string;
  readonly setup: NetworkSetup;
  /** `handler`: on every subject; `daemon`: the handler makes no difference, so containerd runs it once. */
  readonly scope: 'handler' | 'daemon';
  /** Part of `--quick`. */
  readonly isQuick: boolean;
  readonly rounds: number;
  /** Rounds before the first that counts. */
  readonly warmupRounds: number;
  readonly metrics: readonly Metric[];
  /** Once per subject before its first round. */
  prepare?(subject: Subject): Promise<void>;
  round(subject: Subject, record: Recorder): Promise<void>;
  /** Once per subject after its last round, also after a failure of a round. */
  finish?(subject: Subject): Promise<void>;
  /** The bare tools doing the same once. */
  floorRound?(floor: Floor, record: Recorder): Promise<void>;
}
