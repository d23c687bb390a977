/** One pod of the static pod folder as an operator sees it: its status, its containers, commands run in them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { type Bed, nodeName } from './bed.ts';
import type { ContainerStatus, Pod } from './kubelet-api.ts';
import { until } from './wait.ts';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Transport = 'spdy' | 'websocket';

export class TestPod {
  readonly bed: Bed;
  /** As in the file; the kubelet appends the node's name. */
  readonly name: string;

  constructor(bed: Bed, name: string) {
    this.bed = bed;
    this.name = name;
  }

  get fullName(): string {
    return `${this.name}-${nodeName}`;
  }

  /** Path of one of the kubelet's endpoints for the container: `/exec/default/POD/CONTAINER`. */
  path(verb: 'exec' | 'attach' | 'containerLogs', container: string): string {
    return `/${verb}/default/${this.fullName}/${container}`;
  }

  async get(): Promise<Pod> {
    const pods = await this.bed.api.pods();
    const pod = pods.find(({ metadata }) => metadata.name === this.fullName);
    if (pod === undefined) throw new Error(`the kubelet knows no pod ${this.fullName}`);
    return pod;
  }

  /** Status of a container or init container. Rejects if the kubelet has not reported it yet. */
  async container(name: string): Promise<ContainerStatus> {
    const { status } = await this.get();
    const all = [...(status.containerStatuses ?? []), ...(status.initContainerStatuses ?? [])];
    const found = all.find((container) => container.name === name);
    if (found === undefined) throw new Error(`no status of container ${name} in ${JSON.stringify(status)}`);
    return found;
  }

  /** Resolves once every container is running and ready. */
  waitReady(timeoutMs = 60_000): Promise<Pod> {
    return until(`${this.name} is ready`, timeoutMs, async () => {
      const pod = await this.get();
      const states = pod.status.containerStatuses ?? [];
      if (states.length === 0 || states.some(({ ready }) => !ready)) throw new Error(describeStates(states));
      return pod;
    });
  }

  /** Resolves with the container's status once `check` of it does not throw. */
  waitContainer(
    name: string,
    check: (status: ContainerStatus) => void,
    timeoutMs = 60_000,
  ): Promise<ContainerStatus> {
    return until(`${this.name}/${name}`, timeoutMs, async () => {
      const status = await this.container(name);
      check(status);
      return status;
    });
  }

  waitPhase(phase: string, timeoutMs = 60_000): Promise<Pod> {
    return until(`${this.name} is ${phase}`, timeoutMs, async () => {
      const pod = await this.get();
      assert.equal(pod.status.phase, phase, describeStates(pod.status.containerStatuses ?? []));
      return pod;
    });
  }

  /** Takes the file away and waits until neither the kubelet nor the runtime has the pod. */
  async remove(timeoutMs = 60_000): Promise<void> {
    this.bed.unplace(this.name);
    await until(`${this.name} is gone`, timeoutMs, async () => {
      const names = (await this.bed.api.pods()).map(({ metadata }) => metadata.name);
      assert.ok(!names.includes(this.fullName), 'the kubelet still lists it');
      // Asked of the runtime itself: the kubelet's list of running pods may be a few seconds old.
      const ready = await this.bed.crictl('pods', '-q', '--state', 'Ready', '--name', `^${this.fullName}$`);
      assert.equal(ready.trim(), '', 'its sandbox is still ready');
    });
  }

  /** Runs a command in a container with client-go's executor; resolves whatever its exit code is. */
  async exec(
    container: string,
    command: readonly string[],
    options: { input?: string; tty?: boolean; transport?: Transport } = {},
  ): Promise<CommandResult> {
    const query = new URLSearchParams(command.map((word): [string, string] => ['command', word]));
    if (options.input !== undefined) query.set('input', '1');
    query.set('output', '1');
    query.set(options.tty === true ? 'tty' : 'error', '1');
    const url = `${this.bed.api.base}${this.path('exec', container)}?${query}`;
    const flags = [
      ...(options.input === undefined ? [] : ['-stdin']),
      ...(options.tty === true ? ['-tty', '-sizes', '80x24'] : []),
    ];
    const { clientCert, clientKey } = this.bed.certificates;
    const pair = ['-cert', clientCert, '-key', clientKey];
    const child = spawn(this.bed.options.streamingClient, [
      'exec',
      '-url',
      url,
      '-transport',
      options.transport ?? 'spdy',
      ...pair,
      ...flags,
    ]);
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { code, stdout, stderr };
  }

  /** Output of a shell script in the container; rejects unless it ends with 0. */
  async sh(container: string, script: string): Promise<string> {
    const { code, stdout, stderr } = await this.exec(container, ['sh', '-c', script]);
    assert.equal(code, 0, `${this.name}/${container}: ${script}: ${stderr}`);
    return stdout.trimEnd();
  }

  logs(container: string, query = ''): Promise<string> {
    return this.bed.api.get(`${this.path('containerLogs', container)}${query === '' ? '' : `?${query}`}`);
  }
}

function describeStates(states: readonly ContainerStatus[]): string {
  if (states.length === 0) return 'no container has a status';
  return states
    .map(({ name, state, ready, restartCount }) => {
      const { waiting, terminated } = state;
      const why = waiting ?? terminated;
      const text =
        why === undefined ? (ready ? 'ready' : 'running, not ready') : `${why.reason}: ${why.message ?? ''}`;
      return `${name}: ${text}${restartCount > 0 ? ` (${restartCount} restarts)` : ''}`;
    })
    .join('; ');
}
