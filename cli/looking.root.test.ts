/** How containers are listed and looked at, and what changes how they are: pauses and names. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviourBed } from '#conformance/behaviour/bed.ts';
import { imageNames } from '#conformance/behaviour/images.ts';
import { Berth } from './testing/berth.ts';

let bed: BehaviourBed;
let berth: Berth;

beforeAll(async () => {
  bed = await BehaviourBed.start({ images: [imageNames.busybox] });
  berth = new Berth(join(bed.dir, 'berth.sock'));
});
afterAll(() => bed.close());

test('ps shows commands, and both ps and inspect print what a template says', async () => {
  await berth.ok('run', '-d', '--name', 'a', '-l', 'app=web', 'busybox', 'sh', '-c', 'sleep 1000; echo end');
  await berth.ok('create', '--name', 'b', 'busybox');
  expect(await berth.ok('ps', '-a')).toMatch(/COMMAND[\s\S]*\bsh {2}[\s\S]*sh -c sleep 1000; echo … /);
  expect(await berth.ok('ps', '--no-trunc')).toContain('sh -c sleep 1000; echo end');
  expect(await berth.ok('ps', '-a', '--format', '{{.Names}}\\t{{.State}}\\t{{.Label "app"}}')).toBe(
    'b\tcreated\t\na\trunning\tweb\n',
  );
  expect(JSON.parse(await berth.ok('ps', '--format', '{{json .}}'))).toMatchObject({ Names: 'a' });
  const wrong = await berth.run(['ps', '--format', '{{.Nmaes}}']);
  expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining('{{.Names}}') });
  const pid = (await berth.ok('inspect', '--format', '{{.info.info.pid}}', 'a')).trim();
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  expect(JSON.parse(await berth.ok('inspect', '-f', '{{json .labels}}', 'a'))).toMatchObject({ app: 'web' });
  expect(await berth.run(['inspect', '-f', '{{.no.such}}', 'a'])).toMatchObject({ status: 2 });
  await berth.ok('run', '-d', '--name', 'c', 'busybox', 'sleep', '77');
  const top = await berth.ok('top', '--no-stream');
  expect(top).toMatch(/CONTAINER +PID/);
  expect(top).toMatch(/\na .*sh -c sleep 1000; echo end\n/);
  expect(top).toMatch(/\nc .*sleep 77\n/);
  await berth.ok('rm', '-f', 'a', 'b', 'c');
});

test('a paused container stands still over a restart of the daemon, is stopped and removed', async () => {
  const count = 'trap "exit 4" TERM; while :; do echo x >> /count; sleep 0.05; done';
  await berth.ok('run', '-d', '--name', 'still', 'busybox', 'sh', '-c', count);
  await berth.ok('pause', 'still');
  await berth.ok('pause', 'still');
  const size = async () => {
    const to = join(bed.dir, 'count');
    await berth.ok('cp', 'still:/count', to);
    return (await import('node:fs')).statSync(to).size;
  };
  const before = await size();
  expect(await berth.ok('ps')).toMatch(/Up .*\(Paused\) .*still/);
  expect(await berth.ok('ps', '-q', '--filter', 'status=paused')).not.toBe('');
  expect((await berth.run(['exec', 'still', 'true'])).stderr).toContain('is paused');
  await bed.endDaemon('SIGTERM');
  await bed.startDaemon();
  expect(await berth.ok('ps')).toContain('(Paused)');
  expect(await size()).toBe(before);
  await berth.ok('unpause', 'still');
  expect(await berth.ok('exec', 'still', 'echo', 'goes')).toBe('goes\n');
  await berth.ok('pause', 'still');
  await berth.ok('stop', 'still');
  expect(await berth.ok('ps', '-a')).toMatch(/Exited \(4\).*still/);
  expect((await berth.run(['pause', 'still'])).stderr).toContain('only a running one can be paused');
  await berth.ok('start', 'still');
  expect(await berth.ok('ps')).not.toContain('(Paused)');
  await berth.ok('pause', 'still');
  await berth.ok('rm', '-f', 'still');
  expect(await berth.ok('ps', '-aq')).toBe('');
});

test('a renamed container keeps all but its name, which is free again', async () => {
  await berth.ok('run', '-d', '--name', 'old', 'busybox', 'sh', '-c', 'echo said; sleep 1000');
  await berth.ok('rename', 'old', 'new');
  await berth.ok('run', '-d', '--name', 'old', 'busybox', 'sleep', '1000');
  expect(await berth.run(['rename', 'old', 'new'])).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('the name new is taken'),
  });
  expect(await berth.run(['rename', 'old', 'no name'])).toMatchObject({ status: 2 });
  await berth.ok('rm', '-f', 'old');
  expect(await berth.ok('logs', 'new')).toBe('said\n');
  await bed.endDaemon('SIGTERM');
  await bed.startDaemon();
  expect(await berth.ok('ps', '--format', '{{.Names}}')).toBe('new\n');
  expect(await berth.ok('pods')).toContain('new');
  await berth.ok('restart', '-t', '0', 'new');
  await berth.ok('rm', '-f', 'new');
});

test('colours are for terminals, and for nobody who says NO_COLOR', async () => {
  await berth.ok('run', '-d', '--name', 'shown', 'busybox', 'sleep', '1000');
  const onTerminal = async (...flags: string[]): Promise<string> => {
    const terminal = new Berth(join(bed.dir, 'berth.sock')).onTerminal(['ps', ...flags]);
    await terminal.ended();
    return terminal.shown;
  };
  expect(await onTerminal()).toMatch(/\u001b\[32mUp /);
  expect(await onTerminal('--no-color')).not.toContain('\u001b');
  process.env.NO_COLOR = '1';
  try {
    expect(await onTerminal()).not.toContain('\u001b');
  } finally {
    delete process.env.NO_COLOR;
  }
  expect(await berth.ok('ps')).not.toContain('\u001b');
  await berth.ok('rm', '-f', 'shown');
});
