/** The walk of `docker run -i -t ubuntu /bin/bash` and the commands around it, against a real daemon. */
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviourBed, until } from '#conformance/behaviour/bed.ts';
import { imageNames } from '#conformance/behaviour/images.ts';
import { Berth } from './testing/berth.ts';

let bed: BehaviourBed;
let berth: Berth;

beforeAll(async () => {
  bed = await BehaviourBed.start({ images: [imageNames.busybox, imageNames.volumes] });
  berth = new Berth(join(bed.dir, 'berth.sock'));
});
afterAll(() => bed.close());

const podsOf = async (name: string) =>
  (JSON.parse(await berth.ok('pods', '--json')) as { name: string; state: string; ips: string[] }[]).find(
    (pod) => pod.name === name,
  );
const untilState = (name: string, state: string | undefined) =>
  until(async () => ((await podsOf(name))?.state === state ? true : undefined), 10_000, `${name} ${state}`);

test('the walk: pulled, made, on a terminal, ended, started again with what it wrote, removed', async () => {
  await bed.call('RemoveImage', { image: { image: imageNames.busybox } });
  const terminal = berth.onTerminal(['run', '-it', '--name', 'walk', 'busybox', 'sh']);
  await terminal.until('# ');
  expect(terminal.shown).toMatch(/busybox is not here: pulling it[\s\S]*pulled busybox/);
  terminal.type(
    'hostname; ip -4 addr show eth0 | grep -c inet; test -t 0 && echo a-$((1+1))-terminal; echo x > /kept\n',
  );
  await terminal.until('a-2-terminal');
  expect(terminal.shown).toMatch(/walk\r\n1\r\n/);
  terminal.resize(41, 123);
  terminal.type('until stty size | grep -q 123; do sleep 0.1; done; stty size\n');
  await terminal.until('41 123');
  terminal.type('exit 7\n');
  expect(await terminal.ended()).toBe(7);
  // Ended and not removed; its address is given back.
  await untilState('walk', 'notReady');
  expect(await berth.ok('ps')).not.toContain('walk');
  expect(await berth.ok('ps', '-a')).toMatch(/Exited \(7\).*walk/);

  const again = berth.onTerminal(['start', '-ai', 'walk']);
  await again.until('# ');
  expect((await podsOf('walk'))?.ips).toHaveLength(1);
  again.type('cat /kept && echo same-$((2+2))\n');
  await again.until('same-4');
  // Left by the keys it goes on, and one comes back.
  again.type('\u0010\u0011');
  expect(await again.ended()).toBe(0);
  expect(await berth.ok('ps')).toContain('walk');
  const back = berth.onTerminal(['attach', 'walk']);
  back.type('\n');
  await back.until('# ');
  back.type('exit\n');
  expect(await back.ended()).toBe(0);
  await berth.ok('rm', 'walk');
  expect(await berth.ok('ps', '-aq')).toBe('');
  expect(existsSync(join(bed.dir, 'lib/logs/walk'))).toBe(false);
});

test('exit statuses are those of the command, or say why there was none', async () => {
  const statusOf = async (...args: string[]) => (await berth.run(args)).status;
  expect(await statusOf('run', '--rm', 'busybox', 'sh', '-c', 'exit 42')).toBe(42);
  expect(await statusOf('run', '--rm', 'busybox', 'no-such-program')).toBe(127);
  expect(await statusOf('run', '--rm', 'busybox', '/etc')).toBe(126);
  expect(await statusOf('run', '--rm', '--pull', 'never', 'no-such-image')).toBe(125);
  expect(await statusOf('run', '--nmae', 'x', 'busybox')).toBe(2);
  expect(await statusOf('run', '--rm', 'busybox', 'sh', '-c', 'sleep 9 & kill -9 $!; wait $!')).toBe(137);
  const elsewhere = await new Berth('/nonexistent/socket').run(['ps']);
  expect(elsewhere).toMatchObject({ status: 1, stdout: '' });
  expect(elsewhere.stderr).toContain('no daemon answers at /nonexistent/socket');
  expect(await berth.ok('ps', '-aq')).toBe('');
  expect(await berth.ok('pods', '-q')).toBe('');
});

