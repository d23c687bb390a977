import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { messageOf } from '#base/errors.ts';
import { type CommandBody, type CommandContext, CommandError, UsageError } from '../command.ts';
import { jsonFlag, yesFlag } from '../flags.ts';
import { parseEnvFile } from '../play/compose-text.ts';
import { describePlan, planJson } from '../play/describe.ts';
import { loadPlan } from '../play/load.ts';
import { PlayError, type PlayPlan } from '../play/plan.ts';
import { type PlayedPod, Player } from '../play/player.ts';
import { formatPort } from '../port-flags.ts';

export const command: CommandBody = {
  description: [
    'Runs what a file describes on this machine: Kubernetes manifests (Pods, Deployments, Lists, with ConfigMaps and Secrets of the same file) or a Compose file. Pods are made through the CRI as a kubelet would make them, with their volumes, init containers in order, limits and confinement.',
    'Nobody watches them afterwards: probes, restart policies and hooks are a kubelet’s work, and the command says so where a file has them. Services of a Compose file find each other by name.',
    'The file is checked first, and each mistake told with its line; nothing is made before all is right, and what was made before a failure is removed. Played again, pods that are there stay as they are.',
    '--down removes what the file made and nothing else. Volumes with names stay until --volumes.',
  ],
  arguments: [{ name: 'FILE', required: true, help: 'a YAML file; - for standard input', complete: 'file' }],
  flags: [
    { long: 'down', kind: 'boolean', help: 'remove what the file made' },
    {
      long: 'replace',
      kind: 'boolean',
      help: 'remove and make anew what the file describes otherwise than it runs',
    },
    { long: 'dry-run', kind: 'boolean', help: 'show what would be made, and make nothing' },
    { long: 'volumes', kind: 'boolean', help: 'with --down: volumes with names too' },
    {
      long: 'project-name',
      short: 'p',
      kind: 'string',
      valueName: 'NAME',
      help: "of a Compose file; else its own name, or its folder's",
    },
    jsonFlag,
    yesFlag,
  ],
  examples: [
    { text: 'the pods of a manifest', command: 'berth play two-containers.yaml' },
    { text: 'the services of a Compose file, after a change', command: 'berth play --replace compose.yaml' },
    { text: 'away with them', command: 'berth play --down compose.yaml' },
  ],
  async run(context) {
    const { flags, output, signal, connect, confirm } = context;
    if (flags.boolean('volumes') && !flags.boolean('down'))
      throw new UsageError('--volumes says nothing without --down');
    const plan = readPlan(context);
    if (flags.boolean('down')) {
      if (flags.boolean('volumes')) await confirm('What is in the volumes is lost. Go on?');
      const player = await openPlayer(context, await connect());
      const removed = await player.down(plan, flags.boolean('volumes'));
      if (flags.boolean('json')) output.json({ removed });
      else if (removed.length === 0) output.note('nothing of this file was there');
      else for (const what of removed) output.line(`removed ${what}`);
      return 0;
    }
    for (const note of plan.notes) output.note(note);
    if (flags.boolean('dry-run')) {
      if (flags.boolean('json')) output.json(planJson(plan));
      else for (const line of describePlan(plan)) output.line(line);
      return 0;
    }
    const player = await openPlayer(context, await connect());
    report(await player.play(plan, flags.boolean('replace')), context);
    signal.throwIfAborted();
    return 0;
  },
};

function readPlan({ args, flags, environment }: CommandContext): PlayPlan {
  const [given] = args;
  const isInput = given === '-';
  let text: string;
  try {
    text = readFileSync(isInput ? 0 : given!, 'utf8');
  } catch (error) {
    throw new CommandError(`reading ${given}: ${messageOf(error)}`);
  }
  const projectName = flags.string('project-name');
  const folder = isInput ? process.cwd() : dirname(resolve(given!));
  try {
    return loadPlan(text, isInput ? 'standard input' : given!, {
      folder,
      environment: { ...parseEnvFile(readText(resolve(folder, '.env')) ?? ''), ...environment },
      ...(projectName === undefined ? {} : { projectName }),
      readFile: readText,
    });
  } catch (error) {
    if (!(error instanceof PlayError)) throw error;
    throw new CommandError(error.message, { hint: 'Nothing was made.', cause: error });
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // the plan says who wanted it
  }
}

function openPlayer(
  { output, signal }: CommandContext,
  connection: Awaited<ReturnType<CommandContext['connect']>>,
) {
  if (process.getuid?.() !== 0)
    throw new CommandError('volumes and hosts files are written by root', { hint: 'Run it with sudo.' });
  return Player.open(connection, output, signal);
}

function report(played: readonly PlayedPod[], { flags, output }: CommandContext): void {
  if (flags.boolean('json')) {
    output.json(
      played.map(({ pod, outcome, id, ips }) => ({
        pod: pod.name,
        namespace: pod.namespace,
        id,
        outcome,
        ips,
      })),
    );
    return;
  }
  output.table(played, [
    { title: 'POD', value: ({ pod }) => pod.name },
    { title: 'WHAT', value: ({ outcome }) => outcome },
    { title: 'ADDRESS', value: ({ ips, pod }) => ips[0] ?? (pod.network === 'host' ? "the node's" : '') },
    { title: 'CONTAINERS', value: ({ pod }) => pod.containers.map(({ name }) => name).join(', ') },
    { title: 'PORTS', value: ({ pod }) => pod.ports.map(formatPort).join(', ') },
  ]);
}
