/** What the demo looks at while its two containers run: isolation, network, log, exec and stats. */
import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CriClient } from '#conformance/cri-client.ts';
import { memoryLimitBytes, webPort } from './pod.ts';
import { DemoFailure, shortId, type Transcript } from './transcript.ts';

export interface Subject {
  readonly transcript: Transcript;
  readonly client: CriClient;
  readonly sandboxId: string;
  /** Ids of the containers. */
  readonly web: string;
  readonly side: string;
}

const logTimeoutMs = 10_000;
const unimplemented = 12; // gRPC status code

/** Standard output of a command in a container, trimmed. Throws DemoFailure unless it exits with 0. */
async function execute({ client }: Subject, containerId: string, cmd: readonly string[]): Promise<string> {
  const reply = await client.call('ExecSync', { container_id: containerId, cmd, timeout: 10n });
  if (reply.exit_code === 0) return textOf(reply.stdout).trim();
  const words = `exit code ${reply.exit_code}: ${textOf(reply.stderr).trim()}`;
  throw new DemoFailure(`${cmd.join(' ')} in ${shortId(containerId)}: ${words}`);
}

/** Shows what the containers share. Resolves with the index of the host's end of the pod's link. */
export async function showIsolation(subject: Subject): Promise<number> {
  const { transcript, web, side } = subject;
  transcript.step('What the two containers share, and what not');
  transcript.say('ExecSync in each: readlink /proc/1/ns/...');
  const script = 'for kind in net ipc uts pid mnt; do readlink /proc/1/ns/$kind; done';
  const ofWeb = (await execute(subject, web, ['sh', '-c', script])).split('\n');
  const ofSide = (await execute(subject, side, ['sh', '-c', script])).split('\n');
  for (const [index, kind] of ['net', 'ipc', 'uts'].entries()) {
    const [a, b, host] = [ofWeb[index], ofSide[index], readlinkSync(`/proc/self/ns/${kind}`)];
    transcript.check(
      `they share the ${kind} namespace, and not the host's`,
      a === b && a !== host,
      `both ${a}, host ${host}`,
    );
  }
  for (const [index, kind] of [
    [3, 'pid'],
    [4, 'mnt'],
  ] as const) {
    const [a, b] = [ofWeb[index], ofSide[index]];
    transcript.check(`each has a ${kind} namespace of its own`, a !== b, `${a} and ${b}`);
  }
  await execute(subject, web, ['sh', '-c', 'echo shared >/dev/shm/note; echo private >/note']);
  const shared = await execute(subject, side, ['cat', '/dev/shm/note']);
  transcript.check('web writes /dev/shm/note, side reads it', shared === 'shared', shared);
  const seen = await execute(subject, side, ['sh', '-c', 'test -e /note && echo there || echo absent']);
  transcript.check('web writes /note, side does not have it', seen === 'absent', seen);
  return Number(await execute(subject, web, ['cat', '/sys/class/net/eth0/iflink']));
}

/** Reaches the server in `web` from `side` over localhost, and from the host over the pod's address. */
export async function showNetwork(subject: Subject, ip: string): Promise<void> {
  const { transcript, side } = subject;
  transcript.step('Reach the web container');
  const expected = 'hello from hello';
  const url = `http://127.0.0.1:${webPort}/`;
  const fromSide = await execute(subject, side, ['wget', '-q', '-O', '-', url]);
  transcript.check(`from side over localhost: ${url}`, fromSide === expected, fromSide);
  const podUrl = `http://${ip.includes(':') ? `[${ip}]` : ip}:${webPort}/`;
  const response = await fetch(podUrl, { signal: AbortSignal.timeout(10_000) });
  const fromHost = (await response.text()).trim();
  transcript.check(`from the host over the pod's address: ${podUrl}`, fromHost === expected, fromHost);
}