test('without a terminal input, output and errors are pipes, and signals reach the container', async () => {
  const copied = await berth.run(['run', '-i', '--rm', 'busybox', 'sh', '-c', 'cat; echo bad >&2'], 'in\n');
  expect(copied).toEqual({ status: 0, stdout: 'in\n', stderr: 'bad\n' });
  const large = 'x'.repeat(3_000_000);
  expect((await berth.run(['run', '-i', '--rm', 'busybox', 'cat'], large)).stdout).toBe(large);

  const child = berth.spawn([
    'run',
    '--rm',
    'busybox',
    'sh',
    '-c',
    'trap "exit 5" INT; echo up; while :; do sleep 0.1; done',
  ]);
  await once(child.stdout!, 'data');
  child.kill('SIGINT');
  expect((await once(child, 'close'))[0]).toBe(5);
  await untilState('gone', undefined);
});

test('flags reach the kernel', async () => {
  const dir = join(bed.dir, 'volume');
  mkdirSync(dir);
  writeFileSync(join(dir, 'file'), 'of the host\n');
  writeFileSync(join(dir, 'env'), '# comment\nB=from file\nC=1\n');
  const script = [
    'id -u; id -g; pwd; hostname; echo "$A,$B,$C"; cat /v/file',
    'touch /v/x 2>&1; touch /x 2>&1; grep CapEff /proc/self/status',
    'cat /proc/sys/net/ipv4/ip_unprivileged_port_start',
  ].join('; ');
  const args = ['run', '--rm', '-u', '1000:1001', '-w', '/tmp', '-h', 'host-name', '-e', 'A=a', '-e', 'C=2'];
  args.push('--env-file', join(dir, 'env'), '-v', `${dir}:/v:ro`, '--read-only', '--cap-drop', 'ALL');
  args.push('--sysctl', 'net.ipv4.ip_unprivileged_port_start=80', 'busybox', 'sh', '-c', script);
  const { stdout } = await berth.run(args);
  expect(stdout.split('\n')).toEqual([
    '1000',
    '1001',
    '/tmp',
    'host-name',
    'a,from file,2',
    'of the host',
    expect.stringContaining('Read-only file system'),
    expect.stringContaining('Read-only file system'),
    'CapEff:\t0000000000000000',
    '80',
    '',
  ]);
  expect(await berth.ok('run', '--rm', '--network', 'none', 'busybox', 'ip', '-o', 'link')).toMatch(
    /^1: lo:[^\n]*\n$/,
  );
  expect(await berth.ok('run', '--rm', '--network', 'host', 'busybox', 'hostname')).toBe(
    readFileSync('/proc/sys/kernel/hostname', 'utf8'),
  );
  const id = (
    await berth.ok(
      'run',
      '-d',
      '--name',
      'limited',
      '-m',
      '32m',
      '--cpus',
      '0.5',
      '--pids-limit',
      '20',
      'busybox',
      'sleep',
      '100',
    )
  ).trim();
  const { runtimeSpec } = (await bed.info(id)) as unknown as {
    runtimeSpec: { linux: { resources: object } };
  };
  expect(runtimeSpec.linux.resources).toMatchObject({
    memory: { limit: 32 << 20 },
    cpu: { quota: 50_000, period: 100_000 },
    pids: { limit: 20 },
  });
  await berth.ok('update', '-m', '48m', 'limited');
  expect((await bed.status(id)).resources?.linux?.memory_limit_in_bytes).toBe(BigInt(48 << 20));
  await berth.ok('rm', '-f', 'limited');
});

