/** The audit of names: each fault is planted in the records of a daemon that is stopped, as a damaged disk might leave them. */
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { managedByLabel, nameLabel } from '#base/managed-pod.ts';
import { FaultBed, imageName } from '#conformance/faults/bed.ts';
import { PodWalk } from '#conformance/faults/pod-walk.ts';
import { fixNode } from './audit-fix.ts';

type Stored = Record<string, unknown> & { config: { labels: Record<string, string> } };

let bed: FaultBed;
let walk: PodWalk;

beforeAll(async () => {
  bed = await FaultBed.prepare();
  await bed.start();
  await bed.call('PullImage', { image: { image: imageName } });
  walk = new PodWalk(bed, { name: 'named', tries: 1 });
  await walk.run();
  await walk.start(['sleep', '1000']);
  await bed.stop();
});

afterEach(takePlantedBack);

afterAll(async () => {
  await bed.close();
});

function inDatabase<T>(work: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(bed.config.daemon.rootDir, 'state.db'));
  try {
    return work(database);
  } finally {
    database.close();
  }
}

function idOf(table: string): string {
  return inDatabase((database) => String(database.prepare(`SELECT id FROM ${table}`).get()!.id));
}

const tables = ['sandboxes', 'containers', 'image_references'];

/** Changes records until the test is over. */
function plant(work: (database: DatabaseSync) => void): void {
  inDatabase((database) => {
    for (const table of tables)
      database.exec(`CREATE TABLE IF NOT EXISTS planted_${table} AS SELECT * FROM ${table}`);
    work(database);
  });
}

