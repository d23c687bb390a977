/** ExecSync: what comes back, what is bounded, and that nothing of a command outlives its deadline. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocketClient } from '#cri/streaming/testing/websocket-client.ts';
import { listDescendants, listProcessesOf, readCommandLine } from '#host/proc.ts';
import { NamespaceMode } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod, until } from './bed.ts';

let bed: BehaviourBed;
let pod: Pod;
let id: string;

beforeAll(async () => {
  bed = await BehaviourBed.start();
  pod = await bed.runPod();
  id = await bed.run(pod, 'main', {
    envs: [{ key: 'OWN', value: Buffer.from('of the container') }],
    working_dir: '/tmp',
    linux: { security_context: { run_as_user: { value: 1234n }, supplemental_groups: [77n] } },
  });
});
afterAll(() => bed.close());

/** Sleepers with an argument that no other process has. */
let marks = 0;
function newMark(): { readonly seconds: string; readonly count: () => number } {
  marks += 1;
  const seconds = `${1000 + marks}.${process.pid}`;
  const count = () =>
    listProcessesOf((path) => path === 'sleep').filter(({ command }) => command[1] === seconds).length;
  return { seconds, count };
}
const gone = (mark: ReturnType<typeof newMark>) =>
  until(() => (mark.count() === 0 ? true : undefined), 3000, 'the end of what the command had started');

/** Children in the foreground, in the background, in a session of their own and without any tie to their parents. */
const family = ({ seconds }: { readonly seconds: string }) =>
  `sleep ${seconds} & setsid sleep ${seconds} & (setsid sh -c "sleep ${seconds} & sleep ${seconds}" >/dev/null 2>&1 </dev/null &); sleep ${seconds}`;
const familySize = 5;

test('both streams and the exit code come back, of the container’s own user, folder and environment', async () => {
  const reply = await bed.exec(id, ['sh', '-c', 'id -u; id -G; pwd; echo $OWN; echo words >&2; exit 3']);
  expect(reply.exit_code).toBe(3);
  expect(reply.stdout.toString()).toBe('1234\n0 77\n/tmp\nof the container\n');
  expect(reply.stderr.toString()).toBe('words\n');
  expect((await bed.exec(id, ['sh', '-c', 'kill -9 $$'])).exit_code).toBe(137);
  expect((await bed.exec(id, ['true'])).exit_code).toBe(0);
});

