/** Makes what a plan says through the CRI, and takes it away again. What was made before a failure is removed. */
import { availableParallelism, hostname, networkInterfaces, totalmem } from 'node:os';
import { join } from 'node:path';
import { managedByLabel, stopSecondsAnnotation } from '#base/managed-pod.ts';
import { ContainerState, type PodSandbox, PodSandboxState } from '#proto/generated/cri.ts';
import { startError } from '../attached-run.ts';
import { CommandError } from '../command.ts';
import type { CallOptions, Connection } from '../connection.ts';
import { ensureImage } from '../image-presence.ts';
import { stopContainer } from '../lifecycle.ts';
import type { Output } from '../output.ts';
import type { ContainerPlan, HostsLine, PlayPlan, PodFacts, PodPlan } from './plan.ts';
import {
  managedByPlay,
  ownerAnnotation,
  type PlayFolders,
  planAnnotation,
  planDigest,
  toContainerRequest,
  toSandbox,
} from './request.ts';
import {
  checkHostPaths,
  makeSubPaths,
  removePodFolders,
  writeHosts,
  writeVolumes,
  writtenUids,
} from './state-folder.ts';

export type Outcome = 'made' | 'replaced' | 'unchanged';

/** What became of a pod. */
export interface PlayedPod {
  readonly pod: PodPlan;
  readonly outcome: Outcome;
  readonly id: string;
  readonly ips: readonly string[];
}

export class Player {
  readonly #connection: Connection;
  readonly #output: Output;
  /** Its map of volumes is filled as they are made. */
  readonly #folders: PlayFolders & { readonly volumes: Map<string, string> };
  readonly #options: CallOptions & { readonly signal: AbortSignal };

  private constructor(
    connection: Connection,
    output: Output,
    folders: PlayFolders & { readonly volumes: Map<string, string> },
    signal: AbortSignal,
  ) {
    this.#connection = connection;
    this.#output = output;
    this.#folders = folders;
    this.#options = { signal };
  }

  static async open(connection: Connection, output: Output, signal: AbortSignal): Promise<Player> {
    const info = await connection.admin('Info', {}, { signal });
    const folders = {
      logRoot: info.log_root,
      pods: join(info.root_dir, 'play/pods'),
      podsInMemory: join(info.state_dir, 'play'),
      volumes: new Map<string, string>(),
    };
    return new Player(connection, output, folders, signal);
  }

  /** What `play` would do with each pod of the plan, before it does anything. */
  async compare(plan: PlayPlan): Promise<ReadonlyMap<PodPlan, PodSandbox | undefined>> {
    const { items } = await this.#connection.call('ListPodSandbox', {}, this.#options);
    const found = new Map<PodPlan, PodSandbox | undefined>();
    for (const pod of plan.pods) {
      const there = items.find(({ metadata }) => metadata?.uid === pod.uid || isNamed(metadata, pod));
      if (there !== undefined && there.annotations[ownerAnnotation] !== pod.owner)
        throw new CommandError(`there is a pod ${pod.namespace}/${pod.name} that this file has not made`, {
          hint: 'Name the pod in the file otherwise, or remove that one.',
        });
      found.set(pod, there);
    }
    return found;
  }

