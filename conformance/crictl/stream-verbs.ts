/** The verbs over connections of their own: exec, attach, port-forward; events; and checkpoint. */
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type Crictl, detachKeys, type Session, windowSize } from './crictl.ts';
import type { RunningPod } from './pod-verbs.ts';
import { require, type Transport } from './verb-table.ts';
import { stateOf, type Walk } from './walk.ts';

export async function checkExecSync({ crictl, table }: Walk, pod: RunningPod): Promise<void> {
  await table.check('exec', '-s: both streams, the exit code, a timeout', async () => {
    const ran = await crictl.run(['exec', '-s', pod.web, 'sh', '-c', 'echo out; echo err >&2']);
    // It prints one after the other to its own standard output.
    require(ran.status === 0 && /^out\n+err\n+$/.test(ran.stdout), 'it was', ran);
    await crictl.fails(['exec', '-s', pod.web, 'sh', '-c', 'echo err >&2; exit 7'], /exited with 7: err/);
    await crictl.fails(
      ['exec', '-s', '--timeout', '1', pod.web, 'sleep', '30'],
      /timed out|DeadlineExceeded/i,
    );
  });
  await table.check('exec', '-s: in all containers of a pod at once', async () => {
    const text = await crictl.ok(['exec', '-s', '-x', '--pod', pod.id, 'echo', 'here']);
    require(text.split('\n').filter((line) => line === 'here').length === 3, 'it says', text);
  });
}

/** exec, attach and port-forward over one transport. */
export async function checkStreams(walk: Walk, pod: RunningPod, transport: Transport): Promise<void> {
  const { crictl, table } = walk;
  const check = (verb: string, what: string, work: () => Promise<unknown>): Promise<void> =>
    table.check(verb, what, work, transport);
  const exec = ['exec', '--transport', transport];
  await check('exec', 'both streams and the exit code', async () => {
    const ran = await crictl.run([...exec, pod.web, 'sh', '-c', 'echo out; echo err >&2; exit 7']);
    require(ran.stdout === 'out\n' && ran.stderr.includes('err\n'), 'it was', ran);
    require(ran.status !== 0 && /exit code 7/.test(ran.stderr), 'the exit code', ran);
  });
  await check('exec', '-i: a megabyte there and back, ended by the end of input', async () => {
    const input = `${'0123456789abcdef'.repeat(64)}\n`.repeat(1024);
    const ran = await crictl.run([...exec, '-i', pod.web, 'cat'], { input });
    require(ran.status === 0 &&
      ran.stdout === input, `status ${ran.status}, ${ran.stdout.length} characters back`);
  });
  await check('exec', '-it: a terminal of the right size', async () => {
    const session = crictl.startOnTerminal([...exec, '-it', pod.web, 'sh']);
    // The size is sent after the session has begun.
    session.write('until stty size | grep -v "^0 0"; do :; done; tty\n');
    await session.expect(new RegExp(`^${windowSize.rows} ${windowSize.columns}\\r?$`, 'm'));
    await session.expect(/^\/dev\/pts\/\d/m);
    session.write('exit\n');
    const ran = await session.end();
    require(ran.status === 0, 'it was', ran);
  });
  await check('attach', '-i: talks to a container, leaves it running', async () => {
    const session = crictl.start(['attach', '--transport', transport, '-i', pod.echo]);
    session.write(`over ${transport}\n`);
    await session.expect(new RegExp(`heard over ${transport}`));
    await session.interrupt();
    require((await stateOf(walk, pod.echo)) === 'CONTAINER_RUNNING', 'the container ended');
    const logs = await crictl.ok(['logs', pod.echo]);
    require(logs.includes(`heard over ${transport}`), 'the log lacks it', logs);
  });
  await check('attach', '-it: to the terminal of a container, left by its keys', async () => {
    const session = crictl.startOnTerminal(['attach', '--transport', transport, '-it', pod.terminal]);
    session.write('echo $((6 * 7)) over $(tty)\n');
    await session.expect(/42 over \/dev\//);
    session.write(detachKeys);
    await session.end({ timeoutMs: 10_000 });
    require((await stateOf(walk, pod.terminal)) === 'CONTAINER_RUNNING', 'the container ended');
  });
  await check('port-forward', 'several connections, and one to a closed port', async () => {
    const session = crictl.start(['port-forward', '--transport', transport, pod.id, '0:8080', '0:9']);
    try {
      const port = Number((await session.expect(/127\.0\.0\.1:(\d+) -> 8080/))[1]);
      const closed = Number((await session.expect(/127\.0\.0\.1:(\d+) -> 9\b/))[1]);
      const request = 'GET / HTTP/1.0\r\n\r\n';
      for (const answer of await Promise.all([1, 2, 3].map(() => talk(port, request))))
        require(answer.endsWith('page\n'), 'the answer was', answer);
      require((await talk(closed, request)) === '', 'a closed port answered');
      require(session.isRunning, 'it ended after the closed port', session.stderr);
    } finally {
      await session.interrupt();
    }
  });
}

/** Sends `text` and resolves with all that comes back until the other side closes. */
function talk(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(text));
    socket.setEncoding('utf8').on('data', (part: string) => {
      answer += part;
    });
    // A connection that is reset has said all it will say.
    socket.on('error', () => {});
    socket.once('close', () => resolve(answer));
  });
}

/** A listener for events; start it before the first pod. */
export function listen(crictl: Crictl): Session {
  return crictl.start(['events', '--output', 'json']);
}

interface Event {
  readonly containerId: string;
  readonly containerEventType: string;
}

/** Judges what the listener heard of the pod from its beginning to its end. */
export async function checkEvents({ table }: Walk, events: Session, pod: RunningPod): Promise<void> {
  await table.check('events', 'of the pod and each container, in order', async () => {
    await events.interrupt();
    const heard = parseEvents(events.stdout);
    for (const [name, id] of Object.entries({
      pod: pod.id,
      web: pod.web,
      terminal: pod.terminal,
      echo: pod.echo,
    })) {
      const types = heard
        .filter(({ containerId }) => containerId === id)
        .map(({ containerEventType }) => containerEventType.replace(/^CONTAINER_|_EVENT$/g, ''));
      require(String(types) === 'CREATED,STARTED,STOPPED,DELETED', `of ${name}`, types);
    }
  });
}

/** crictl prints one object after the other, each over one or more lines. */
function parseEvents(text: string): Event[] {
  const events: Event[] = [];
  let part = '';
  for (const line of text.split('\n')) {
    part += line;
    try {
      events.push(JSON.parse(part) as Event);
      part = '';
    } catch {
      // The object goes on in the next line.
      part += '\n';
    }
  }
  return events;
}

/** What the host or the build cannot do must be said, and leave the container as it was. */
export async function checkCheckpoint(walk: Walk, pod: RunningPod): Promise<void> {
  const { crictl, table, dir } = walk;
  await table.check(
    'checkpoint',
    'writes an archive, or says why it cannot; the container goes on',
    async () => {
      const archive = join(dir, 'checkpoint.tar');
      const ran = await crictl.run(['checkpoint', '--export', archive, pod.web]);
      if (ran.status === 0) require(existsSync(archive), 'no archive');
      else require(/Unimplemented|FailedPrecondition/.test(ran.stderr), 'it says', ran.stderr);
      require((await stateOf(walk, pod.web)) === 'CONTAINER_RUNNING', 'the container ended');
    },
  );
}
