/** Services over plain arrays, for tests of what stands above the managers. Each method can be replaced by a test. */
import { RuntimeError } from '#base/errors.ts';
import type { Image, ImageService } from '#images/contract.ts';
import type { PodNetwork } from '#network/pod-network.ts';
import type { ContainerId } from '#runtime/container/config.ts';
import type { ContainerRecord } from '#runtime/container/record.ts';
import type { ContainerManager, LifecycleListener, SandboxManager } from '#runtime/contract.ts';
import type { SandboxId } from '#runtime/sandbox/config.ts';
import type { SandboxRecord } from '#runtime/sandbox/record.ts';
import type { CriServices } from '../services.ts';
import { idOf } from './records.ts';

export interface FakeServices extends CriServices {
  readonly sandboxRecords: SandboxRecord[];
  readonly containerRecords: ContainerRecord[];
  readonly imageList: Image[];
  readonly sandboxes: { -readonly [K in keyof SandboxManager]: SandboxManager[K] };
  readonly containers: { -readonly [K in keyof ContainerManager]: ContainerManager[K] };
  readonly images: { -readonly [K in keyof ImageService]: ImageService[K] };
  readonly network: { -readonly [K in keyof PodNetwork]: PodNetwork[K] };
  readonly announce: LifecycleListener;
}

function findIn<R extends { id: string }>(records: readonly R[], id: string): R | undefined {
  return records.find((record) => record.id.startsWith(id));
}

function getIn<R extends { id: string }>(records: readonly R[], id: string, noun: string): R {
  const record = findIn(records, id);
  if (record === undefined) throw new RuntimeError('NotFound', `${noun} ${id} does not exist`);
  return record;
}

export function fakeServices(): FakeServices {
  const sandboxRecords: SandboxRecord[] = [];
  const containerRecords: ContainerRecord[] = [];
  const imageList: Image[] = [];
  const listeners = new Set<LifecycleListener>();
  const nothing = async (): Promise<void> => {};
  return {
    sandboxRecords,
    containerRecords,
    imageList,
    sandboxes: {
      run: async () => idOf('a') as SandboxId,
      stop: nothing,
      remove: nothing,
      get: (id) => getIn(sandboxRecords, id, 'sandbox'),
      find: (id) => findIn(sandboxRecords, id),
      list: () => sandboxRecords,
      updateResources: nothing,
    },
    containers: {
      create: async () => idOf('c') as ContainerId,
      start: nothing,
      stop: nothing,
      remove: nothing,
      get: (id) => getIn(containerRecords, id, 'container'),
      find: (id) => findIn(containerRecords, id),
      list: () => containerRecords,
      listOf: (sandboxId) => containerRecords.filter((record) => record.sandboxId === sandboxId),
      updateResources: nothing,
      reopenLog: nothing,
      execSync: async () => ({ stdout: Buffer.from('out'), stderr: Buffer.from([0xff]), exitCode: 3 }),
      describe: () => ({ pid: 7 }),
      isImageInUse: () => false,
    },
    images: {
      list: () => imageList,
      find: (reference) =>
        imageList.find((image) => image.id === reference || image.repoTags.includes(reference)),
      pull: async () => imageList[0]!,
      remove: nothing,
      usage: async () => ({ mountPoint: '/var/lib/berth', usedBytes: 5, inodesUsed: 6 }),
    },
    network: {
      attach: async () => ({ ips: ['10.88.0.2'], raw: {} }),
      detach: nothing,
      listDebts: () => [],
      status: async () => ({ isReady: false, reason: 'NetworkPluginNotReady', message: 'no configuration' }),
      start: nothing,
      stop: () => {},
      describe: () => ({ configuration: undefined, lastLoadError: 'nothing there' }),
      setPodCidr: () => {},
      check: async () => true,
      collectGarbage: nothing,
    },
    lifecycle: {
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    announce: (event) => {
      for (const listener of listeners) listener(event);
    },
    facts: {
      version: '0.1.0',
      cgroupDriver: 'cgroupfs',
      handlers: [
        { name: 'crun', isDefault: true, hasRecursiveReadonlyMounts: true, hasUserNamespaces: true },
        { name: 'runc', isDefault: false, hasRecursiveReadonlyMounts: false, hasUserNamespaces: false },
      ],
      hasHostNetworkUserNamespaces: false,
      stateDir: '/run/berth',
      configuration: { a: 1 },
      programVersions: { crun: '1.8.1' },
      definitionProblems: () => ({ cdi: [], ociHooks: [] }),
      problem: () => undefined,
    },
    streaming: undefined,
    stats: undefined,
    checkpoints: undefined,
  };
}
