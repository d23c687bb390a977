/** The verbs that make, look at, change and remove pods and containers. */
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { require } from './verb-table.ts';
import { inspect, type PodFile, stateOf, type Walk, writeContainer, writePod } from './walk.ts';

/** A pod with three running containers: one that repeats what it hears, one with a terminal, one with a web server. */
export interface RunningPod extends PodFile {
  readonly id: string;
  readonly echo: string;
  readonly terminal: string;
  readonly web: string;
}

export async function checkPod(walk: Walk): Promise<RunningPod> {
  const { crictl, table } = walk;
  const pod = writePod(walk, 'first');
  let id = '';
  await table.check('runp', 'with the default handler; an unknown handler is an error', async () => {
    id = (await crictl.ok(['runp', pod.path])).trim();
    require(/^[0-9a-f]{64}$/.test(id), 'the id is', id);
    await crictl.fails(['runp', '--runtime', 'absent', writePod(walk, 'unknown').path], /absent/);
  });
  await table.check('runp', 'again returns the same pod', async () => {
    require((await crictl.ok(['runp', pod.path])).trim() === id, 'another id');
  });
  await table.check('pods', 'by id prefix, name, state, label; none for a wrong one', async () => {
    const list = async (...args: string[]) => (await crictl.ok(['pods', '-q', ...args])).trim();
    for (const args of [
      [],
      ['--id', id.slice(0, 10)],
      ['--name', '^first$'],
      ['--state', 'Ready'],
      ['--label', 'app=first'],
    ])
      require((await list(...args)) === id, `with ${args.join(' ')}`);
    require((await list('--state', 'NotReady')) === '', 'it is listed as not ready');
    require((await list('--label', 'app=other')) === '', 'it is listed with another label');
    require(/\sReady\s+first\s+crictl\s/.test(await crictl.ok(['pods'])), 'no such row');
  });
  await table.check('inspectp', 'has an address and verbose info', async () => {
    const { status, info } = await crictl.json<{
      status: { state: string; network: { ip: string } };
      info: Record<string, unknown>;
    }>('inspectp', id);
    require(status.state === 'SANDBOX_READY' && /^10\./.test(status.network.ip), 'its status', status);
    require(Object.keys(info).length > 0, 'no info');
  });
  const echo = await makeContainer(walk, id, pod, 'echo', echoScript, { stdin: true });
  const terminal = await makeContainer(walk, id, pod, 'terminal', 'exec sh -i', { stdin: true, tty: true });
  const web = await makeContainer(
    walk,
    id,
    pod,
    'web',
    'mkdir /w; echo page > /w/index.html; exec httpd -f -p 8080 -h /w',
  );
  return { ...pod, id, echo, terminal, web };
}

const echoScript = 'echo started; echo problem >&2; while read line; do echo "heard $line"; done; exit 9';

async function makeContainer(
  walk: Walk,
  podId: string,
  pod: PodFile,
  name: string,
  script: string,
  more: Record<string, unknown> = {},
): Promise<string> {
  const { crictl, table } = walk;
  let id = '';
  await table.check('create', `a container named ${name}`, async () => {
    id = (await crictl.ok(['create', podId, writeContainer(walk, name, script, more), pod.path])).trim();
    require(/^[0-9a-f]{64}$/.test(id), 'the id is', id);
    require((await stateOf(walk, id)) === 'CONTAINER_CREATED', 'it is not created');
  });
  await table.check('start', `the container named ${name}, and not twice`, async () => {
    await crictl.ok(['start', id]);
    require((await stateOf(walk, id)) === 'CONTAINER_RUNNING', 'it does not run');
    await crictl.fails(['start', id], /FailedPrecondition/);
  });
  return id;
}

