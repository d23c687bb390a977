/**
 * The account of effects: lives of pods and an image under observation. Every change of the machine must happen within a
 * named step, and every named step must change something: then there is a fault point for each effect, and no other.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { NewerCriu } from '../tools/newer-criu.ts';
import { type BedNetwork, FaultBed, imageName } from './bed.ts';
import { reachableSteps } from './cases.ts';
import type { SeenEffects } from './effects.ts';
import { liveObserved, liveObservedCheckpoints, observedStarts } from './lives.ts';

/** Effects that no operation on a pod or an image has, each by a place that it is called from, and why it is none. */
const excused: readonly { readonly place: string; readonly why: string }[] = [
  {
    place: 'CheckpointSupport.require',
    why: 'asks CRIU what it can do here',
  },
  {
    place: 'probeFeatures',
    why: 'asks an OCI runtime what it can do',
  },
  {
    place: 'LayerProcesses.warm',
    why: 'the process that unpacks layers is a part of the daemon and ends with it',
  },
  {
    place: '.markSynced',
    why: 'says afterwards what has reached the disk; unsaid, it is pulled again after a power cut',
  },
  {
    place: 'host/cgroup-migration.ts',
    why: 'writes what is there already, so that the kernel is ready for the next change',
  },
];

export interface Account {
  /** Names of steps of the CRI's operations, at each of which faults are made. */
  readonly faultPoints: number;
  /** Steps that were seen to change the machine, with and without a name. */
  readonly stepsWithEffects: number;
  /** What is wrong: effects without a named step, names without an effect. */
  readonly problems: readonly string[];
}

/** Observes a daemon of its own. */
export async function takeAccount(network: BedNetwork, criu: NewerCriu | undefined): Promise<Account> {
  const { steps, outside } = await observe(network, criu);
  const unnamed = outside.filter(
    ({ places }) => !excused.some(({ place }) => places.some((text) => text.includes(place))),
  );
  const names = reachableSteps(criu !== undefined);
  const idle = names.filter((name) => steps[name] === undefined);
  return {
    faultPoints: names.length,
    stepsWithEffects: Object.keys(steps).length + unnamed.length,
    problems: [
      ...unnamed.map(({ call, places }) => `${call} in no named step, by ${places.join(', of ')}`),
      ...idle.map((name) => `${name} was not seen to change anything`),
    ],
  };
}

async function observe(network: BedNetwork, criu: NewerCriu | undefined): Promise<SeenEffects> {
  const bed = await FaultBed.prepare(network, undefined, criu);
  const all: SeenEffects[] = [];
  try {
    bed.watchesEffects = 'when-told';
    await bed.start();
    await bed.call('PullImage', { image: { image: imageName } });
    await noteEffects(bed);
    await liveObserved(bed);
    if (criu) await liveObservedCheckpoints(bed);
    all.push(await noteEffects(bed));
    bed.watchesEffects = 'from-the-start';
    await bed.stop();
    for (const live of observedStarts(bed, criu !== undefined)) {
      await live();
      all.push(await noteEffects(bed));
    }
  } finally {
    await bed.close();
  }
  return joined([...all, await observeFirstStart(network)]);
}

async function observeFirstStart(network: BedNetwork): Promise<SeenEffects> {
  const bed = await FaultBed.prepare(network);
  try {
    bed.watchesEffects = 'from-the-start';
    await bed.start();
    return await noteEffects(bed);
  } finally {
    await bed.close();
  }
}

function joined(all: readonly SeenEffects[]): SeenEffects {
  const steps: Record<string, number> = {};
  for (const seen of all)
    for (const [name, count] of Object.entries(seen.steps)) steps[name] = (steps[name] ?? 0) + count;
  const outside = new Map(
    all
      .flatMap((seen) => seen.outside)
      .map((effect) => [`${effect.call} ${effect.places.join(' ')}`, effect]),
  );
  return { steps, outside: [...outside.values()] };
}

/** Has the daemon write what it has done since the account was begun, which the first call does. */
async function noteEffects(bed: FaultBed): Promise<SeenEffects> {
  process.kill(bed.pid, 'SIGPWR');
  while (!existsSync(bed.effectsFile)) await delay(5);
  const seen = JSON.parse(readFileSync(bed.effectsFile, 'utf8')) as SeenEffects;
  rmSync(bed.effectsFile);
  return seen;
}
