import { type CommandBody, CommandError } from '../command.ts';
import { findContainer, findPod } from '../containers.ts';
import { jsonFlag } from '../flags.ts';
import { expandPaths, unescapeTemplate } from '../template.ts';

export const command: CommandBody = {
  description: [
    'Prints all that the daemon knows of containers, pods or images, as JSON: their state, what was asked for, and the OCI specification that came of it; of an image its config, manifest and layers, and who uses it.',
  ],
  arguments: [
    {
      name: 'NAME',
      required: true,
      repeatable: true,
      help: 'containers, pods or images',
      complete: 'container',
    },
  ],
  flags: [
    {
      long: 'type',
      kind: 'string',
      valueName: 'TYPE',
      help: 'what the names are; otherwise containers first, then pods, then images',
      choices: ['container', 'pod', 'image', 'any'],
      default: 'any',
    },
    {
      long: 'format',
      short: 'f',
      kind: 'string',
      valueName: 'TEMPLATE',
      help: 'print fields of each instead, such as {{.state}}, {{.info.info.pid}} or {{json .labels}}',
    },
    jsonFlag,
  ],
  async run({ args, flags, output, signal, connect }) {
    const connection = await connect();
    const type = flags.string('type');
    const container = async (given: string) => {
      const { id } = await findContainer(connection, given, { signal });
      const { status, info } = await connection.call(
        'ContainerStatus',
        { container_id: id, verbose: true },
        { signal },
      );
      return { type: 'container', ...readable(status), info: parsed(info) };
    };
    const pod = async (given: string) => {
      const { id } = await findPod(connection, given, { signal });
      const { status, info } = await connection.call(
        'PodSandboxStatus',
        { pod_sandbox_id: id, verbose: true },
        { signal },
      );
      return { type: 'pod', ...readable(status), info: parsed(info) };
    };
    const image = async (given: string) => {
      const { config, manifest, ...details } = await connection.admin(
        'DescribeImage',
        { image: given },
        { signal },
      );
      const read = (text: string): unknown => (text === '' ? null : JSON.parse(text));
      return { type: 'image', ...details, config: read(config), manifest: read(manifest) };
    };
    const found: unknown[] = [];
    for (const given of args) {
      if (type === 'container') found.push(await container(given));
      else if (type === 'pod') found.push(await pod(given));
      else if (type === 'image') found.push(await image(given));
      else
        found.push(
          await container(given).catch((error) => {
            if (!(error instanceof CommandError)) throw error;
            return pod(given)
              .catch(() => image(given))
              .catch(() => {
                throw new CommandError(`there is no container, pod or image ${JSON.stringify(given)}`, {
                  hint: '`berth ps -a`, `berth pods` and `berth images` list them.',
                });
              });
          }),
        );
    }
    const format = flags.string('format');
    if (format === undefined) output.json(found);
    else for (const each of found) output.line(expandPaths(unescapeTemplate(format), each));
    return 0;
  },
};

/** Moments as RFC 3339. */
function readable(status: object | undefined): object {
  return Object.fromEntries(
    Object.entries(status ?? {}).map(([key, value]) => [
      key,
      key.endsWith('_at') && typeof value === 'bigint'
        ? value === 0n
          ? null
          : new Date(Number(value / 1_000_000n)).toISOString()
        : value,
    ]),
  );
}

/** Verbose status holds JSON in text. */
function parsed(info: Readonly<Record<string, string>>): unknown {
  return Object.fromEntries(
    Object.entries(info).map(([key, text]) => {
      try {
        return [key, JSON.parse(text)];
      } catch {
        return [key, text];
      }
    }),
  );
}
