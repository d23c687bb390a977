/** All areas, in the order in which they are told. */
import type { Area } from './area.ts';
import { cgroups } from './cgroups.ts';
import { clock } from './clock.ts';
import { cni } from './cni.ts';
import { confinement } from './confinement.ts';
import { daemon, leftovers } from './daemon.ts';
import { disk } from './disk.ts';
import { kernel } from './kernel.ts';
import { limits } from './limits.ts';
import { memory } from './memory.ts';
import { names } from './names.ts';
import { neighbours } from './neighbours.ts';
import { packetRules } from './packet-rules.ts';
import { privileges } from './privileges.ts';
import { programs } from './programs.ts';
import { registries } from './registries.ts';
import { sysctls } from './sysctls.ts';
import { userRanges } from './user-ranges.ts';

export const areas: readonly Area[] = [
  daemon,
  privileges,
  kernel,
  cgroups,
  programs,
  cni,
  packetRules,
  sysctls,
  registries,
  disk,
  memory,
  limits,
  confinement,
  userRanges,
  names,
  clock,
  neighbours,
  leftovers,
];