  /** Throws CommandError, CallError; then nothing is left of what this call made. */
  async play(plan: PlayPlan, mayReplace: boolean): Promise<PlayedPod[]> {
    await this.#sweep();
    const present = await this.compare(plan);
    await this.#warnOfKubelet();
    const changed = plan.pods.filter((pod) => {
      const there = present.get(pod);
      return there !== undefined && !isAsPlanned(there, pod);
    });
    if (changed.length > 0 && !mayReplace) refuseChanged(changed, present);
    const toMake = plan.pods.filter((pod) => present.get(pod) === undefined || changed.includes(pod));
    for (const pod of toMake) checkHostPaths(pod);
    await this.#fetchImages(toMake);
    for (const pod of changed) await this.#remove(present.get(pod)!);
    const ids = new Map<PodPlan, string>();
    const newVolumes: string[] = [];
    try {
      await this.#makeVolumes(toMake, newVolumes);
      for (const pod of toMake) ids.set(pod, await this.#makePod(pod));
      const ips = new Map<PodPlan, readonly string[]>();
      for (const pod of plan.pods) ips.set(pod, await this.#ipsOf(ids.get(pod) ?? present.get(pod)!.id));
      const hosts = this.#writeHosts(plan, ips);
      for (const pod of toMake) {
        const facts = factsOf(pod, ips.get(pod)!);
        writeVolumes(pod, facts, this.#folders);
        await this.#startContainers(pod, ids.get(pod)!, facts, hosts.get(pod));
      }
      return plan.pods.map((pod) => ({
        pod,
        outcome: changed.includes(pod) ? 'replaced' : ids.has(pod) ? 'made' : 'unchanged',
        id: ids.get(pod) ?? present.get(pod)!.id,
        ips: ips.get(pod)!,
      }));
    } catch (error) {
      await this.#undo(toMake, ids, newVolumes);
      throw error;
    }
  }

  /** Removes every pod that the file made, now or in an earlier version. Idempotent; gives their names. */
  async down(plan: PlayPlan, withVolumes: boolean): Promise<string[]> {
    const { items } = await this.#connection.call(
      'ListPodSandbox',
      { filter: { label_selector: { [managedByLabel]: managedByPlay } } },
      this.#options,
    );
    const own = items.filter(({ annotations }) => plan.owners.includes(annotations[ownerAnnotation] ?? ''));
    // What depends on others was made last and goes first.
    const newestFirst = own.toSorted((a, b) => (a.created_at < b.created_at ? 1 : -1));
    for (const pod of newestFirst) await this.#remove(pod);
    await this.#sweep();
    const removed = newestFirst.map(({ metadata }) => `pod ${metadata?.name}`);
    if (!withVolumes) return removed;
    const { volumes } = await this.#connection.admin('ListVolumes', {}, this.#options);
    const names = namedVolumesOf(plan.pods).filter((name) => volumes.some((one) => one.name === name));
    for (const name of names) await this.#connection.admin('RemoveVolume', { name }, this.#options);
    return [...removed, ...names.map((name) => `volume ${name}`)];
  }

  /** Those that were not there before are added to `made`, before the next is. */
  async #makeVolumes(pods: readonly PodPlan[], made: string[]): Promise<void> {
    const { volumes } = await this.#connection.admin('ListVolumes', {}, this.#options);
    for (const name of namedVolumesOf(pods)) {
      if (!volumes.some((one) => one.name === name)) made.push(name);
      const { volume } = await this.#connection.admin('CreateVolume', { name }, this.#options);
      if (volume === undefined) throw new CommandError(`the volume ${name} was not made`);
      this.#folders.volumes.set(name, volume.path);
    }
  }

  /** Removes what was written for pods that somebody else has removed since. What is written is written after its pod is made. */
  async #sweep(): Promise<void> {
    const written = writtenUids(this.#folders);
    const { items } = await this.#connection.call('ListPodSandbox', {}, this.#options);
    const present = new Set(items.map(({ metadata }) => metadata?.uid));
    for (const uid of written) if (!present.has(uid)) removePodFolders(uid, this.#folders);
  }

  /** A kubelet's pods have labels that nothing else gives. */
  async #warnOfKubelet(): Promise<void> {
    const { items } = await this.#connection.call('ListPodSandbox', {}, this.#options);
    if (items.some(({ labels }) => labels['io.kubernetes.pod.uid'] !== undefined))
      this.#output.warn(
        'a kubelet uses this daemon: it ends pods that it has not made, and these will be such',
      );
  }

  async #fetchImages(pods: readonly PodPlan[]): Promise<void> {
    const done = new Set<string>();
    const wanted = pods.flatMap(({ containers, volumes }) => [
      ...containers,
      ...Object.values(volumes).flatMap((volume) => (volume.kind === 'image' ? [volume] : [])),
    ]);
    for (const { image, pull } of wanted) {
      if (done.has(`${image} ${pull}`)) continue;
      done.add(`${image} ${pull}`);
      await ensureImage(this.#connection, image, pull, this.#output, this.#options.signal);
    }
    for (const { containers } of pods)
      for (const container of containers) if (container.mustNotBeRoot) await this.#refuseRoot(container);
  }

