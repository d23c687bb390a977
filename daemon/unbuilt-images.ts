/** Stands for the image store until it is wired: lists nothing, finds nothing, and says so of everything else. */
import { RuntimeError } from '#base/errors.ts';
import type { ImageService, Snapshotter } from '#images/contract.ts';

function unbuilt(attempted: string): RuntimeError {
  return new RuntimeError('Unimplemented', `${attempted}: the image store is not wired into this build`);
}

export function unbuiltImages(mountPoint: string): ImageService {
  return {
    list: () => [],
    find: () => undefined,
    pull: async ({ reference }) => {
      throw unbuilt(`pull ${reference}`);
    },
    remove: async () => {},
    usage: async () => ({ mountPoint, usedBytes: 0, inodesUsed: 0 }),
  };
}

export function unbuiltSnapshotter(): Snapshotter {
  const refuse = async (key: string): Promise<never> => {
    throw unbuilt(`prepare snapshot ${key}`);
  };
  return {
    prepare: refuse,
    view: refuse,
    find: () => undefined,
    listKeys: () => [],
    remove: async () => {},
    usage: async () => ({ usedBytes: 0, inodesUsed: 0 }),
  };
}
