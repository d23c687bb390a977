import { once } from 'node:events';
import { ContainerState } from '#proto/generated/cri.ts';
import { type CommandBody, CommandError } from '../command.ts';
import { findContainer, statusOf } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { readLog } from '../log-file.ts';
import { containerName } from '../names.ts';

export const command: CommandBody = {
  description: [
    'Prints what a container wrote to its output, since it was made: standard output here on standard output, its errors on standard error. With -f it goes on until the container ends.',
  ],
  arguments: [{ name: 'CONTAINER', required: true, complete: 'container' }],
  flags: [
    { long: 'follow', short: 'f', kind: 'boolean', help: 'go on with what is written' },
    {
      long: 'tail',
      short: 'n',
      kind: 'string',
      valueName: 'LINES',
      help: 'only so many lines from the end',
      default: 'all',
    },
    {
      long: 'since',
      kind: 'time',
      valueName: 'TIME',
      help: 'only from then on: 10m (ago), 2026-01-31T12:00:00Z, Unix seconds',
    },
    { long: 'until', kind: 'time', valueName: 'TIME', help: 'only until then' },
    { long: 'timestamps', short: 't', kind: 'boolean', help: 'show when each line was written' },
    { ...jsonFlag, help: 'print a JSON document a line: time, stream, text' },
  ],
  examples: [{ text: 'the last ten lines, and what comes', command: 'berth logs -f --tail 10 web' }],
  async run({ args, flags, output, signal, connect }) {
    const text = flags.string('tail')!;
    const tail = text === 'all' ? undefined : Number(text);
    if (tail !== undefined && (!Number.isInteger(tail) || tail < 0))
      throw new CommandError(`--tail: ${JSON.stringify(text)} is neither a number nor all`, {
        exitStatus: 2,
      });
    const connection = await connect();
    const container = await findContainer(connection, args[0]!, { signal });
    const { log_path: path } = await statusOf(connection, container.id, { signal });
    if (path === '')
      throw new CommandError(`${containerName(container)} keeps no log`, {
        hint: 'Whoever made it asked for none; `berth attach` shows what it writes from now on.',
      });
    const sinceMs = flags.timeMs('since') ?? Number.NEGATIVE_INFINITY;
    const untilMs = flags.timeMs('until') ?? Number.POSITIVE_INFINITY;
    const leaving = new AbortController();
    const ended =
      flags.boolean('follow') && container.state !== ContainerState.CONTAINER_EXITED
        ? connection.admin('WaitContainer', { container_id: container.id }, { signal: leaving.signal })
        : Promise.resolve();
    ended.catch(() => {}); // it is removed, or we leave: an end in any case
    // Whether a line begins, by stream: its time stands before its first piece only.
    const isFresh = { stdout: true, stderr: true };
    try {
      const lines = readLog({ path, tail, follow: flags.boolean('follow'), ended, signal });
      for await (const line of lines) {
        const atMs = Date.parse(line.time);
        if (atMs < sinceMs) continue;
        if (atMs > untilMs) break;
        if (flags.boolean('json')) {
          const { time, stream, text, isWhole } = line;
          output.jsonLine({ time, stream, text: text.toString(), ...(isWhole ? {} : { goesOn: true }) });
          continue;
        }
        const target = output[line.stream];
        if (flags.boolean('timestamps') && isFresh[line.stream]) target.write(`${line.time} `);
        isFresh[line.stream] = line.isWhole;
        if (!target.write(line.isWhole ? Buffer.concat([line.text, Buffer.from('\n')]) : line.text))
          await once(target, 'drain');
      }
    } finally {
      leaving.abort();
    }
    return 0;
  },
};
