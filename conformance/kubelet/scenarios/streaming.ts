/** Logs, exec, attach and port-forward through the kubelet, over both of its transports. */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TestPod, Transport } from '../pod.ts';
import { until } from '../wait.ts';
import type { Scenario } from './scenario.ts';

const transports: readonly Transport[] = ['spdy', 'websocket'];

/** client-go's client on one of the kubelet's endpoints, left running. */
function startClient(pod: TestPod, verb: string, path: string, flags: readonly string[]) {
  const { clientCert, clientKey } = pod.bed.certificates;
  const child = spawn(pod.bed.options.streamingClient, [
    verb,
    '-url',
    `${pod.bed.api.base}${path}`,
    '-cert',
    clientCert,
    '-key',
    clientKey,
    ...flags,
  ]);
  const seen = { text: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part: Buffer) => {
      seen.text += part.toString();
    });
  child.stdin.on('error', () => {});
  return { child, seen };
}

async function finish(child: ChildProcessWithoutNullStreams): Promise<number> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode ?? -1;
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? -1;
}

export const streaming: readonly Scenario[] = [
  {
    name: 'logs',
    example: 'two-containers',
    shows: 'logs whole, by tail, since a time, limited, with timestamps, followed, of a former container',
    async run(pod, bed) {
      await pod.waitReady();
      await until('there is a log', 20_000, async () => assert.match(await pod.logs('client'), /note/));
      await pod.sh(
        'server',
        'for i in 1 2 3 4 5; do echo "out $i" > /proc/1/fd/1; done; echo "an error" > /proc/1/fd/2',
      );
      const whole = await until('all lines', 5000, async () => {
        const text = await pod.logs('server');
        assert.match(text, /out 5\nan error\n$/);
        return text;
      });
      assert.equal(await pod.logs('server', 'tailLines=2'), 'out 5\nan error\n');
      assert.equal((await pod.logs('server', 'limitBytes=3')).length, 3);
      const stamped = await pod.logs('server', 'timestamps=true');
      const [first = ''] = stamped.trimEnd().split('\n').slice(-1);
      const time = first.slice(0, first.indexOf(' '));
      assert.equal(await pod.logs('server', `sinceTime=${encodeURIComponent(time)}`), 'an error\n');
      assert.equal(await pod.logs('server', 'sinceSeconds=3600'), whole);
      let followed = '';
      const stop = await bed.api.followLog(
        `${pod.path('containerLogs', 'server')}?follow=true&tailLines=0`,
        (text) => {
          followed += text;
        },
      );
      await pod.sh('server', 'echo later > /proc/1/fd/1');
      await until('the follower gets it', 10_000, () => assert.equal(followed, 'later\n'));
      stop();
      await pod.exec('client', ['kill', '-TERM', '1']);
      await pod.waitContainer('client', ({ restartCount, ready }) =>
        assert.ok(restartCount === 1 && ready, 'not restarted'),
      );
      assert.match(await pod.logs('client', 'previous=true'), /hello from the server/);
      const { status, body } = await bed.api.ask(`${pod.path('containerLogs', 'server')}?previous=true`);
      assert.ok(status >= 400, `${status}: ${body}`);
    },
  },
  {
    name: 'exec',
    example: 'two-containers',
    shows: 'exec over SPDY and WebSocket: both outputs, codes, input, terminals, 16 MiB through cat',
    async run(pod, bed) {
      await pod.waitReady();
      for (const transport of transports) {
        const run = (command: string[], more = {}) => pod.exec('server', command, { transport, ...more });
        assert.deepEqual(await run(['sh', '-c', 'echo out; echo err >&2; exit 42']), {
          code: 42,
          stdout: 'out\n',
          stderr: 'err\ncommand terminated with exit code 42\n',
        });
        assert.deepEqual(await run(['sort'], { input: 'b\na\n' }), { code: 0, stdout: 'a\nb\n', stderr: '' });
        const terminal = await run(['sh', '-c', 'tty; sleep 0.5; stty size'], { tty: true });
        assert.match(terminal.stdout, /\/dev\/pts\/\d+\r\n24 80\r\n/);
        const absent = await run(['/no/such/program']);
        assert.ok(absent.code !== 0, 'an absent program "succeeded"');
        assert.match(absent.stderr, /no such file|not found|exit code 12[67]/i);
        const query = 'command=cat&input=1&output=1';
        const { child, seen } = startClient(pod, 'pump', `${pod.path('exec', 'server')}?${query}`, [
          '-transport',
          transport,
          '-bytes',
          String(16 << 20),
        ]);
        assert.equal(await finish(child), 0, seen.text);
      }
      const { body } = await bed.api.ask(`/run/default/${pod.fullName}/server?cmd=hostname`, 'POST');
      assert.equal(body, `${pod.fullName}\n`);
    },
  },
  {
    name: 'attach',
    example: 'interactive',
    shows:
      'attach over SPDY and WebSocket: a terminal, an input that stays open, one that ends with its client',
    async run(pod) {
      await pod.waitReady();
      for (const transport of transports) {
        const shell = startClient(pod, 'exec', `${pod.path('attach', 'shell')}?input=1&output=1&tty=1`, [
          '-transport',
          transport,
          '-stdin',
          '-tty',
          '-sizes',
          '91x33',
        ]);
        shell.child.stdin.write(`stty size; echo $((${transport.length}*1000))\n`);
        await until('the shell answers', 15_000, () =>
          assert.match(shell.seen.text, new RegExp(`33 91\r\n${transport.length * 1000}\r\n`)),
        );
        shell.child.kill('SIGTERM');
        const cat = startClient(pod, 'exec', `${pod.path('attach', 'cat')}?input=1&output=1&error=1`, [
          '-transport',
          transport,
          '-stdin',
        ]);
        cat.child.stdin.write(`over ${transport}\n`);
        await until('cat answers', 15_000, () =>
          assert.match(cat.seen.text, new RegExp(`got over ${transport}\n`)),
        );
        cat.child.kill('SIGTERM');
        await Promise.all([finish(shell.child), finish(cat.child)]);
      }
      for (const name of ['shell', 'cat']) assert.equal((await pod.container(name)).restartCount, 0, name);
      const once = startClient(pod, 'exec', `${pod.path('attach', 'once')}?input=1&output=1&error=1`, [
        '-stdin',
      ]);
      once.child.stdin.end('one line\n');
      await until('the input has ended', 15_000, async () =>
        assert.equal(await pod.logs('once'), 'one line\nthe end\n'),
      );
      once.child.kill('SIGTERM');
      await finish(once.child);
    },
  },
  {
    name: 'port-forward',
    example: 'host-port',
    edits: () => ({
      ', hostPort: 18080': '',
      ', hostPort: 18082, hostIP: 127.0.0.1': '',
    }),
    shows:
      "port-forward over SPDY and WebSocket reaches the pod's localhost, several connections at once; a closed port is told",
    async run(pod) {
      await pod.waitReady();
      const { metadata } = await pod.get();
      for (const transport of transports) {
        const path = `/portForward/default/${pod.fullName}/${metadata.uid}`;
        const { child, seen } = startClient(pod, 'forward', path, [
          '-transport',
          transport,
          '-ports',
          '0:80,0:8081',
        ]);
        const ports = await until('it forwards', 15_000, () => {
          const found = [...seen.text.matchAll(/127\.0\.0\.1:(\d+) -> \d+/g)].map((match) => match[1]);
          assert.equal(found.length, 2, seen.text);
          return found;
        });
        const page = async (port: string | undefined) =>
          (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text();
        const pages = await Promise.all([ports[0], ports[1], ports[0], ports[0], ports[1]].map(page));
        assert.equal(pages.filter((text) => text.includes('nginx fixture')).length, 3, transport);
        assert.equal(pages.filter((text) => text === 'local\n').length, 2, transport);
        child.stdin.end();
        await finish(child);
        const closed = startClient(pod, 'forward', path, ['-transport', transport, '-ports', '0:9']);
        const [port] = await until('it forwards', 15_000, () => {
          const match = /127\.0\.0\.1:(\d+) -> 9/.exec(closed.seen.text);
          assert.ok(match?.[1], closed.seen.text);
          return [match[1]];
        });
        await assert.rejects(page(port));
        await until('the reason is told', 10_000, () => assert.match(closed.seen.text, /refused/i));
        closed.child.kill('SIGTERM');
        await finish(closed.child);
      }
    },
  },
];