  /** As a kubelet does with runAsNonRoot: the image's user counts where the manifest names none. */
  async #refuseRoot({ image: name, fullName, security }: ContainerPlan): Promise<void> {
    if (security.run_as_user !== undefined) return;
    const { image } = await this.#connection.call('ImageStatus', { image: { image: name } }, this.#options);
    const isNumber = image?.uid !== undefined;
    if (isNumber && image.uid!.value !== 0n) return;
    throw new CommandError(
      `${fullName}: runAsNonRoot forbids root, and ${name} ${isNumber || !image?.username ? 'runs as root' : `names a user (${image.username}) that may be root`}`,
      { hint: 'Give a number in runAsUser.' },
    );
  }

  async #makePod(pod: PodPlan): Promise<string> {
    const config = toSandbox(pod, this.#folders);
    try {
      const reply = await this.#connection.call(
        'RunPodSandbox',
        { config, runtime_handler: pod.runtimeHandler },
        this.#options,
      );
      return reply.pod_sandbox_id;
    } catch (error) {
      throw startError(error, `the pod ${pod.name}`, () => 1);
    }
  }

  async #startContainers(
    pod: PodPlan,
    podId: string,
    facts: PodFacts,
    hostsFile: string | undefined,
  ): Promise<void> {
    const sandbox = toSandbox(pod, this.#folders);
    const create = async (container: ContainerPlan): Promise<string> => {
      makeSubPaths(pod, container, facts, this.#folders);
      const config = toContainerRequest(pod, container, facts, this.#folders, hostsFile);
      try {
        const request = { pod_sandbox_id: podId, config, sandbox_config: sandbox };
        return (await this.#connection.call('CreateContainer', request, this.#options)).container_id;
      } catch (error) {
        throw startError(error, container.fullName, () => 1);
      }
    };
    const start = async (container: ContainerPlan, id: string): Promise<void> => {
      try {
        await this.#connection.call('StartContainer', { container_id: id }, this.#options);
      } catch (error) {
        throw startError(error, container.fullName, () => 1);
      }
    };
    for (const container of pod.containers) {
      const id = await create(container);
      await start(container, id);
      if (container.role === 'init') await this.#awaitInit(container, id);
    }
  }

  async #awaitInit({ fullName }: ContainerPlan, id: string): Promise<void> {
    const { exit_code } = await this.#connection.admin('WaitContainer', { container_id: id }, this.#options);
    if (exit_code === 0) return;
    const { status } = await this.#connection.call('ContainerStatus', { container_id: id }, this.#options);
    throw new CommandError(
      `the init container ${fullName} ended with exit status ${exit_code}${await lastWords(status?.log_path)}`,
      {
        hint: 'A kubelet would try it again; here nothing of the file runs now.',
      },
    );
  }

  async #ipsOf(id: string): Promise<readonly string[]> {
    const { status } = await this.#connection.call('PodSandboxStatus', { pod_sandbox_id: id }, this.#options);
    const { ip = '', additional_ips = [] } = status?.network ?? {};
    return [ip, ...additional_ips.map((one) => one.ip)].filter((one) => one !== '');
  }

  /** Pods that ran before get the addresses of new ones too. */
  #writeHosts(
    plan: PlayPlan,
    ips: ReadonlyMap<PodPlan, readonly string[]>,
  ): Map<PodPlan, string | undefined> {
    const siblings: (HostsLine & { readonly pod: PodPlan })[] = plan.pods.flatMap((pod) =>
      pod.siblingNames.length === 0
        ? []
        : (ips.get(pod) ?? []).map((ip) => ({ ip, names: pod.siblingNames, pod })),
    );
    return new Map(
      plan.pods.map((pod) => [
        pod,
        writeHosts(pod, ips.get(pod) ?? [], pod.siblingNames.length === 0 ? [] : siblings, this.#folders),
      ]),
    );
  }

  /** Stops as long as the pod's grace says, and removes what was written for it. */
  async #remove(pod: PodSandbox, options: CallOptions = this.#options): Promise<void> {
    if (pod.state === PodSandboxState.SANDBOX_READY) {
      const { containers } = await this.#connection.call(
        'ListContainers',
        { filter: { pod_sandbox_id: pod.id } },
        options,
      );
      const seconds = Number(pod.annotations[stopSecondsAnnotation] ?? 10);
      const running = containers.filter(({ state }) => state === ContainerState.CONTAINER_RUNNING);
      await Promise.all(
        running.map((container) => stopContainer(this.#connection, container, seconds, options)),
      );
    }
    await this.#connection.call('RemovePodSandbox', { pod_sandbox_id: pod.id }, options);
    removePodFolders(pod.metadata?.uid ?? '', this.#folders);
  }

  async #undo(
    pods: readonly PodPlan[],
    ids: ReadonlyMap<PodPlan, string>,
    volumes: readonly string[],
  ): Promise<void> {
    for (const pod of pods.toReversed()) {
      const id = ids.get(pod);
      try {
        // A fresh call: the one that was given up must not keep this from happening.
        if (id !== undefined) await this.#connection.call('RemovePodSandbox', { pod_sandbox_id: id });
        removePodFolders(pod.uid, this.#folders);
      } catch (error) {
        this.#output.warn(
          `the pod ${pod.name} could not be removed: ${error instanceof Error ? error.message : error}`,
        );
      }
    }
    for (const name of volumes)
      await this.#connection.admin('RemoveVolume', { name }).catch((error: Error) => {
        this.#output.warn(`the volume ${name} could not be removed: ${error.message}`);
      });
  }
}

