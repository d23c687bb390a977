/**
 * Measures exec through the streaming server with client-go at the other end: bytes go to `cat` and come back.
 * Usage: node conformance/streaming-client/bench.ts [MiB] [spdy,websocket]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import pino from 'pino';
import type { StreamedProcess } from '#cri/streaming/process.ts';
import { StreamingServer } from '#cri/streaming/server.ts';
import { LocalProvider } from '#cri/streaming/testing/local-provider.ts';
import { launch } from '#host/launch.ts';
import type { ContainerId } from '#runtime/container/config.ts';
import { buildStreamingClient } from './build.ts';

/** Runs commands over real pipes, as the daemon does; the test provider's are socket pairs. */
class PipeProvider extends LocalProvider {
  override async exec(): Promise<StreamedProcess> {
    const child = launch({ path: '/bin/cat', args: [], stdin: 'pipe', stdout: 'pipe' });
    return {
      stdin: child.stdin!,
      stdout: child.stdout!,
      exited: child.exited.then((status) => ({ exitCode: status.type === 'exited' ? status.code : 137 })),
      resize: () => undefined,
      detach: () => {
        child.stdin!.destroy();
        child.stdout!.destroy();
      },
    };
  }
}

const mebibytes = Number(process.argv[2] ?? 1024);
const transports = (process.argv[3] ?? 'spdy,websocket').split(',');
const program = await buildStreamingClient();
const server = new StreamingServer({ provider: new PipeProvider(), log: pino({ level: 'silent' }) });
await server.listen();
for (const transport of transports) {
  const streams = { stdin: true, stdout: true, stderr: false, tty: false };
  const url = server.execUrl({ ...streams, containerId: 'bench' as ContainerId, command: ['cat'] });
  const args = ['pump', '-url', url, '-transport', transport, '-bytes', String(mebibytes * 1024 * 1024)];
  const before = process.cpuUsage();
  process.stdout.write(`${transport}: `);
  const [code] = await once(spawn(program, args, { stdio: 'inherit' }), 'exit');
  if (code !== 0) process.exitCode = 1;
  const { user, system } = process.cpuUsage(before);
  const rss = Math.round(process.memoryUsage().rss / 1e6);
  console.log(`  server: ${Math.round((user + system) / 1000)} ms of CPU, ${rss} MB resident afterwards`);
}
await server.close();
// The launcher listens for ended children as long as the process lives.
process.exit();
