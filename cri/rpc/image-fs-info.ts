import { toFilesystemUsage } from '../convert/image.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** What the store takes; images and the writable layers of containers stand on one file system. */
export function imageFsInfo({ images }: Pick<CriServices, 'images'>): UnaryHandler<'ImageFsInfo'> {
  return async () => {
    const usage = toFilesystemUsage(await images.usage(), BigInt(Date.now()) * 1_000_000n);
    return { image_filesystems: [usage], container_filesystems: [usage] };
  };
}