test('names are unique, and ports lead to the container until it is stopped', async () => {
  const port = await freePort();
  const serve = ['busybox', 'sh', '-c', 'echo page > /index.html; exec httpd -f -h /'];
  await berth.ok('run', '-d', '--name', 'web', '-p', `${port}:80`, ...serve);
  const fetched = () => fetch(`http://127.0.0.1:${port}/index.html`).then((reply) => reply.text());
  await until(() => fetched().catch(() => undefined), 5000, 'the page');
  expect(await berth.ok('port', 'web', '80')).toBe(`0.0.0.0:${port}\n`);
  expect(await berth.run(['run', '-d', '--name', 'web', 'busybox'])).toMatchObject({
    status: 125,
    stderr: expect.stringContaining('the name web is taken'),
  });
  await berth.ok('stop', '-t', '0', 'web');
  await untilState('web', 'notReady');
  await expect(fetched()).rejects.toThrow();
  await berth.ok('restart', 'web');
  await until(() => fetched().catch(() => undefined), 5000, 'the page after a restart');

  const forward = berth.spawn(['port-forward', 'web', ':80']);
  const [line] = (await once(forward.stdout!.setEncoding('utf8'), 'data')) as [string];
  const local = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
  expect(await fetch(`http://127.0.0.1:${local}/index.html`).then((reply) => reply.text())).toBe('page\n');
  forward.kill('SIGINT');
  await once(forward, 'close');
  await berth.ok('rm', '-f', 'web');
});

test('a port without one of this machine gets a free one, which stays; one that is taken is refused', async () => {
  const serve = ['busybox', 'sh', '-c', 'echo page > /index.html; exec httpd -f -h /'];
  await berth.ok('run', '-d', '--name', 'any', '-p', '80', '-p', '127.0.0.1::81/udp', ...serve);
  const shown = await berth.ok('port', 'any');
  const [, port] = /^80\/tcp -> 0\.0\.0\.0:(\d+)$/m.exec(shown)!;
  expect(shown).toMatch(/^81\/udp -> 127\.0\.0\.1:\d+$/m);
  const fetched = () => fetch(`http://127.0.0.1:${port}/index.html`).then((reply) => reply.text());
  expect(await until(() => fetched().catch(() => undefined), 5000, 'the page')).toBe('page\n');
  const taken = await berth.run(['run', '-d', '--name', 'other', '-p', `${port}:80`, ...serve]);
  expect(taken).toMatchObject({ status: 125, stderr: expect.stringContaining('leads to pod any already') });
  expect(await berth.ok('ps', '-aq', '--filter', 'name=other')).toBe('');
  await berth.ok('restart', '-t', '0', 'any');
  expect(await berth.ok('port', 'any')).toBe(shown);
  await berth.ok('rm', '-f', 'any');
});

test('a terminal that closes leaves its container running, and a daemon that restarts does too', async () => {
  const terminal = berth.onTerminal(['run', '-it', '--name', 'left', 'busybox', 'sh']);
  await terminal.until('# ');
  terminal.close();
  await terminal.ended();
  expect(await berth.ok('ps')).toContain('left');
  const child = berth.spawn(['wait', 'left']);
  const said = once(child.stderr!.setEncoding('utf8'), 'data');
  await until(() => (bed.logTail(50).includes('WaitContainer') ? true : undefined), 500, 'the wait').catch(
    () => {},
  );
  await bed.endDaemon('SIGTERM');
  await bed.startDaemon();
  expect((await said)[0]).toContain('left: ');
  const back = berth.onTerminal(['attach', 'left']);
  back.type('\n');
  await back.until('# ');
  back.type('exit\n');
  expect(await back.ended()).toBe(0);
  await berth.ok('rm', 'left');
});

