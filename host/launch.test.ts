import { closeSync, openSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { launch, run } from './launch.ts';
import { findProcess } from './proc.ts';

const shell = (script: string) => ({ path: '/bin/sh', args: ['-c', script] });
const descriptors = () => readdirSync('/proc/self/fd').length;

test('output, exit codes and signals come back; a child gets PATH and nothing else', async () => {
  const result = await run(shell('env | cut -d= -f1 | sort | tr "\\n" " "; echo words >&2; exit 3'));
  expect(result.stdout.toString()).toBe('PATH PWD ');
  expect(result.stderr.toString()).toBe('words\n');
  expect(result.status).toEqual({ type: 'exited', code: 3 });
  expect((await run(shell('kill -9 $$'))).status).toEqual({ type: 'signaled', signal: 9 });
  const echoed = await run({ ...shell('cat; pwd'), input: 'text', cwd: '/usr', env: {} });
  expect(echoed.stdout.toString()).toBe('text/usr\n');
});

test('descriptors arrive under the numbers asked for, also when these are in use here', async () => {
  // What this process inherited without close-on-exec is none of our business.
  const inherited = (await run(shell('ls /proc/self/fd'))).stdout.toString().trim().split('\n').length;
  const [a, b] = [openSync('/etc/hostname', 'r'), openSync('/etc/passwd', 'r')];
  try {
    // Each one's number is the place of the other.
    const child = launch({
      ...shell(`readlink /proc/self/fd/${b} /proc/self/fd/${a}; ls /proc/self/fd`),
      descriptors: { [b]: a, [a]: b },
      stdout: 'pipe',
    });
    let text = '';
    child.stdout!.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await child.exited;
    const [first, second, ...open] = text.trim().split('\n');
    expect([first, second]).toEqual(['/etc/hostname', '/etc/passwd']);
    expect(open).toHaveLength(inherited + 2);
  } finally {
    closeSync(a);
    closeSync(b);
  }
});

test('signals that are ignored here are not ignored there, and none is blocked', async () => {
  const { stdout } = await run(shell('grep -E "Sig(Blk|Ign)" /proc/self/status'));
  expect(stdout.toString().match(/0{16}/g)).toHaveLength(2);
});

test('a deadline and a cancellation kill, and are told apart', async () => {
  const sleeper = { path: '/bin/sleep', args: ['1000'] };
  await expect(run({ ...sleeper, timeoutMs: 50 })).rejects.toMatchObject({ kind: 'DeadlineExceeded' });
  const cancel = new AbortController();
  setTimeout(() => cancel.abort(), 50);
  await expect(run({ ...sleeper, signal: cancel.signal })).rejects.toMatchObject({ kind: 'Canceled' });
  await expect(run({ ...sleeper, signal: cancel.signal })).rejects.toMatchObject({ kind: 'Canceled' });
});

test('a child that keeps the output open is waited for only a while, and dies with its group if that is asked', async () => {
  const startedMs = performance.now();
  const script = 'sleep 1000 & echo $!';
  const lingering = await run({ ...shell(script), drainMs: 50 });
  expect(performance.now() - startedMs).toBeLessThan(900);
  process.kill(Number(lingering.stdout), 'SIGKILL');
  const group = launch({ ...shell(`${script}; wait`), newSession: true, stdout: 'pipe' });
  const pid = await new Promise<number>((resolve) =>
    group.stdout!.once('data', (chunk: Buffer) => resolve(Number(chunk))),
  );
  process.kill(-group.pid, 'SIGKILL');
  await group.exited;
  await expect.poll(() => findProcess(pid)).toBeUndefined();
});

test('more output than is wanted is read to its end', async () => {
  const { stdout, status } = await run({ ...shell('head -c 3000000 /dev/zero'), outputLimitBytes: 1000 });
  expect(stdout.length).toBe(1000);
  expect(status).toEqual({ type: 'exited', code: 0 });
});

test('a program that cannot be started leaves nothing open', async () => {
  const before = descriptors();
  const launchIt = () =>
    launch({ path: '/no/such/program', args: [], stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
  for (let turn = 0; turn < 10; turn += 1) expect(launchIt).toThrow(/ENOENT/);
  await expect.poll(descriptors).toBe(before);
});

test('a lack of descriptors leaves nothing open either', async () => {
  const before = descriptors();
  const hoard: number[] = [];
  try {
    for (;;) hoard.push(openSync('/dev/null', 'r'));
  } catch {
    // none is left
  }
  // Enough for the pipes of two streams, not for those of three.
  for (let count = 0; count < 5; count += 1) closeSync(hoard.pop()!);
  const launchIt = () =>
    launch({ path: '/bin/true', args: [], stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
  try {
    expect(launchIt).toThrow(/EMFILE/);
  } finally {
    for (const fd of hoard) closeSync(fd);
  }
  await expect.poll(descriptors).toBe(before);
});

test('many programs at once: every end and every output is that of its own, also of those that end at once', async () => {
  const before = descriptors();
  const runs = Array.from({ length: 60 }, (_, index) => run(shell(`echo ${index}; exit ${index}`)));
  const missing = run({ path: '/no/such/program', args: [] });
  await expect(missing).rejects.toThrow('starting /no/such/program: ENOENT');
  for (const [index, result] of (await Promise.all(runs)).entries()) {
    expect(result.stdout.toString()).toBe(`${index}\n`);
    expect(result.status).toEqual({ type: 'exited', code: index });
  }
  await expect.poll(descriptors).toBe(before);
});

test('one that is stopped while it is being started does not go on', async () => {
  const busy = Array.from({ length: 8 }, () => run(shell('exec sleep 0.2')));
  const abort = new AbortController();
  const stopped = run({ ...shell('exec sleep 4321'), signal: abort.signal });
  abort.abort(new Error('not wanted any more'));
  await expect(stopped).rejects.toMatchObject({ kind: 'Canceled' });
  await Promise.all(busy);
});
