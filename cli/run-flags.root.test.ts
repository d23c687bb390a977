/** Flags of `berth run` beyond the CRI: what they do is asked of the kernel, from inside the container. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviourBed, until } from '#conformance/behaviour/bed.ts';
import { imageNames } from '#conformance/behaviour/images.ts';
import { Berth } from './testing/berth.ts';

let bed: BehaviourBed;
let berth: Berth;

beforeAll(async () => {
  bed = await BehaviourBed.start({ images: [imageNames.busybox] });
  berth = new Berth(join(bed.dir, 'berth.sock'));
});
afterAll(() => bed.close());

const inside = (flags: readonly string[], script: string) =>
  berth.ok('run', '--rm', ...flags, 'busybox', 'sh', '-c', script);

test('memory file systems, /dev/shm, hosts, limits, and an init that reaps', async () => {
  const flags = ['--tmpfs', '/run:size=1m,mode=750', '--mount', 'type=tmpfs,target=/t,tmpfs-size=2m,ro'];
  flags.push('--shm-size', '3m', '--add-host', 'db:10.0.0.7', '--add-host', 'db6:fd00::7');
  flags.push('--ulimit', 'nofile=100:200', '--oom-score-adj', '500');
  const script =
    'grep -E " (/run|/t|/dev/shm) " /proc/mounts; stat -c %a /run; tail -n 2 /etc/hosts; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj';
  const lines = (await inside(flags, script)).trim().split('\n');
  expect(lines.find((line) => line.includes(' /run '))).toMatch(/tmpfs rw,nosuid,nodev,noexec.*size=1024k/);
  expect(lines.find((line) => line.includes(' /t '))).toMatch(/tmpfs ro,.*size=2048k/);
  expect(lines.find((line) => line.includes(' /dev/shm '))).toContain('size=3072k');
  expect(lines.slice(3)).toEqual(['750', '10.0.0.7 db', 'fd00::7 db6', '100', '200', '500']);
  expect(
    await inside(['--init', '--read-only'], 'cat /proc/1/comm; echo $$ | grep -v "^1$" | wc -l'),
  ).toMatch(/^(catatonit|\.berth-init)\n1\n$/);
  expect((await berth.run(['run', '--rm', '--init', 'busybox', 'sh', '-c', 'exit 9'])).status).toBe(9);
  expect((await berth.run(['run', '--rm', '--tmpfs', '/t:bad=1', 'busybox'])).stderr).toContain(
    'the option "bad=1" of the tmpfs at /t is not known',
  );
  expect((await berth.run(['run', '--rm', '--ulimit', 'wrong=1', 'busybox'])).stderr).toContain(
    'there is no limit "wrong"',
  );
  expect(await berth.ok('ps', '-aq')).toBe('');
});

test('confinement, groups, devices, dns, cpus and users are those that were asked for', async () => {
  const profile = join(bed.dir, 'seccomp.json');
  writeFileSync(
    profile,
    JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }],
    }),
  );
  const status = 'grep -E "^(Seccomp|NoNewPrivs):" /proc/self/status | cut -f2 | tr "\\n" " "';
  expect(await inside([], status)).toBe('0 2 ');
  expect(
    await inside(['--security-opt', 'seccomp=unconfined', '--security-opt', 'no-new-privileges'], status),
  ).toBe('1 0 ');
  const refused = await berth.run([
    'run',
    '--rm',
    '--security-opt',
    `seccomp=${profile}`,
    'busybox',
    'mkdir',
    '/x',
  ]);
  expect(refused.stderr).toContain('Operation not permitted');
  const flags = ['--group-add', '4242', '--device', '/dev/null:/dev/nowhere:r', '--dns', '10.1.2.3'];
  flags.push('--dns-search', 'test.example', '--cpuset-cpus', '0', '--sysctl', 'net.ipv4.ip_forward=1');
  const script =
    'id -G | grep -c 4242; ls /dev/nowhere; cat /etc/resolv.conf; grep Cpus_allowed_list /proc/self/status | cut -f2; cat /proc/sys/net/ipv4/ip_forward';
  expect(await inside(flags, script)).toBe(
    '1\n/dev/nowhere\nsearch test.example\nnameserver 10.1.2.3\n0\n1\n',
  );
  // Debian 12's crun cannot, and that is said.
  const mapped = await berth.run([
    'run',
    '--rm',
    '--userns',
    '200000',
    'busybox',
    'cat',
    '/proc/self/uid_map',
  ]);
  if (mapped.status === 0) expect(mapped.stdout.trim().split(/\s+/)).toEqual(['0', '200000', '65536']);
  else expect(mapped.stderr).toContain('it needs crun 1.9 or runc 1.2');
});

test('stop waits as long as the container was made to, and by its own signal', async () => {
  const script = 'trap "echo usr; exit 3" USR1; trap "" TERM; echo up; while :; do sleep 0.1; done';
  await berth.ok(...['run', '-d', '--name', 'stops', '--stop-signal', 'USR1', 'busybox', 'sh', '-c', script]);
  await until(async () => (await berth.ok('logs', 'stops')).includes('up') || undefined, 5000, 'up');
  await berth.ok('stop', 'stops');
  expect(await berth.ok('logs', 'stops')).toBe('up\nusr\n');
  await berth.ok('rm', 'stops');
  await berth.ok(...['run', '-d', '--name', 'deaf', '--stop-timeout', '0', 'busybox', 'sh', '-c', script]);
  await until(async () => (await berth.ok('logs', 'deaf')).includes('up') || undefined, 5000, 'up');
  const startedMs = Date.now();
  await berth.ok('stop', 'deaf');
  expect(Date.now() - startedMs).toBeLessThan(9000);
  await berth.ok('rm', 'deaf');
});

test('exec -d leaves a command behind, and tells of one that cannot be run', async () => {
  await berth.ok('run', '-d', '--name', 'host', 'busybox', 'sleep', '1000');
  expect(
    await berth.ok(
      ...['exec', '-d', '-e', 'A=b', 'host', 'sh', '-c', 'yes | head -c 1000000; echo $A > /left; sleep 999'],
    ),
  ).toBe('');
  await until(
    async () => (await berth.run(['exec', 'host', 'cat', '/left'])).stdout === 'b\n' || undefined,
    5000,
    'the file',
  );
  expect(await berth.ok('top', '--no-stream', 'host')).toContain('sleep 999');
  expect(await berth.run(['exec', '-d', 'host', 'no-such-program'])).toMatchObject({ status: 127 });
  expect(await berth.run(['exec', '-d', '-t', 'host', 'id'])).toMatchObject({ status: 2 });
  await berth.ok('rm', '-f', 'host');
});

test("a container joins the network of another's pod, and goes without it", async () => {
  const serve = 'echo page > /index.html; exec httpd -f -p 80 -h /';
  await berth.ok('run', '-d', '--name', 'web', 'busybox', 'sh', '-c', serve);
  const joining = ['--network', 'container:web', 'busybox'];
  const page = ['sh', '-c', 'until wget -qO- http://127.0.0.1/index.html 2>/dev/null; do sleep 0.1; done'];
  expect(await berth.ok('run', '--rm', ...joining, ...page)).toBe('page\n');
  expect(await berth.ok('ps', '-a', '--format', '{{.Names}}')).toBe('web\n');
  await berth.ok('run', '-d', '--name', 'beside', ...joining, 'sleep', '1000');
  expect((await berth.run(['run', '--name', 'beside', ...joining])).stderr).toContain('beside is taken');
  expect((await berth.run(['run', '-p', '80', ...joining])).stderr).toContain('--publish says nothing');
  expect((await berth.run(['run', '-d', '--rm', ...joining])).status).toBe(2);
  expect((await berth.run(['run', '--network', 'mine', 'busybox'])).status).toBe(2);
  await berth.ok('stop', '-t', '0', 'web');
  expect((await berth.run(['rm', 'web'])).stderr).toContain('that of beside too');
  // The pod goes on while one of its containers does.
  await berth.ok('start', 'web');
  await berth.ok('rm', '-f', 'beside');
  expect(await berth.ok('exec', 'web', ...page)).toBe('page\n');
  await berth.ok('rm', '-f', 'web');
  expect(await berth.ok('pods', '-q')).toBe('');
});