export async function checkContainers(walk: Walk, pod: RunningPod): Promise<void> {
  const { crictl, table } = walk;
  await table.check('ps', 'all, by pod, name, state and image', async () => {
    const list = async (...args: string[]) =>
      (await crictl.ok(['ps', '-q', ...args])).split('\n').filter(Boolean).toSorted();
    const all = [pod.echo, pod.terminal, pod.web].toSorted();
    require(String(await list()) === String(all), 'without arguments');
    require(String(await list('--pod', pod.id)) === String(all), 'by pod');
    require(String(await list('--name', '^web$')) === pod.web, 'by name');
    require(String(await list('--label', 'part=echo')) === pod.echo, 'by label');
    require((await list('--state', 'Exited')).length === 0, 'by state');
    require(String(await list('--image', 'busybox')) === String(all), 'by image');
    require(/\sRunning\s+web\s+0\s/.test(await crictl.ok(['ps'])), 'no such row');
  });
  await table.check('inspect', 'has the pid and the OCI spec', async () => {
    const { info } = await inspect(walk, pod.echo);
    const { pid, runtimeSpec } = info as { pid?: number; runtimeSpec?: { process?: { args?: string[] } } };
    require((pid ?? 0) > 1 && existsSync(`/proc/${pid}`), 'the pid is', pid);
    require(runtimeSpec?.process?.args?.[0] === 'sh', 'the spec is', runtimeSpec);
  });
  await table.check('inspect', 'of an unknown id is NotFound', async () => {
    await crictl.fails(['inspect', 'feedfacefeedface'], /NotFound/);
  });
  await checkLogs(walk, pod);
  await table.check('update', 'CPU shares and memory reach the cgroup and the status', async () => {
    await crictl.ok(['update', '--cpu-share', '512', '--memory', '100663296', pod.web]);
    const { status } = await inspect(walk, pod.web);
    const { cpuShares, memoryLimitInBytes } = status.resources?.linux ?? {};
    require(cpuShares === '512' && memoryLimitInBytes === '100663296', 'the resources are', status.resources);
    const limit = await crictl.ok([
      'exec',
      '-s',
      pod.web,
      'sh',
      '-c',
      'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes',
    ]);
    require(limit.trim() === '100663296', 'the limit is', limit);
  });
}

async function checkLogs({ crictl, table }: Walk, pod: RunningPod): Promise<void> {
  const file = join(pod.logDirectory, 'echo.log');
  await table.check('logs', 'both streams, one, the tail, with times', async () => {
    const both = await crictl.run(['logs', pod.echo]);
    require(both.stdout === 'started\n' && both.stderr.includes('problem\n'), 'they are', both);
    require((await crictl.run(['logs', '--stream', 'stdout', pod.echo])).stderr === '', 'one has the other');
    require(/^\d{4}-\d\d-\d\dT\S+ started/m.test(await crictl.ok(['logs', '-t', pod.echo])), 'no time');
    const last = await crictl.run(['logs', '--tail', '1', pod.echo]);
    require(/^(started|problem)\n$/.test(last.stdout + last.stderr), 'the tail', last);
  });
  await table.check('logs', '-f follows until interrupted', async () => {
    const follow = crictl.start(['logs', '-f', pod.echo]);
    try {
      await follow.expect(/started/);
      const attach = crictl.start(['attach', '-i', pod.echo]);
      attach.write('for the log\n');
      await follow.expect(/heard for the log/);
      await attach.interrupt();
    } finally {
      await follow.interrupt();
    }
  });
  await table.check('logs', '--reopen: a new file at the path after it was moved', async () => {
    renameSync(file, `${file}.1`);
    await crictl.ok(['logs', '--reopen', pod.echo]);
    require(existsSync(file), 'no new file');
    const attach = crictl.start(['attach', '-i', pod.echo]);
    attach.write('after rotation\n');
    await attach.expect(/heard after rotation/);
    await attach.interrupt();
    require(readFileSync(file, 'utf8').includes('heard after rotation'), 'the new file lacks the line');
    require(!readFileSync(`${file}.1`, 'utf8').includes('rotation'), 'the old file has the line');
  });
}

