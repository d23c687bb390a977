/** How containers end, what is said of it, and what stands in their logs. */
import { existsSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ContainerState, NamespaceMode } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod, until } from './bed.ts';

let bed: BehaviourBed;
let pod: Pod;

beforeAll(async () => {
  bed = await BehaviourBed.start();
  pod = await bed.runPod();
});
afterAll(() => bed.close());

const shell = (script: string) => ({ command: ['sh', '-c', script] });

const linePattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(?:Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP]) (.*)$/;

/** The streams of a log file put together again, as a kubelet does: parts up to a full line. */
function readLog(text: string): { readonly stdout: string; readonly stderr: string } {
  const streams: Record<string, string> = { stdout: '', stderr: '' };
  for (const line of text.split('\n').slice(0, -1)) {
    const match = linePattern.exec(line);
    if (!match) throw new Error(`no line of a log: ${line.slice(0, 200)}`);
    streams[match[1]!] += match[3]! + (match[2] === 'F' ? '\n' : '');
  }
  return { stdout: streams.stdout!, stderr: streams.stderr! };
}

test('code and reason tell how the process ended', async () => {
  const shared = await bed.runPod({
    linux: {
      cgroup_parent: bed.cgroupParent,
      security_context: { namespace_options: { pid: NamespaceMode.POD } },
    },
  });
  const cases = [
    ['completed', pod, 'exit 0', 0, 'Completed'],
    ['failed', pod, 'exit 3', 3, 'Error'],
    ['high', pod, 'exit 255', 255, 'Error'],
    // PID 1 of a namespace is spared signals that it does not handle; in a shared one it is a process like any other.
    ['segfault', shared, 'kill -SEGV $$', 139, 'Error'],
    ['terminated', shared, 'kill -TERM $$', 143, 'Error'],
    ['realtime', shared, 'kill -40 $$', 168, 'Error'],
  ] as const;
  await Promise.all(
    cases.map(async ([name, home, script, code, reason]) => {
      const status = await bed.ended(await bed.run(home, name, shell(script)));
      expect(status).toMatchObject({ exit_code: code, reason, message: '' });
      expect(status.started_at).toBeGreaterThanOrEqual(status.created_at);
      expect(status.finished_at).toBeGreaterThanOrEqual(status.started_at);
    }),
  );
  await bed.removePod(shared);
});

test('a container that ends as soon as it starts is seen to have run', async () => {
  const names = Array.from({ length: 12 }, (_, index) => `brief-${index}`);
  await Promise.all(
    names.map(async (name, index) => {
      const id = await bed.run(pod, name, shell(`echo ${name}; exit ${index}`));
      const status = await bed.ended(id);
      expect(status.exit_code).toBe(index);
      expect(status.started_at).toBeGreaterThan(0n);
      expect(readLog(bed.logText(pod, name)).stdout).toBe(`${name}\n`);
    }),
  );
});

test('a lack of memory is told from other ends, also when only a child fell to it', async () => {
  const limited = { linux: { resources: { memory_limit_in_bytes: BigInt(24 << 20) } } };
  const [main, child] = await Promise.all([
    bed.run(pod, 'oom-main', { command: ['tail', '/dev/zero'], ...limited }),
    bed.run(pod, 'oom-child', { ...shell('tail /dev/zero'), ...limited }),
  ]);
  for (const id of [main, child])
    expect(await bed.ended(id, 20_000)).toMatchObject({ exit_code: 137, reason: 'OOMKilled' });
});

