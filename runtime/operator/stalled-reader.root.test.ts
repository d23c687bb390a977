/** Clients that begin to read from an ended container and then stand still. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Connection } from '#cli/connection.ts';
import { BehaviourBed } from '#conformance/behaviour/bed.ts';

let bed: BehaviourBed;
let connection: Connection;

beforeAll(async () => {
  bed = await BehaviourBed.start();
  connection = new Connection(join(bed.dir, 'berth.sock'));
});
afterAll(async () => {
  connection.close();
  await bed.close();
});

test('a removal does not wait for them', async () => {
  const pod = await bed.runPod();
  const id = await bed.run(pod, 'large', {
    command: ['dd', 'if=/dev/zero', 'of=/large', 'bs=1M', 'count=64'],
  });
  await bed.ended(id);
  const request = { container_id: id, path: '/large', follow_link: false };
  const pieces = connection.adminStream('CopyFromContainer', request, {
    signal: AbortSignal.timeout(60_000),
  });
  const reading = pieces[Symbol.asyncIterator]();
  expect((await reading.next()).done).toBe(false);
  await bed.call('RemoveContainer', { container_id: id });
  const rest = async (): Promise<void> => {
    while (!(await reading.next()).done);
  };
  await expect(rest()).rejects.toThrow('is being removed');
  await bed.removePod(pod);
}, 30_000);