export async function checkUsage({ crictl, table }: Walk, pod: RunningPod): Promise<void> {
  await table.check('stats', 'of one and of all containers', async () => {
    interface Stats {
      readonly stats: readonly {
        readonly attributes: { readonly id: string };
        readonly cpu: { readonly usageCoreNanoSeconds: { readonly value: string } };
        readonly memory: { readonly workingSetBytes: { readonly value: string } };
        readonly writableLayer: { readonly usedBytes: { readonly value: string } };
      }[];
    }
    const one = await crictl.json<Stats>('stats', '--id', pod.web);
    require(one.stats.length === 1 && Number(one.stats[0]?.memory.workingSetBytes.value) > 0, 'of one', one);
    require(Number(one.stats[0]?.cpu.usageCoreNanoSeconds.value) > 0, 'no CPU time', one);
    require((await crictl.json<Stats>('stats')).stats.length === 3, 'of all');
    require((await crictl.ok(['stats'])).includes(pod.web.slice(0, 13)), 'no such row');
  });
  await table.check('statsp', 'CPU, memory, network and containers of a pod', async () => {
    const text = await crictl.ok(['statsp', '--id', pod.id, '--output', 'json']);
    for (const key of ['usageCoreNanoSeconds', 'workingSetBytes', 'rxBytes', 'processCount', pod.web])
      require(text.includes(key), `no ${key}`, text);
    require((await crictl.ok(['statsp'])).includes(pod.id.slice(0, 13)), 'no such row');
  });
  let names: string[] = [];
  await table.check('metricdescs', 'names metrics and their labels', async () => {
    const { descriptors } = await crictl.json<{ descriptors: { name: string; labelKeys?: string[] }[] }>(
      'metricdescs',
    );
    names = descriptors.map(({ name }) => name);
    require(names.includes('container_memory_working_set_bytes') && names.length > 40, 'they are', names);
  });
  await table.check('metricsp', 'of every described kind only', async () => {
    const text = await crictl.ok(['metricsp', '--output', 'json']);
    const { podMetrics } = JSON.parse(text) as {
      podMetrics: { podSandboxId: string; containerMetrics: { metrics: { name: string }[] }[] }[];
    };
    const mine = podMetrics.find(({ podSandboxId }) => podSandboxId === pod.id);
    require(mine?.containerMetrics.length === 3, 'the containers are missing', text);
    const unknown = mine.containerMetrics
      .flatMap(({ metrics }) => metrics)
      .find(({ name }) => !names.includes(name));
    require(unknown === undefined, 'not described', unknown);
  });
}

/** Ends what `checkPod` made, by every verb that ends something. */
export async function checkEnd(walk: Walk, pod: RunningPod): Promise<void> {
  const { crictl, table } = walk;
  await table.check('stop', 'with and without grace, and again', async () => {
    await crictl.ok(['stop', '--timeout', '1', pod.web]);
    await crictl.ok(['stop', pod.terminal, pod.terminal]);
    await crictl.ok(['stop', pod.web]);
    const { status } = await inspect(walk, pod.web);
    require(status.state === 'CONTAINER_EXITED' && status.exitCode !== 0, 'its status', status);
  });
  await table.check('ps', '-a has the stopped ones', async () => {
    const exited = (await crictl.ok(['ps', '-a', '-q', '--state', 'Exited'])).split('\n').filter(Boolean);
    require(String(exited.toSorted()) === String([pod.terminal, pod.web].toSorted()), 'they are', exited);
  });
  await table.check('rm', 'a stopped one; a running one only with force', async () => {
    await crictl.ok(['rm', pod.web]);
    await crictl.fails(['inspect', pod.web], /NotFound/);
    await crictl.fails(['rm', pod.echo], /running/);
    await crictl.ok(['rm', '--force', pod.echo]);
  });
  await table.check('run', 'a pod and a container at once, with the other handler', async () => {
    const second = writePod(walk, 'second');
    const container = writeContainer(walk, 'short', 'echo done; exit 3');
    const id = (await crictl.ok(['run', '--runtime', 'runc', container, second.path])).trim();
    const events = crictl.start(['logs', '-f', id]);
    await events.expect(/done/);
    // Following ends with the container.
    await events.end({ timeoutMs: 20_000 });
    const { status } = await inspect(walk, id);
    require(status.exitCode === 3 && status.reason === 'Error', 'its status', status);
  });
  await table.check('stopp', 'stops a pod, and again', async () => {
    await crictl.ok(['stopp', pod.id]);
    await crictl.ok(['stopp', pod.id]);
    const { status } = await crictl.json<{ status: { state: string } }>('inspectp', pod.id);
    require(status.state === 'SANDBOX_NOTREADY', 'its state', status);
  });
  await table.check('rmp', 'a stopped pod with what is in it; a ready one only with force', async () => {
    await crictl.ok(['rmp', pod.id]);
    await crictl.fails(['inspectp', pod.id], /NotFound/);
    const ready = (await crictl.ok(['pods', '-q'])).trim();
    await crictl.fails(['rmp', ready], /not stopped|ready|running/i);
    await crictl.ok(['rmp', '--force', ready]);
    require((await crictl.ok(['pods', '-q'])) === '' &&
      (await crictl.ok(['ps', '-a', '-q'])) === '', 'not all is gone');
  });
}