function takePlantedBack(): void {
  inDatabase((database) => {
    if (!database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'planted_sandboxes'").get()) return;
    for (const table of tables)
      database.exec(
        `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM planted_${table}; DROP TABLE planted_${table}`,
      );
  });
}

/** Puts a copy of a record under another id. */
function plantCopy(table: string, id: string, change: Record<string, unknown> = {}): void {
  plant((database) => {
    const { record } = database.prepare(`SELECT record FROM ${table}`).get() as { record: string };
    const copy = { ...(JSON.parse(record) as Stored), ...change, id };
    database.prepare(`INSERT OR REPLACE INTO ${table} VALUES (?, 1, ?)`).run(id, JSON.stringify(copy));
  });
}

function plantImageName(name: string, imageId: string): void {
  plant((database) => database.prepare('INSERT INTO image_references VALUES (?, ?)').run(name, imageId));
}

/** Adds labels to every record of a table, which are then not of a kubelet's pod. */
function plantLabels(table: string, labels: Record<string, string>): void {
  plant((database) => {
    for (const { id, record } of database.prepare(`SELECT id, record FROM ${table}`).all()) {
      const stored = JSON.parse(String(record)) as Stored;
      const own: Record<string, string> = { ...stored.config.labels, ...labels };
      delete own['io.kubernetes.pod.uid'];
      const changed = JSON.stringify({ ...stored, config: { ...stored.config, labels: own } });
      database.prepare(`UPDATE ${table} SET record = ? WHERE id = ?`).run(changed, id!);
    }
  });
}

async function found(): Promise<string[]> {
  return (await bed.audit()).map(({ kind, what, id, path }) => `${kind} ${what} ${path} (${id.slice(0, 8)})`);
}

async function mends(): Promise<string> {
  return (await bed.audit()).map(({ mend }) => mend).join('\n');
}

const other = 'e'.repeat(64);

test('a node in good order shows none', async () => {
  expect(await found()).toEqual([]);
});

test('two pods of one name are told, both, and --fix touches neither', async () => {
  const id = idOf('sandboxes');
  plantCopy('sandboxes', other, { state: 'notReady' });
  const names = (await bed.audit()).filter(({ what }) => what === 'pod name');
  expect(names.map((finding) => finding.id).toSorted()).toEqual([id, other].toSorted());
  expect(names[0]).toMatchObject({
    kind: 'conflict',
    path: expect.stringContaining('faults/named attempt 0'),
  });
  expect(await mends()).toContain(other.slice(0, 12));
  const { fixed, left } = await fixNode(bed.config);
  expect(fixed).toEqual([]);
  expect(left.map(({ finding }) => finding.what)).toEqual(['pod name', 'pod name']);
  expect(inDatabase((database) => database.prepare('SELECT id FROM sandboxes').all()).length).toBe(2);
});

test('two containers of one name in a sandbox are told, and another attempt is another name', async () => {
  plantCopy('containers', other, { state: 'exited' });
  expect((await found()).filter((line) => line.startsWith('conflict container name main'))).toHaveLength(2);
});

test('two containers of managed pods with the same name of their users are told', async () => {
  plantCopy('sandboxes', other, { state: 'notReady' });
  plantCopy('containers', 'd'.repeat(64), { state: 'exited', sandboxId: other });
  plantLabels('containers', { [nameLabel]: 'web' });
  // A kubelet's pods may have the label of whoever wrote them.
  expect((await found()).filter((line) => line.includes("user's name"))).toEqual([]);
  plantLabels('sandboxes', { [managedByLabel]: 'berth-cli' });
  expect((await found()).filter((line) => line.includes("user's name web"))).toHaveLength(2);
  expect(await mends()).toContain('berth rename');
});

test('a container of a sandbox without a record is told, and not where that record cannot be read', async () => {
  plantCopy('containers', 'd'.repeat(64), { state: 'exited', sandboxId: other });
  expect(await found()).toEqual([`missing sandbox of a container ${other} (dddddddd)`]);
  plantCopy('sandboxes', other, { config: 'damaged' });
  expect(await found()).toEqual(['missing readable record state.db (eeeeeeee)']);
});

test('a name of an image that is not there is told, and --fix leaves it', async () => {
  plantImageName('docker.io/library/gone:latest', `sha256:${other}`);
  expect(await found()).toEqual(['missing image of a name docker.io/library/gone:latest (sha256:e)']);
  expect((await fixNode(bed.config)).left).toHaveLength(1);
});

test('a name that nobody can ask for, and one with a digest that the image does not have, are told', async () => {
  const id = idOf('image_images');
  plantImageName('short', id);
  plantImageName(`docker.io/library/faulty@sha256:${other}`, id);
  expect((await found()).toSorted()).toEqual([
    `conflict image name docker.io/library/faulty@sha256:${other} (${id.slice(0, 8)})`,
    `leak image name short (${id.slice(0, 8)})`,
  ]);
  const { fixed } = await fixNode(bed.config);
  expect(fixed).toEqual([]);
});

test('a container of an image that was removed is in order: its layers stay', async () => {
  await bed.start();
  await bed.call('RemoveImage', { image: { image: imageName } });
  await bed.stop();
  expect(await found()).toEqual([]);
  await bed.start();
  await bed.call('PullImage', { image: { image: imageName } });
  await bed.stop();
});

test('volumes without their description or data, and containers of volumes that are gone, are told', async () => {
  const folder = join(bed.config.daemon.rootDir, 'named-volumes');
  mkdirSync(join(folder, 'torn'));
  try {
    const data = `missing volume data ${join(folder, 'torn/data')} ()`;
    const description = `missing volume description ${join(folder, 'torn/volume.json')} ()`;
    expect((await found()).toSorted()).toEqual([data, description]);
    // The data is made again by the next start, and what described it is not made up.
    await bed.start();
    await bed.stop();
    expect(await found()).toEqual([description]);
  } finally {
    rmSync(join(folder, 'torn'), { recursive: true });
  }
  const { record } = inDatabase((database) => database.prepare('SELECT record FROM containers').get()!);
  const { config } = JSON.parse(String(record)) as Stored;
  const mounts = [{ hostPath: join(folder, 'lost/data') }];
  const metadata = { name: 'stores', attempt: 0 };
  plantCopy('containers', other, { state: 'exited', config: { ...config, metadata, mounts } });
  expect(await found()).toEqual([`missing volume ${join(folder, 'lost')} (eeeeeeee)`]);
});

test('a running container without the folder of its log is told, whoever made that folder', async () => {
  const aside = `${walk.logDirectory}.aside`;
  renameSync(walk.logDirectory, aside);
  try {
    expect(await found()).toEqual([
      `missing log folder ${walk.logDirectory} (${walk.containerId.slice(0, 8)})`,
    ]);
  } finally {
    renameSync(aside, walk.logDirectory);
  }
});