test('a start that fails ends the container, with the reason', async () => {
  const id = await bed.create(pod, 'unstartable');
  rmSync(join(bed.dir, 'run', 'oci', 'crun', id, 'exec.fifo'));
  await expect(bed.call('StartContainer', { container_id: id })).rejects.toThrow(/exec\.fifo/);
  const status = await bed.status(id);
  expect(status).toMatchObject({
    state: ContainerState.CONTAINER_EXITED,
    exit_code: 128,
    reason: 'StartError',
    started_at: 0n,
  });
  expect(status.message).toMatch(/exec\.fifo/);
  expect(status.finished_at).toBeGreaterThan(0n);
  await expect(bed.call('StartContainer', { container_id: id })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
  await bed.call('RemoveContainer', { container_id: id });
});

test('a second start is refused, and one of a container that never was', async () => {
  const id = await bed.run(pod, 'started');
  await expect(bed.call('StartContainer', { container_id: id })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
  await expect(bed.call('StartContainer', { container_id: 'f'.repeat(64) })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('both streams are logged whole: long lines, pieces of lines, an end without a newline', async () => {
  const script = `echo out; echo err >&2; printf 'a '; sleep 0.1; printf 'slow '; sleep 0.1; echo line
    head -c 50000 /dev/zero | tr '\\0' x; echo; printf 'no newline'`;
  const id = await bed.run(pod, 'lines', shell(script));
  await bed.ended(id);
  const log = readLog(bed.logText(pod, 'lines'));
  expect(log.stderr).toBe('err\n');
  expect(log.stdout).toBe(`out\na slow line\n${'x'.repeat(50_000)}\nno newline`);
  const { log_path: path } = await bed.status(id);
  expect(path).toBe(join(pod.logDir, 'lines.log'));
  expect(statSync(path).mode & 0o777 & ~0o640).toBe(0);
});

test('a log can be rotated under output without losing a line', async () => {
  const script = 'i=0; while [ $i -lt 4000 ]; do echo $i; i=$((i+1)); [ $((i%40)) = 0 ] && sleep 0.01; done';
  const id = await bed.run(pod, 'rotated', shell(script));
  const path = join(pod.logDir, 'rotated.log');
  const parts: string[] = [];
  for (let turn = 0; turn < 5; turn += 1) {
    const isOver = async () => (await bed.status(id)).state !== ContainerState.CONTAINER_RUNNING;
    const hasOutput = () => existsSync(path) && statSync(path).size > 0;
    await until(async () => (hasOutput() || (await isOver()) ? true : undefined), 5000, 'output or the end');
    if (await isOver()) break;
    const aside = `${path}.${turn}`;
    renameSync(path, aside);
    parts.push(aside);
    const reopened = await bed.call('ReopenContainerLog', { container_id: id }).then(
      () => true,
      () => false, // it has ended meanwhile
    );
    if (!reopened) break;
    expect(existsSync(path)).toBe(true);
  }
  await bed.ended(id);
  const text = [...parts, path]
    .map((file) => (existsSync(file) ? readLog(readFileSync(file, 'utf8')).stdout : ''))
    .join('');
  expect(text).toBe(Array.from({ length: 4000 }, (_, line) => `${line}\n`).join(''));
  expect(parts.length).toBeGreaterThan(1);
  await expect(bed.call('ReopenContainerLog', { container_id: id })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
});

test('several at once may ask for the log to be reopened', async () => {
  const id = await bed.run(pod, 'reopened', shell('while :; do echo tick; sleep 0.02; done'));
  await Promise.all([1, 2, 3].map(() => bed.call('ReopenContainerLog', { container_id: id })));
  await until(() => (bed.logText(pod, 'reopened').includes('tick') ? true : undefined), 5000, 'output');
});

test('the folder of a log is made, and no log is written where none is asked for', async () => {
  const [deep, none] = await Promise.all([
    bed.run(pod, 'deep', { ...shell('echo deep'), log_path: 'a/b/0.log' }),
    bed.run(pod, 'none', { ...shell('echo none; sleep 0.2'), log_path: '' }),
  ]);
  await Promise.all([bed.ended(deep), bed.ended(none)]);
  expect(readLog(readFileSync(join(pod.logDir, 'a/b/0.log'), 'utf8')).stdout).toBe('deep\n');
  expect((await bed.status(none)).log_path).toBe('');
  await expect(bed.create(pod, 'out', { log_path: '../out.log' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