test('exec: a terminal, another user, environment and folder, and its exit status', async () => {
  await berth.ok('run', '-d', '--name', 'beside', 'busybox', 'sleep', '1000');
  const terminal = berth.onTerminal(['exec', '-it', 'beside', 'sh']);
  await terminal.until('# ');
  terminal.type('tty; exit 3\n');
  await terminal.until('/dev/pts/');
  expect(await terminal.ended()).toBe(3);
  expect(
    await berth.ok(
      'exec',
      '-u',
      'nobody',
      '-w',
      '/tmp',
      '-e',
      'A=b',
      'beside',
      'sh',
      '-c',
      'id -un; pwd; echo $A',
    ),
  ).toBe('nobody\n/tmp\nb\n');
  expect(await berth.run(['exec', 'beside', 'no-such-program'])).toMatchObject({ status: 127 });
  expect(await berth.run(['exec', '-u', 'no-such-user', 'beside', 'id'])).toMatchObject({ status: 125 });
  const { stdout } = await berth.run(['top', '--no-stream', 'beside']);
  expect(stdout).toMatch(/COMMAND\n.*sleep 1000\n$/);
  expect(JSON.parse(await berth.ok('stats', '--no-stream', '--json'))).toMatchObject([
    { name: 'beside', processes: 1 },
  ]);
  for (const [command, key, shown] of [
    [['stats'], 'm', 'by memory'],
    [['top', 'beside'], 'c', 'by cpu'],
  ] as const) {
    const live = berth.onTerminal(command);
    await live.until(command[0] === 'stats' ? 'beside' : 'sleep 1000');
    live.type(key);
    await live.until(shown);
    live.type('q');
    expect(await live.ended()).toBe(0);
  }
  expect(
    JSON.parse((await berth.run(['kill', '-s', 'WINCH', 'beside', 'no-such', '--json'])).stdout),
  ).toEqual([
    { name: 'beside', result: 'beside' },
    { name: 'no-such', error: 'there is no container "no-such"' },
  ]);
  await berth.ok('kill', '-s', 'KILL', 'beside');
  expect(await berth.ok('wait', 'beside')).toBe('137\n');
  await berth.ok('rm', 'beside');
});

test('logs: both streams, the last lines, what comes, times', async () => {
  const script = 'for i in 1 2 3; do echo out $i; echo err $i >&2; sleep 0.3; done';
  await berth.ok('run', '-d', '--name', 'talk', 'busybox', 'sh', '-c', script);
  const followed = await berth.run(['logs', '-f', 'talk']);
  expect(followed).toEqual({ status: 0, stdout: 'out 1\nout 2\nout 3\n', stderr: 'err 1\nerr 2\nerr 3\n' });
  expect((await berth.run(['logs', '--tail', '1', 'talk'])).stderr).toBe('err 3\n');
  expect((await berth.run(['logs', '-t', 'talk'])).stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+\S* out 1\n/);
  expect(await berth.ok('logs', '--until', '1h', 'talk')).toBe('');
  // A second life goes on in the same log.
  await berth.ok('start', '-a', 'talk');
  expect((await berth.ok('logs', 'talk')).match(/out 1/g)).toHaveLength(2);
  await berth.ok('rm', 'talk');
});

