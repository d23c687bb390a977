/** Volumes with names, as users of docker know them, against a real daemon. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviourBed } from '#conformance/behaviour/bed.ts';
import { imageNames } from '#conformance/behaviour/images.ts';
import { Berth } from './testing/berth.ts';

let bed: BehaviourBed;
let berth: Berth;

beforeAll(async () => {
  bed = await BehaviourBed.start({ images: [imageNames.busybox, imageNames.volumes] });
  berth = new Berth(join(bed.dir, 'berth.sock'));
});
afterAll(() => bed.close());

const volumesFolder = () => join(bed.dir, 'lib/named-volumes');

test('a volume takes what the image has at first use, outlives its containers, and is shared', async () => {
  const image = imageNames.volumes;
  const seen = await berth.ok('run', '--rm', image, 'ls', '-ln', '/data');
  await berth.ok('run', '--rm', '-v', 'kept:/data', image, 'sh', '-c', 'echo mine > /data/own');
  expect(await berth.ok('run', '--rm', '-v', 'kept:/data:ro', image, 'ls', '-ln', '/data')).toContain(
    seen.trim().split('\n').at(-1),
  );
  const readOnly = await berth.run(['run', '--rm', '-v', 'kept:/data:ro', 'busybox', 'touch', '/data/x']);
  expect(readOnly.stderr).toContain('Read-only file system');
  await berth.ok('run', '-d', '--name', 'one', '-v', 'kept:/v', 'busybox', 'sleep', '1000');
  await berth.ok('run', '-d', '--name', 'two', '-v', 'kept:/v', 'busybox', 'sleep', '1000');
  await berth.ok('exec', 'one', 'sh', '-c', 'echo shared > /v/shared');
  expect(await berth.ok('exec', 'two', 'cat', '/v/shared', '/v/own')).toBe('shared\nmine\n');

  expect(await berth.ok('volume', 'ls')).toMatch(/kept .*(one, two|two, one)/);
  expect(await berth.ok('df', '-v')).toMatch(/kept .*(one, two|two, one)/);
  const refused = await berth.run(['volume', 'rm', 'kept']);
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('is used by containers') });
  await berth.ok('rm', '-f', 'one');
  await berth.ok('stop', '-t', '0', 'two');
  expect((await berth.run(['volume', 'rm', 'kept'])).status).toBe(1);
  await berth.ok('rm', '-v', 'two');
  expect(JSON.parse(await berth.ok('volume', 'inspect', '--size', 'kept'))).toMatchObject([
    { name: 'kept', path: join(volumesFolder(), 'kept/data'), containers: [] },
  ]);
  // Its first use is over: what was deleted from it is not put back.
  await berth.ok('run', '--rm', '-v', 'kept:/data', image, 'sh', '-c', 'rm -rf /data/*');
  expect(await berth.ok('run', '--rm', '-v', 'kept:/data', image, 'ls', '/data')).toBe('');
  await berth.ok('volume', 'rm', 'kept');
  expect(readdirSync(volumesFolder())).toEqual([]);
});

test('a path alone is a volume of the container, and goes with it', async () => {
  await berth.ok('run', '--name', 'anon', '-v', '/etc', 'busybox', 'touch', '/etc/new');
  expect(await berth.ok('diff', 'anon')).not.toContain('/etc/new');
  await berth.ok('start', '-a', 'anon');
  const folders = () => readdirSync(join(bed.dir, 'lib/volumes'));
  expect(folders()).toHaveLength(1);
  await berth.ok('rm', '-v', 'anon');
  expect(folders()).toEqual([]);
});

test('volumes are made, listed, pruned and said not to be there; what was cut short is cleared away', async () => {
  expect(await berth.ok('volume', 'create', 'a', '--label', 'for=test')).toBe('a\n');
  expect(await berth.ok('volume', 'create', 'a')).toBe('a\n');
  const madeUp = (await berth.ok('volume', 'create')).trim();
  expect(madeUp).toMatch(/^[0-9a-f]{64}$/);
  expect(JSON.parse(await berth.ok('volume', 'ls', '--json'))).toMatchObject([
    { name: madeUp < 'a' ? madeUp : 'a' },
    {},
  ]);
  expect(JSON.parse(await berth.ok('volume', 'inspect', 'a'))[0].labels).toEqual({ for: 'test' });
  expect((await berth.run(['volume', 'rm', 'none'])).stderr).toContain('there is no volume "none"');
  expect((await berth.run(['volume', 'rm', '-f', 'none'])).status).toBe(0);
  expect((await berth.run(['volume', 'create', '../up'])).status).toBe(1);
  expect((await berth.run(['run', '-v', 'bad name:/x', 'busybox'])).status).toBe(2);
  expect((await berth.run(['volume', 'remake'])).status).toBe(2);

  const left = join(volumesFolder(), '.removing-0123456789abcdef');
  mkdirSync(join(left, 'data'), { recursive: true });
  const audit = ['audit', '--config', join(bed.dir, 'config.toml')];
  expect((await berth.run(audit)).stdout).toContain(left);
  await bed.endDaemon('SIGKILL');
  await bed.startDaemon();
  expect(existsSync(left)).toBe(false);
  expect((await berth.run(audit)).stdout).not.toContain('named-volumes');
  expect(await berth.ok('volume', 'ls', '-q')).toContain(madeUp);

  expect((await berth.run(['volume', 'prune'])).status).toBe(2);
  await berth.ok('run', '--name', 'user', '-v', 'a:/a', 'busybox', 'true');
  expect(await berth.ok('volume', 'prune', '--yes')).toBe(`${madeUp}\n`);
  expect(await berth.ok('volume', 'ls', '-q')).toBe('a\n');
  await berth.ok('rm', 'user');
  await berth.ok('volume', 'rm', 'a');
});
