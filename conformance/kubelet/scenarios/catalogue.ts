/** Every scenario, in the order of the table. */
import { disk } from './disk.ts';
import { events } from './events.ts';
import { faults } from './faults.ts';
import { images } from './images.ts';
import { lifecycle } from './lifecycle.ts';
import { namespaces } from './namespaces.ts';
import { play } from './play.ts';
import { resources } from './resources.ts';
import type { Scenario } from './scenario.ts';
import { security } from './security.ts';
import { stats } from './stats.ts';
import { storage } from './storage.ts';
import { streaming } from './streaming.ts';

export const scenarios: readonly Scenario[] = [
  ...namespaces,
  ...lifecycle,
  ...storage,
  ...security,
  ...resources,
  ...images,
  ...streaming,
  ...stats,
  ...events,
  ...faults,
  ...disk,
  ...play,
];
