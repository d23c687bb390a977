/** Copies into an ended container that break off: part of the files may be there, and nothing else of them is. */
import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Connection } from '#cli/connection.ts';
import { BehaviourBed, type Pod, until } from '#conformance/behaviour/bed.ts';
import { writeTar } from '#conformance/fixtures/tar.ts';
import { listMounts } from '#host/mount.ts';

let bed: BehaviourBed;
let pod: Pod;
let id: string;

beforeAll(async () => {
  bed = await BehaviourBed.start();
  pod = await bed.runPod();
  id = await bed.run(pod, 'ended', { command: ['true'] });
  await bed.ended(id);
});
afterAll(async () => {
  await bed.removePod(pod);
  await bed.close();
});

const archive = writeTar([
  { path: 'first', type: 'file', content: 'first' },
  { path: 'second', type: 'file', content: Buffer.alloc(100_000, 'second') },
]);
/** The first file and half of the second one. */
const part = archive.subarray(0, 50_000);

const mounted = () => listMounts().some(({ mountPoint }) => mountPoint.includes(id));
const isOpen = () =>
  readdirSync(`/proc/${bed.pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${bed.pid}/fd/${fd}`).includes(id);
    } catch {
      return false; // closed meanwhile
    }
  });

async function connected<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = new Connection(join(bed.dir, 'berth.sock'));
  try {
    return await work(connection);
  } finally {
    connection.close();
  }
}

/** Sends a part, and nothing more until `end` has done its work. */
async function breakOff(end: (leave: () => void) => Promise<void> | void): Promise<void> {
  const left = new AbortController();
  const never = Promise.withResolvers<void>();
  await connected(async (connection) => {
    const pieces = async function* () {
      yield { container_id: id, path: '/tmp', data: part, keep_owner: false };
      await never.promise;
    };
    const copying = connection.adminUpload('CopyToContainer', pieces(), { signal: left.signal });
    const failed = expect(copying).rejects.toThrow();
    await until(() => (mounted() ? true : undefined), 10_000, 'the copy');
    await end(() => left.abort());
    never.resolve();
    await failed;
  });
}

async function expectWhole(): Promise<void> {
  await connected(async (connection) => {
    const pieces = async function* () {
      yield { container_id: id, path: '/tmp', data: archive, keep_owner: false };
    };
    await connection.adminUpload('CopyToContainer', pieces());
    const request = { container_id: id, path: '/tmp/second', follow_link: false };
    expect(await connection.admin('StatPath', request)).toMatchObject({ type: 'file', size_bytes: 100_000n });
  });
  expect(mounted()).toBe(false);
  expect(isOpen()).toBe(false);
}

test('a client that leaves', async () => {
  await breakOff((leave) => leave());
  await until(() => (mounted() || isOpen() ? undefined : true), 10_000, 'the end of the mount');
  await expectWhole();
}, 30_000);

test('a daemon that is killed', async () => {
  await breakOff(() => bed.endDaemon('SIGKILL'));
  await bed.startDaemon();
  expect(mounted()).toBe(false);
  await expectWhole();
}, 30_000);