test('cp: both ways, running and stopped, and no link leads out of the container', async () => {
  const dir = join(bed.dir, 'copy');
  mkdirSync(join(dir, 'tree/sub'), { recursive: true });
  writeFileSync(join(dir, 'tree/sub/file'), 'deep\n', { mode: 0o640 });
  symlinkSync('sub/file', join(dir, 'tree/link'));
  writeFileSync(join(dir, 'one'), 'one\n');
  await berth.ok('run', '-d', '--name', 'box', imageNames.volumes, 'sleep', '1000');
  await berth.ok('cp', join(dir, 'tree'), 'box:/tmp/named');
  await berth.ok('cp', `${join(dir, 'tree')}/.`, 'box:/scratch');
  expect(
    await berth.ok(
      'exec',
      'box',
      'sh',
      '-c',
      'cat /tmp/named/link /scratch/sub/file; stat -c "%a %u" /tmp/named/sub/file',
    ),
  ).toBe('deep\ndeep\n640 0\n');
  await berth.ok('cp', 'box:/scratch', join(dir, 'back'));
  expect(readFileSync(join(dir, 'back/link'), 'utf8')).toBe('deep\n');

  // What would be root's here, or a device of the node, is not.
  await berth.ok(
    'exec',
    'box',
    'sh',
    '-c',
    'mkdir /evil; cp /bin/sh /evil/su; chmod 6755 /evil/su; mkfifo /evil/pipe',
  );
  const copied = await berth.run(['cp', 'box:/evil', join(dir, 'evil')]);
  expect(copied).toMatchObject({ status: 0, stderr: 'not copied, for it is a FIFO: "evil/pipe"\n' });
  expect(readdirSync(join(dir, 'evil'))).toEqual(['su']);
  expect(statSync(join(dir, 'evil/su')).mode & 0o7777).toBe(0o755);
  await berth.ok('cp', '-a', 'box:/evil', join(dir, 'evil-kept'));
  expect(statSync(join(dir, 'evil-kept/su')).mode & 0o7777).toBe(0o6755);

  // Links that an attacker in the container makes, to folders and files of the node.
  await berth.ok(
    'exec',
    'box',
    'sh',
    '-c',
    `mkdir -p ${dir}; ln -s ${dir} /out; ln -s /../../../../../..${dir} /up; ln -s ${dir}/one /leak`,
  );
  await berth.ok('cp', join(dir, 'one'), 'box:/out/written');
  await berth.ok('cp', join(dir, 'one'), 'box:/up/written-too');
  expect(existsSync(join(dir, 'written'))).toBe(false);
  expect(existsSync(join(dir, 'written-too'))).toBe(false);
  expect(await berth.ok('exec', 'box', 'ls', dir)).toBe('written\nwritten-too\n');
  expect(await berth.run(['cp', '-L', 'box:/leak', join(dir, 'leaked')])).toMatchObject({ status: 1 });
  expect(existsSync(join(dir, 'leaked'))).toBe(false);

  await berth.ok('stop', '-t', '0', 'box');
  await berth.ok('cp', join(dir, 'one'), 'box:/root/while-stopped');
  await berth.ok('cp', 'box:/tmp/named/sub/file', join(dir, 'from-stopped'));
  expect(readFileSync(join(dir, 'from-stopped'), 'utf8')).toBe('deep\n');
  await berth.ok('start', 'box');
  // Volumes keep what the first life wrote there.
  expect(await berth.ok('exec', 'box', 'cat', '/root/while-stopped', '/scratch/sub/file')).toBe(
    'one\ndeep\n',
  );
  await berth.ok('rm', '-f', 'box');
});

test('a container that an older daemon left ended comes back, and one with --rm goes', async () => {
  await berth.ok('run', '-d', '--name', 'stays', 'busybox', 'sh', '-c', 'echo x >> /runs; sleep 1000');
  await berth.ok('run', '-d', '--rm', '--name', 'goes', 'busybox', 'sleep', '1000');
  const pids = await Promise.all(
    ['stays', 'goes'].map(async (name) => {
      const [found] = JSON.parse(await berth.ok('inspect', name)) as { info: { info: { pid: number } } }[];
      return found!.info.info.pid;
    }),
  );
  await bed.endDaemon('SIGKILL');
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await bed.startDaemon();
  await untilState('goes', undefined);
  await untilState('stays', 'notReady');
  expect(await berth.ok('ps', '-a')).toMatch(/Exited \(137\).*stays/);
  await berth.ok('start', 'stays');
  const audit = ['audit', '--config', join(bed.dir, 'config.toml')];
  // Other daemons of this machine may have cgroups of their own.
  const { stdout: findings } = await berth.run(audit);
  expect(
    findings.split('\n').filter((line) => !/^leak cgroup|^records and machine agree|^$/.test(line)),
  ).toEqual([]);
  mkdirSync(join(bed.dir, 'lib/logs/nobody'));
  expect(await berth.run(audit)).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('lib/logs/nobody'),
  });
  rmdirSync(join(bed.dir, 'lib/logs/nobody'));
  expect(await berth.ok('exec', 'stays', 'sh', '-c', 'sleep 0.2; wc -l < /runs')).toBe('2\n');
  await berth.ok('rm', '-f', 'stays');
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}
