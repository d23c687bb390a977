/** What `run` and `create` share: the image, the pod, the container in it. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { messageOf } from '#base/errors.ts';
import type { PortMappingInit } from '#proto/generated/cri.ts';
import { type CommandContext, CommandError, UsageError } from './command.ts';
import { CallError, type Connection } from './connection.ts';
import type { FlagValues } from './flag-values.ts';
import { ensureImage, type PullPolicy } from './image-presence.ts';
import { inventName } from './invented-name.ts';
import { findJoined, type JoinedPod, joinedName } from './joined-pod.ts';
import { namedVolumes } from './mount-flags.ts';
import { type PodRequest, toPodRequest } from './pod-request.ts';
import { formatPort, publishedPorts } from './port-flags.ts';
import { startStatus } from './session.ts';

export interface Made {
  readonly podId: string;
  readonly containerId: string;
  readonly name: string;
  /** It is in the pod of another container. */
  readonly isJoined: boolean;
}

/** How often a made-up name may turn out to be taken. */
const nameAttempts = 5;

/** Makes a pod with one container as the flags say; nothing is left of it if that fails. Throws CommandError, CallError. */
export async function makeContainer(
  context: Pick<CommandContext, 'args' | 'flags' | 'environment' | 'output' | 'signal'>,
  connection: Connection,
  removeOnExit: boolean,
): Promise<Made> {
  const { args, flags, environment, output, signal } = context;
  const [image, ...command] = args;
  const envFiles = flags.list('env-file').map(readEnvFile);
  const given = flags.string('name');
  const { log_root: logRoot } = await connection.admin('Info', {}, { signal });
  let joined: JoinedPod | undefined;
  const suffix = randomBytes(4).toString('hex');
  let ports: readonly PortMappingInit[] | undefined;
  const volumePaths = new Map<string, string>();
  const request = (name: string) =>
    toPodRequest({
      flags,
      name,
      image: image!,
      command,
      environment,
      envFiles,
      workingDir: process.cwd(),
      logRoot,
      logFolder: `${name}-${suffix}`,
      removeOnExit,
      ...(joined === undefined ? {} : { joined }),
      ...(ports === undefined ? {} : { ports }),
      volumePath: (name) => volumePaths.get(name) ?? '',
    });
  // Mistakes in flags are told before anything is pulled.
  request(given ?? 'x');
  await ensureImage(connection, image!, flags.string('pull') as PullPolicy, output, signal);
  for (const name of namedVolumes(flags)) {
    const { volume } = await connection.admin('CreateVolume', { name }, { signal });
    volumePaths.set(name, volume!.path);
  }
  ports = await choosePorts(connection, flags, image!, signal);
  const other = joinedName(flags);
  if (other !== undefined) {
    const name = given ?? inventName();
    joined = await findJoined(connection, other, name, { signal });
    return { ...(await createIn(connection, joined.podId, request(name), name, signal)), isJoined: true };
  }
  for (let attempt = 1; ; attempt += 1) {
    const name = given ?? inventName();
    const asked = request(name);
    let podId: string;
    try {
      const reply = await connection.call(
        'RunPodSandbox',
        { config: asked.sandbox, runtime_handler: asked.runtimeHandler },
        { signal },
      );
      podId = reply.pod_sandbox_id;
    } catch (error) {
      if (!(error instanceof CallError) || error.code !== 'ALREADY_EXISTS') throw error;
      if (given === undefined && attempt < nameAttempts) continue;
      throw new CommandError(`the name ${name} is taken`, {
        cause: error,
        hint: `\`berth rm ${name}\` removes what has it; or choose another --name.`,
      });
    }
    try {
      return { ...(await createIn(connection, podId, asked, name, signal)), isJoined: false };
    } catch (error) {
      await connection.call('RemovePodSandbox', { pod_sandbox_id: podId }).catch((left: Error) => {
        output.warn(`the pod ${name} could not be removed: ${left.message}`);
      });
      throw error;
    }
  }
}

async function createIn(
  connection: Connection,
  podId: string,
  { container, sandbox }: PodRequest,
  name: string,
  signal: AbortSignal,
): Promise<Omit<Made, 'isJoined'>> {
  try {
    const { container_id: containerId } = await connection.call(
      'CreateContainer',
      { pod_sandbox_id: podId, config: container, sandbox_config: sandbox },
      { signal },
    );
    return { podId, containerId, name };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    throw new CommandError(`creating ${name}: ${error.message}`, {
      cause: error,
      exitStatus: startStatus(error.message),
    });
  }
}

/** What is published, with a port of this machine for each that none was said for. Throws CallError for one that is taken. */
async function choosePorts(
  connection: Connection,
  flags: FlagValues,
  image: string,
  signal: AbortSignal,
): Promise<readonly PortMappingInit[]> {
  const wanted = publishedPorts(
    flags,
    flags.boolean('publish-all') ? await exposedPorts(connection, image, signal) : [],
  );
  if (wanted.length === 0) return [];
  const wishes = wanted.map((port) => ({
    protocol: formatPort(port).split('/').at(-1)!,
    host_ip: port.host_ip!,
    host_port: port.host_port!,
  }));
  const { host_ports: chosen } = await connection.admin('ChoosePorts', { wishes }, { signal });
  return wanted.map((port, at) => ({ ...port, host_port: chosen[at]! }));
}

/** `80/tcp` and the like, as the image declares them. */
async function exposedPorts(connection: Connection, image: string, signal: AbortSignal): Promise<string[]> {
  const { config } = await connection.admin('DescribeImage', { image }, { signal });
  const { config: own } = JSON.parse(config) as { config?: { ExposedPorts?: Record<string, unknown> } };
  return Object.keys(own?.ExposedPorts ?? {});
}

function readEnvFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--env-file: ${messageOf(error)}`);
  }
}
