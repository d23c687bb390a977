/** Memory of the whole runtime after a fresh start, and with 20, 60 and 100 pods of one container each. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Load } from '../load.ts';
import { readMemory } from '../memory.ts';
import { forEachParallel } from '../subject.ts';

const steps = [20, 60, 100] as const;
/** Lets what a burst of calls left behind be collected, as it would on a node. */
const settleMs = 3000;

export const memoryLoad: Load = {
  name: 'memory',
  title: 'memory (PSS) of all processes of the runtime without the workloads',
  setup: 'same',
  scope: 'handler',
  isQuick: false,
  rounds: 2,
  warmupRounds: 0,
  metrics: [
    { key: 'idle', title: 'memory, idle', unit: 'MB', targetRatio: 1.5, inReadme: true },
    ...steps.map((pods) => ({
      key: `pods${pods}`,
      title: `memory, ${pods} pods`,
      unit: 'MB' as const,
      inReadme: true,
      ...(pods >= 60 ? { targetRatio: 0.4 } : {}),
    })),
    ...steps.map((pods) => ({
      key: `daemon${pods}`,
      title: `memory of the daemon alone, ${pods} pods`,
      unit: 'MB' as const,
    })),
  ],
  async round(subject, record) {
    const { daemon } = subject;
    await daemon.stop();
    await daemon.start();
    await sleep(settleMs);
    record('idle', readMemory(daemon, subject.containerIds).totalMb);
    let running = 0;
    for (const pods of steps) {
      await forEachParallel(Array.from({ length: pods - running }), 4, async () => {
        await subject.runContainer(await subject.runPod(), 'main');
      });
      running = pods;
      await sleep(settleMs);
      const reading = readMemory(daemon, subject.containerIds);
      record(`pods${pods}`, reading.totalMb);
      record(`daemon${pods}`, reading.daemonMb);
    }
    await subject.removeEverything();
  },
};