function refuseChanged(
  changed: readonly PodPlan[],
  present: ReadonlyMap<PodPlan, PodSandbox | undefined>,
): never {
  const isStopped = (pod: PodPlan) => present.get(pod)?.state !== PodSandboxState.SANDBOX_READY;
  const names = changed.map((pod) => (isStopped(pod) ? `${pod.name} (stopped)` : pod.name)).join(', ');
  throw new CommandError(`${names}: what is there is not what the file says`, {
    hint: '--replace removes such pods, with what they wrote, and makes them anew.',
  });
}

/** Whether the pod that is there is the one of the plan. */
export function isAsPlanned(there: PodSandbox, pod: PodPlan): boolean {
  return (
    there.state === PodSandboxState.SANDBOX_READY && there.annotations[planAnnotation] === planDigest(pod)
  );
}

function isNamed(metadata: PodSandbox['metadata'], pod: PodPlan): boolean {
  return metadata?.name === pod.name && metadata.namespace === pod.namespace;
}

function factsOf(pod: PodPlan, ips: readonly string[]): PodFacts {
  const [hostIp = ''] = Object.values(networkInterfaces())
    .flat()
    .flatMap((one) => (one !== undefined && one.family === 'IPv4' && !one.internal ? [one.address] : []));
  return {
    podIps: pod.network === 'host' ? [hostIp] : ips,
    hostIp,
    nodeName: hostname(),
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
  };
}

async function lastWords(logPath: string | undefined): Promise<string> {
  if (logPath === undefined || logPath === '') return '';
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(logPath, 'utf8').catch(() => ''); // no log, no words
  const words = text
    .trimEnd()
    .split('\n')
    .slice(-3)
    .map((line) => line.split(' ').slice(3).join(' '));
  return words.join('').trim() === '' ? '' : `:\n${words.map((line) => `  ${line}`).join('\n')}`;
}

function namedVolumesOf(pods: readonly PodPlan[]): string[] {
  const names = pods.flatMap(({ volumes }) =>
    Object.values(volumes).flatMap((one) => (one.kind === 'named' ? [one.name] : [])),
  );
  return [...new Set(names)];
}
