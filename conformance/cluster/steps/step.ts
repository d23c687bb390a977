import type { Cluster } from '../cluster.ts';

/** One thing that an operator does with a cluster. Steps run in their order, each on what those before it left. */
export interface Step {
  readonly name: string;
  readonly shows: string;
  /** Without it the rest makes no sense: its failure ends the run. */
  readonly isNeeded?: boolean;
  run(cluster: Cluster): Promise<void>;
}
