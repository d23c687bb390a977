import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#base/errors.ts';
import { parseExactly } from '#base/exact-json.ts';
import type { CdiRegistry } from '../cdi/registry.ts';
import type { ContainerId } from '../container/config.ts';
import type { CrunContainers } from '../container/manager.ts';
import type { ContainerRecord } from '../container/record.ts';
import type { RuntimePaths } from '../paths.ts';
import type { RecordStore } from '../record-store.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type { HostFacts } from '../spec/inputs.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import type { NriHost } from './contract.ts';

/** What an evicted container is given to end by itself. */
const evictionGraceMs = 10_000;

export interface NodeParts {
  readonly facts: HostFacts;
  readonly sandboxes: RecordStore<SandboxRecord>;
  readonly containers: RecordStore<ContainerRecord>;
  /** Constructed later than NRI, which it calls. */
  readonly manager: () => CrunContainers;
  readonly cdi: CdiRegistry;
  readonly paths: RuntimePaths;
}

/** The node as NRI needs it, from the parts of the runtime. */
export function nriHost(parts: NodeParts): NriHost {
  const { facts, sandboxes, containers, manager, cdi, paths } = parts;
  return {
    facts,
    listSandboxes: () => sandboxes.list(),
    listContainers: () => containers.list(),
    findSandbox: (id) => sandboxes.findExact(id),
    findContainer: (id) => containers.findExact(id),
    readSpec: (id) => readSpec(paths, id),
    adjustResources: (id, limits) => manager().adjustResources(id, limits),
    evictContainer: (id) => manager().stop(id, evictionGraceMs, new AbortController().signal),
    addCdiDevices: (spec, names) => cdi.apply(spec, names, facts.hasIdmappedMounts),
  };
}

async function readSpec(paths: RuntimePaths, id: ContainerId): Promise<OciSpec | undefined> {
  try {
    return parseExactly(await readFile(join(paths.bundle(id), 'config.json'), 'utf8')) as OciSpec;
  } catch (error) {
    // A reboot takes the bundles away.
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
