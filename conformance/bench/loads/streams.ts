/**
 * A gigabyte to a command and back (`cat`), by Kubernetes' own client, which compares every byte that returns. Needs Go;
 * where there is none this load is not there.
 * Debian's containerd answers its WebSocket handshake with 403, so by WebSocket Berth runs alone.
 */
import { spawnSync } from 'node:child_process';
import { runCommand } from '../../command.ts';
import { buildStreamingClient } from '../../streaming-client/build.ts';
import type { Load } from '../load.ts';
import type { Subject } from '../subject.ts';

const gibibyte = 2 ** 30;
const containers = new Map<Subject, string>();
let program = '';

/** Resolves with the seconds from the first byte to the last. Rejects if a byte is not the one that was sent. */
async function pump(subject: Subject, transport: 'spdy' | 'websocket'): Promise<number> {
  const streams = { stdin: true, stdout: true, stderr: false, tty: false };
  const request = { container_id: containers.get(subject)!, cmd: ['cat'], ...streams };
  const { url } = await subject.daemon.client.call('Exec', request);
  const startMs = performance.now();
  await runCommand(program, ['pump', '-url', url, '-transport', transport, '-bytes', String(gibibyte)]);
  return (performance.now() - startMs) / 1000;
}

const execStreams: Load = {
  name: 'exec-stream',
  title: '1 GiB through exec, cat and back',
  setup: 'same',
  scope: 'handler',
  isQuick: false,
  rounds: 3,
  warmupRounds: 0,
  metrics: [
    // At least half of containerd's rate.
    { key: 'spdy', title: '1 GiB through exec and back, SPDY', unit: 's', targetRatio: 2, inReadme: true },
    { key: 'websocket', title: '1 GiB through exec and back, WebSocket', unit: 's' },
    { key: 'daemonCpu', title: 'CPU of the runtime meanwhile, SPDY', unit: 's' },
  ],
  async prepare(subject) {
    program = await buildStreamingClient();
    const pod = await subject.runPod();
    containers.set(subject, (await subject.runContainer(pod, 'main')).id);
  },
  async round(subject, record) {
    const { cgroup } = subject.daemon;
    const before = cgroup.readDaemonCpuSeconds();
    record('spdy', await pump(subject, 'spdy'));
    record('daemonCpu', cgroup.readDaemonCpuSeconds() - before);
    if (subject.daemon.name === 'berth') record('websocket', await pump(subject, 'websocket'));
  },
  async finish(subject) {
    containers.delete(subject);
    await subject.removeEverything();
  },
};

export const streamLoads: readonly Load[] = spawnSync('go', ['version']).status === 0 ? [execStreams] : [];
