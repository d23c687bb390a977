/** What happens to an image in the sweep: pulled and removed, and by an operator named, saved, loaded and pushed. */
import { type FaultBed, otherImageName } from './bed.ts';
import { insist } from './pod-walk.ts';

let counter = 0;

/** An image is pulled, used by nobody, removed. */
export async function liveImage(bed: FaultBed, failures: string[], tries: number): Promise<void> {
  const image = { image: otherImageName };
  await insist(
    bed,
    failures,
    'PullImage',
    async () => {
      await bed.call('PullImage', { image });
      const { image: pulled } = await bed.call('ImageStatus', { image });
      if (!pulled) throw new Error('the pulled image is not there');
    },
    tries,
  );
  await insist(bed, failures, 'RemoveImage', () => bed.call('RemoveImage', { image }), tries);
}

/** An image is pulled, named anew, saved, removed, loaded from what was saved, pushed, removed. */
export async function liveMovedImage(bed: FaultBed, failures: string[], tries: number): Promise<void> {
  const name = 'docker.io/library/copy:latest';
  const image = { image: otherImageName };
  await insist(bed, failures, 'PullImage', () => bed.call('PullImage', { image }), tries);
  await insist(
    bed,
    failures,
    'TagImage',
    () => bed.admin('TagImage', { image: otherImageName, target: name }),
    tries,
  );
  const archive = await insist(
    bed,
    failures,
    'SaveImages',
    async () => {
      const pieces = await bed.admin('SaveImages', { images: [name], format: 'oci' });
      return pieces.map((piece) => (piece as { data: Buffer }).data);
    },
    tries,
  );
  const drop = async () => {
    // A try that died may have done it.
    const { image: found } = await bed.call('ImageStatus', { image: { image: name } });
    if (found) await bed.admin('DropImage', { image: name, force: false });
  };
  await insist(bed, failures, 'DropImage', drop, tries);
  await insist(bed, failures, 'RemoveImage', () => bed.call('RemoveImage', { image }), tries);
  const messages = archive.map((data) => ({ data }));
  await insist(bed, failures, 'LoadImages', () => bed.admin('LoadImages', ...messages), tries);
  await insist(
    bed,
    failures,
    'PushImage',
    () => bed.admin('PushImage', { image: name, target: `${bed.registryHost}/moved/copy${counter}:1` }),
    tries,
  );
  counter += 1;
  await insist(
    bed,
    failures,
    'RemoveImage',
    () => bed.call('RemoveImage', { image: { image: name } }),
    tries,
  );
}

export async function expectNoImage(bed: FaultBed): Promise<void> {
  const { images } = await bed.call('ListImages', {});
  if (images.length !== 1) throw new Error(`${images.length} images are listed, not one`);
  // What a failed pull keeps for its retry is for the next start to remove.
  await bed.stop();
  await bed.start();
  // Answers when what was removed is off the disk.
  await bed.call('ImageFsInfo', {});
  await bed.expectClean(true);
}