test('what cannot be run is an error that names it', async () => {
  await expect(bed.exec(id, ['no-such-program'])).rejects.toThrow(/no-such-program/);
  await expect(bed.exec(id, ['/etc/passwd'])).rejects.toThrow(/ermission denied|not executable/);
  await expect(bed.exec(id, [])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(bed.exec('f'.repeat(64), ['true'])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const created = await bed.create(pod, 'unstarted');
  await expect(bed.exec(created, ['true'])).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
});

test('at its deadline a command ends with all that it started', async () => {
  const mark = newMark();
  const call = bed.exec(id, ['sh', '-c', family(mark)], 1);
  call.catch(() => {});
  await until(() => (mark.count() === familySize ? true : undefined), 900, 'the family');
  const startedMs = performance.now();
  await expect(call).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect(performance.now() - startedMs).toBeLessThan(3000);
  await gone(mark);
  // The container itself, and commands beside it, are none of its business.
  expect(await bed.sh(id, 'echo alive')).toBe('alive\n');
});

test('the same where the PID namespace is the pod’s or the node’s, and when the client leaves', async () => {
  const modes = [NamespaceMode.POD, NamespaceMode.NODE];
  await Promise.all(
    modes.map(async (pid) => {
      const other = await bed.runPod({
        linux: { cgroup_parent: bed.cgroupParent, security_context: { namespace_options: { pid } } },
      });
      const container = await bed.run(other, 'shared');
      const bystander = newMark();
      await bed.sh(container, `setsid sleep ${bystander.seconds} >/dev/null 2>&1 </dev/null &`);
      const mark = newMark();
      const cancel = new AbortController();
      const request = { container_id: container, cmd: ['sh', '-c', family(mark)], timeout: 60n };
      const call = bed.call('ExecSync', request, 30_000, cancel.signal);
      call.catch(() => {});
      await until(() => (mark.count() === familySize ? true : undefined), 5000, 'the family');
      cancel.abort();
      await expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
      await gone(mark);
      expect(bystander.count()).toBe(1);
      await bed.removePod(other);
      await gone(bystander);
    }),
  );
});

test('output beyond what a message takes is read and dropped, and the command runs to its end', async () => {
  const script =
    'head -c 30000000 /dev/zero | tr "\\0" o; head -c 30000000 /dev/zero | tr "\\0" e >&2; exit 5';
  const reply = await bed.exec(id, ['sh', '-c', script]);
  expect(reply.exit_code).toBe(5);
  expect(reply.stdout.length + reply.stderr.length).toBeLessThan(16 << 20);
  expect(reply.stdout.length).toBeGreaterThan(7 << 20);
  expect(reply.stderr.length).toBeGreaterThan(7 << 20);
  expect(reply.stdout.every((byte) => byte === 0x6f)).toBe(true);
});

test.concurrent.each(['crun', 'runc'])(
  'a child that holds the output open is waited for only a while (%s)',
  async (handler) => {
    const other = await bed.runPod({}, handler);
    const container = await bed.run(other, 'holder');
    const mark = newMark();
    const startedMs = performance.now();
    const reply = await bed.exec(container, ['sh', '-c', `sleep ${mark.seconds} & echo done; exit 4`]);
    expect(performance.now() - startedMs).toBeLessThan(5000);
    expect(reply).toMatchObject({ exit_code: 4 });
    expect(reply.stdout.toString()).toBe('done\n');
    expect(mark.count()).toBe(1);
    const family_ = newMark();
    await expect(bed.exec(container, ['sh', '-c', family(family_)], 1)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await gone(family_);
    await expect(bed.exec(container, ['no-such-program'])).rejects.toThrow(/no-such-program/);
    expect((await bed.exec(container, ['sh', '-c', 'exit 7'])).exit_code).toBe(7);
    await bed.removePod(other);
    await gone(mark);
  },
);

test('many commands at once do not mix', async () => {
  const numbers = Array.from({ length: 40 }, (_, index) => index);
  const replies = await Promise.all(
    numbers.map((number) => bed.exec(id, ['sh', '-c', `echo ${number}; exit ${number}`])),
  );
  expect(replies.map((reply) => [reply.stdout.toString(), reply.exit_code])).toEqual(
    numbers.map((number) => [`${number}\n`, number]),
  );
  const bundle = join(bed.dir, 'run', 'bundles', id);
  expect(readdirSync(bundle).filter((name) => name.startsWith('exec-'))).toEqual([]);
});

test('commands work while the container is being stopped, and end with it', async () => {
  const deaf = await bed.run(pod, 'deaf', { command: ['sleep', '1000'] });
  const running = bed.exec(deaf, ['sleep', '100']);
  const ended = running.then(
    (reply) => reply.exit_code,
    () => 'failed',
  );
  const stopping = bed.call('StopContainer', { container_id: deaf, timeout: 1n });
  await delay(200);
  expect(await bed.sh(deaf, 'echo alive')).toBe('alive\n');
  await stopping;
  expect([137, 'failed']).toContain(await ended);
  await expect(bed.exec(deaf, ['true'])).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
});

test('a command that meets the end of the container says so', async () => {
  const outcomes = new Set<string>();
  for (let turn = 0; turn < 6; turn += 1) {
    const brief = await bed.run(pod, `brief-${turn}`, { command: ['sleep', '0.1'] });
    for (let outcome = ''; outcome === ''; ) {
      outcome = await bed.exec(brief, ['true']).then(
        (reply) => (reply.exit_code === 0 ? '' : `exit code ${reply.exit_code}`),
        (error) => error.message,
      );
      if (outcome !== '') outcomes.add(outcome);
    }
  }
  // Killed at work it has a code.
  const known = /FAILED_PRECONDITION|^exit code (137|255)$/;
  expect([...outcomes].filter((outcome) => !known.test(outcome))).toEqual([]);
});

test.each(['ExecSync', 'Exec'] as const)(
  'a command of %s whose OCI runtime is killed ends with all it started, and its client is told',
  async (rpc) => {
    const mark = newMark();
    const cmd = ['sh', '-c', `${family(mark)}; echo end`];
    const session =
      rpc === 'Exec'
        ? await openSession(cmd)
        : { told: bed.exec(id, cmd).then(String, (error) => String(error)) };
    await until(() => mark.count() === familySize || undefined, 5000, 'the start of the command');
    const runtime = listDescendants(bed.pid).filter((pid) => {
      const words = readCommandLine(pid);
      return words.includes('exec') && words.includes(id);
    });
    for (const pid of runtime) process.kill(pid, 'SIGKILL');
    expect(await session.told).toContain('itself was ended by signal 9');
    await gone(mark);
    expect(await bed.sh(id, 'echo alive')).toBe('alive\n');
  },
);

/** A streamed command; `told` is what its error channel says at its end. */
async function openSession(cmd: readonly string[]): Promise<{ readonly told: Promise<string> }> {
  const { url } = await bed.call('Exec', { container_id: id, cmd: [...cmd], stdout: true, stderr: true });
  const client = await WebSocketClient.connect(url, ['v5.channel.k8s.io']);
  return { told: client.closed.then(() => client.channel(3).toString()) };
}