/** The log is a file that the kubelet reads, not a call. */
export async function showLog({ transcript }: Subject, file: string): Promise<void> {
  transcript.step("Read web's log");
  const deadlineMs = Date.now() + logTimeoutMs;
  let lines: string[] = [];
  // The server writes a line for each of the two requests that were just answered.
  while (lines.length < 3 && Date.now() < deadlineMs) {
    lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    if (lines.length < 3) await sleep(20);
  }
  transcript.quote(lines.join('\n'));
  const [first = ''] = lines;
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) stdout F web: serving port \d+$/;
  transcript.check('its first line is what web wrote first, in the format of the CRI', form.test(first), '');
  const requests = lines.filter((line) => / stderr F .*response:200/.test(line)).length;
  transcript.check('both requests are in it, from its error output', requests >= 2, `${requests} requests`);
}

export async function showExec({ transcript, client, web }: Subject): Promise<void> {
  transcript.step('Run a command in web');
  const script = 'echo out; echo err >&2; exit 3';
  const request = { container_id: web, cmd: ['sh', '-c', script], timeout: 10n };
  const reply = await transcript.call(
    client,
    'ExecSync',
    request,
    `'${script}'`,
    ({ exit_code }) => `exit code ${exit_code}`,
  );
  const seen = [textOf(reply.stdout), textOf(reply.stderr), reply.exit_code];
  const isRight = seen[0] === 'out\n' && seen[1] === 'err\n' && seen[2] === 3;
  transcript.check('output, error output and exit code come back apart', isRight, JSON.stringify(seen));
}

/** Figures of a container and of the pod; where the server has none, says so. */
export async function showStats({ transcript, client, web, sandboxId }: Subject): Promise<void> {
  transcript.step('Ask what they use');
  const container = await transcript
    .call(client, 'ContainerStats', { container_id: web }, 'web', ({ stats }) => {
      const cpuMs = Number(stats?.cpu?.usage_core_nano_seconds?.value ?? 0n) / 1e6;
      const kib = (stats?.memory?.working_set_bytes?.value ?? 0n) / 1024n;
      const layer = stats?.writable_layer?.used_bytes?.value ?? 'unknown';
      return `CPU ${cpuMs.toFixed(1)} ms, memory ${kib} KiB, writable layer ${layer} bytes`;
    })
    .catch(ifUnimplemented(transcript, 'ContainerStats'));
  if (container !== undefined) {
    const used = container.stats?.memory?.working_set_bytes?.value ?? 0n;
    const cpu = container.stats?.cpu?.usage_core_nano_seconds?.value ?? 0n;
    transcript.check(
      'web used CPU time, and memory within its limit',
      cpu > 0n && used > 0n && used <= memoryLimitBytes,
      `${used} of ${memoryLimitBytes} bytes`,
    );
  }
  const pod = await transcript
    .call(client, 'PodSandboxStats', { pod_sandbox_id: sandboxId }, 'demo/hello', ({ stats }) => {
      const link = stats?.linux?.network?.default_interface;
      const traffic = `received ${link?.rx_bytes?.value ?? '?'}, sent ${link?.tx_bytes?.value ?? '?'} bytes`;
      return `${stats?.linux?.containers.length} containers, ${link?.name ?? 'no interface'} ${traffic}`;
    })
    .catch(ifUnimplemented(transcript, 'PodSandboxStats'));
  if (pod === undefined) return;
  const count = pod.stats?.linux?.containers.length;
  transcript.check('the pod has the figures of both containers', count === 2, `${count}`);
}

/** Turns the error of a call that the server does not have into undefined, and says so; others stay errors. */
export function ifUnimplemented(transcript: Transcript, name: string): (error: unknown) => undefined {
  return (error) => {
    const code = ((error as Error).cause as { code?: number } | undefined)?.code;
    if (code !== unimplemented) throw error;
    transcript.say(`${name} answers Unimplemented: this server does not have it`);
    return undefined;
  };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
