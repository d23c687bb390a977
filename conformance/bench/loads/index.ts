/** Every load, in the order they run. */
import type { Load } from '../load.ts';
import { containerLifecycle } from './containers.ts';
import { execCpu, execLatency } from './exec.ts';
import { listLoads } from './lists.ts';
import { memoryLoad } from './memory.ts';
import { sixtyPods, sixtyPodsBuiltin, twentyPods, twentyPodsBuiltin, twentyPodsOwnNetwork } from './pods.ts';
import { pullLoads } from './pull.ts';
import { startLoads } from './startup.ts';
import { containerStats } from './stats.ts';
import { streamLoads } from './streams.ts';

export const loads: readonly Load[] = [
  twentyPods,
  sixtyPods,
  containerLifecycle,
  execLatency,
  execCpu,
  ...streamLoads,
  containerStats,
  ...listLoads,
  ...pullLoads,
  ...startLoads,
  memoryLoad,
  twentyPodsBuiltin,
  sixtyPodsBuiltin,
  twentyPodsOwnNetwork,
];
