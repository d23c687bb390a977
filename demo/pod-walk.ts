/** What the demo does through the CRI socket, in the order in which a kubelet would, and what it looks at meanwhile. */
import { globSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CriClient, ReplyOf } from '#conformance/cri-client.ts';
import { CgroupDriver } from '#proto/generated/cri.ts';
import type { DemoHost } from './host.ts';
import { ifUnimplemented, showExec, showIsolation, showLog, showNetwork, showStats } from './looks.ts';
import { type ContainerName, makeContainerConfig, makePodConfig, type PodConfig } from './pod.ts';
import { findTraces, type PodIdentity, type Traces, traceKinds } from './traces.ts';
import { DemoFailure, shortId, type Transcript } from './transcript.ts';

export interface PodWalkOptions {
  readonly transcript: Transcript;
  readonly client: CriClient;
  readonly host: DemoHost;
  /** Full name of the image to pull. */
  readonly image: string;
  readonly workDir: string;
}

interface Running {
  readonly web: string;
  readonly side: string;
}

const graceSeconds = 5n;
const readyTimeoutMs = 20_000;
const goneTimeoutMs = 5_000;
const cgroupName = 'berth-demo';

export class PodWalk {
  readonly #options: PodWalkOptions;
  readonly #transcript: Transcript;
  readonly #client: CriClient;
  #sandboxId = '';
  #identity: PodIdentity;
  #config: PodConfig | undefined;
  #isPulled = false;
  #isRemoved = false;
  #bytesBefore = 0n;

  constructor(options: PodWalkOptions) {
    this.#options = options;
    this.#transcript = options.transcript;
    this.#client = options.client;
    this.#identity = { ids: [], linkIndex: undefined, dirs: options.host.dirs };
  }

  /** The whole walk. Throws DemoFailure at the first check that does not hold. */
  async run(): Promise<void> {
    this.#config = this.#makeConfig(await this.#greet());
    await this.#pull();
    const ip = await this.#runPod(this.#config);
    const running = await this.#runContainers(this.#config);
    const subject = {
      transcript: this.#transcript,
      client: this.#client,
      sandboxId: this.#sandboxId,
      ...running,
    };
    this.#identity = { ...this.#identity, linkIndex: await showIsolation(subject) };
    await showNetwork(subject, ip);
    await showLog(subject, join(this.#config.log_directory ?? '', 'web.log'));
    await showExec(subject);
    await showStats(subject);
    const before = this.#showTraces();
    await this.#remove(running);
    await this.#showNothingLeft(before);
  }

  /** Removes pod and image if they are there; for a walk that did not come to its end. */
  async removeAll(): Promise<void> {
    if (this.#isRemoved) return;
    // By its uid and not its id, which is unknown when RunPodSandbox failed half way.
    const uid = this.#config?.metadata?.uid;
    const { items } = await this.#client.call('ListPodSandbox', {});
    for (const { id } of items.filter(({ metadata }) => metadata?.uid === uid)) {
      await this.#client.call('StopPodSandbox', { pod_sandbox_id: id });
      await this.#client.call('RemovePodSandbox', { pod_sandbox_id: id });
    }
    if (this.#isPulled) await this.#client.call('RemoveImage', { image: { image: this.#options.image } });
    removePodCgroup();
  }

  /** Resolves with whether systemd makes the cgroups. */
  async #greet(): Promise<boolean> {
    const { transcript, client } = this.#options;
    transcript.step('Ask who answers');
    await transcript.call(
      client,
      'Version',
      {},
      '',
      (reply) => `${reply.runtime_name} ${reply.runtime_version}, CRI ${reply.runtime_api_version}`,
    );
    await this.#awaitReady();
    const config = await transcript
      .call(client, 'RuntimeConfig', {}, '', ({ linux }) =>
        linux?.cgroup_driver === CgroupDriver.SYSTEMD ? 'systemd makes the cgroups' : 'cgroupfs driver',
      )
      .catch(ifUnimplemented(transcript, 'RuntimeConfig'));
    return config?.linux?.cgroup_driver === CgroupDriver.SYSTEMD;
  }

  #makeConfig(hasSystemdCgroups: boolean): PodConfig {
    const logDirectory = join(this.#options.workDir, 'pods', 'demo_hello');
    mkdirSync(logDirectory, { recursive: true });
    // A kubelet makes a cgroup per pod, deep in its own; ours is at the top.
    const cgroupParent = hasSystemdCgroups ? `${cgroupName.replace('-', '_')}.slice` : `/${cgroupName}`;
    return makePodConfig({ logDirectory, cgroupParent });
  }

  async #awaitReady(): Promise<void> {
    const { transcript, client } = this.#options;
    const deadlineMs = Date.now() + readyTimeoutMs;
    for (;;) {
      const conditions = (await client.call('Status', {})).status?.conditions ?? [];
      if (conditions.length > 0 && conditions.every(({ status }) => status)) break;
      if (Date.now() > deadlineMs) {
        const words = conditions.map(
          ({ type, status, reason, message }) => `${type} ${status} ${reason} ${message}`,
        );
        throw new DemoFailure(`the runtime does not become ready: ${words.join('; ')}`);
      }
      await sleep(50);
    }
    await transcript.call(client, 'Status', {}, '', ({ status }) =>
      (status?.conditions ?? []).map((condition) => `${condition.type} ${condition.status}`).join(', '),
    );
  }

  async #pull(): Promise<void> {
    const { transcript, client, image } = this.#options;
    transcript.step('Pull the image');
    this.#bytesBefore = await this.#imageBytes('before');
    this.#isPulled = true;
    await transcript.call(client, 'PullImage', { image: { image } }, image, ({ image_ref }) =>
      shortRef(image_ref),
    );
    const { image: found } = await transcript.call(
      client,
      'ImageStatus',
      { image: { image } },
      '',
      ({ image: is }) => `${shortRef(is?.id ?? 'not there')}, ${is?.size ?? 0} bytes`,
    );
    await this.#imageBytes('after');
    transcript.check('the image is there under its tag', found?.repo_tags.includes(image) === true, image);
  }

  /** Bytes that images take on the disk. */
  async #imageBytes(when: string): Promise<bigint> {
    const used = (reply: ReplyOf<'ImageFsInfo'>) =>
      reply.image_filesystems.reduce((sum, { used_bytes }) => sum + (used_bytes?.value ?? 0n), 0n);
    return used(
      await this.#transcript.call(this.#client, 'ImageFsInfo', {}, when, (reply) => `${used(reply)} bytes`),
    );
  }

  /** Resolves with the pod's address. */
  async #runPod(config: PodConfig): Promise<string> {
    const { transcript, client, host } = this.#options;
    transcript.step('Run a pod: namespaces and a network');
    const { pod_sandbox_id: id } = await transcript.call(
      client,
      'RunPodSandbox',
      { config },
      'demo/hello',
      (reply) => shortId(reply.pod_sandbox_id),
    );
    this.#sandboxId = id;
    this.#identity = { ...this.#identity, ids: [id] };
    const { status } = await transcript.call(
      client,
      'PodSandboxStatus',
      { pod_sandbox_id: id },
      shortId(id),
      (reply) => `${reply.status?.state === 0 ? 'ready' : 'not ready'}, address ${addressesOf(reply.status)}`,
    );
    const ip = status?.network?.ip ?? '';
    transcript.check('the pod is ready and has an address', status?.state === 0 && ip !== '', ip);
    const { processes } = findTraces(this.#identity);
    if (host.isBerth)
      transcript.check(
        'no process runs for it: it is pinned namespaces',
        processes.length === 0,
        `${processes.length} processes`,
      );
    return ip;
  }

  async #runContainers(config: PodConfig): Promise<Running> {
    const { transcript } = this.#options;
    transcript.step('Run two containers in it');
    const web = await this.#runContainer('web', config);
    const side = await this.#runContainer('side', config);
    this.#identity = { ...this.#identity, ids: [this.#sandboxId, web, side] };
    const { containers } = await transcript.call(
      this.#client,
      'ListContainers',
      { filter: { pod_sandbox_id: this.#sandboxId } },
      '',
      (reply) =>
        reply.containers.map(({ metadata, state }) => `${metadata?.name} ${stateNames[state]}`).join(', '),
    );
    const isRunning = containers.length === 2 && containers.every(({ state }) => state === 1);
    transcript.check('both containers run', isRunning, '');
    return { web, side };
  }

  async #runContainer(name: ContainerName, podConfig: PodConfig): Promise<string> {
    const { transcript, client, image } = this.#options;
    const { container_id: id } = await transcript.call(
      client,
      'CreateContainer',
      {
        pod_sandbox_id: this.#sandboxId,
        config: makeContainerConfig(name, image),
        sandbox_config: podConfig,
      },
      name,
      (reply) => shortId(reply.container_id),
    );
    await transcript.call(client, 'StartContainer', { container_id: id }, shortId(id), () => 'started');
    return id;
  }

  /** Another server names pins and files its own way. */
  get #kinds(): readonly (keyof Traces)[] {
    const { isBerth } = this.#options.host;
    return isBerth ? traceKinds : traceKinds.filter((kind) => kind !== 'namespaces' && kind !== 'files');
  }

  #showTraces(): Traces {
    const { transcript } = this.#options;
    transcript.step('What the pod is on the host');
    const traces = findTraces(this.#identity);
    for (const kind of this.#kinds) {
      const shown = traces[kind].map((trace) => trace.replaceAll(/[0-9a-f]{20,}/g, shortId));
      transcript.say(
        `${kind.padEnd(11)} ${String(traces[kind].length).padStart(2)}  ${shown.slice(0, 3).join(', ')}${shown.length > 3 ? ', ...' : ''}`,
      );
    }
    // Nothing found now would make "nothing left" mean nothing.
    const unseen = this.#kinds.filter((kind) => traces[kind].length === 0);
    transcript.check('all of it is found by the ids alone', unseen.length === 0, unseen.join(', '));
    return traces;
  }

  async #remove({ web }: Running): Promise<void> {
    const { transcript, client, image, host } = this.#options;
    transcript.step('Stop and remove everything');
    await transcript.call(
      client,
      'StopContainer',
      { container_id: web, timeout: graceSeconds },
      'web',
      () => 'stopped',
    );
    const { status } = await transcript.call(
      client,
      'ContainerStatus',
      { container_id: web },
      'web',
      (reply) =>
        `${stateNames[reply.status?.state ?? 3]}, exit code ${reply.status?.exit_code}, ${reply.status?.reason}`,
    );
    transcript.check(
      'web ended by itself on SIGTERM',
      status?.state === 2 && status.exit_code === 0,
      `exit code ${status?.exit_code}`,
    );
    await transcript.call(client, 'RemoveContainer', { container_id: web }, 'web', () => 'removed');
    const pod = { pod_sandbox_id: this.#sandboxId };
    await transcript.call(client, 'StopPodSandbox', pod, 'demo/hello, side still in it', () => 'stopped');
    await transcript.call(client, 'RemovePodSandbox', pod, 'demo/hello', () => 'removed, with side');
    await transcript.call(client, 'RemoveImage', { image: { image } }, '', () => 'removed');
    removePodCgroup();
    this.#isRemoved = true;
    if (host.isBerth) {
      const bytes = await this.#imageBytes('after');
      transcript.check('the image takes no bytes any more', bytes <= this.#bytesBefore, `${bytes}`);
    }
    const pods = await transcript.call(
      client,
      'ListPodSandbox',
      {},
      '',
      ({ items }) => `${items.length} pods`,
    );
    const all = await transcript.call(
      client,
      'ListContainers',
      {},
      '',
      ({ containers }) => `${containers.length} containers`,
    );
    const images = await transcript.call(
      client,
      'ListImages',
      {},
      '',
      ({ images: list }) => `${list.length} images`,
    );
    const isGone =
      pods.items.every(({ id }) => !this.#identity.ids.includes(id)) &&
      all.containers.every(({ id }) => !this.#identity.ids.includes(id)) &&
      images.images.every(({ repo_tags }) => !repo_tags.includes(image));
    transcript.check('pod, containers and image are gone from the lists', isGone, '');
  }

  async #showNothingLeft(before: Traces): Promise<void> {
    const { transcript } = this.#options;
    transcript.step('What is left on the host');
    const deadlineMs = Date.now() + goneTimeoutMs;
    let after = findTraces(this.#identity);
    // The kernel takes a namespace apart, and with it the pod's link, a moment after its last pin is gone.
    while (after.interfaces.length > 0 && Date.now() < deadlineMs) {
      await sleep(20);
      after = findTraces(this.#identity);
    }
    for (const kind of this.#kinds) {
      const seen = after[kind].length === 0 ? `${before[kind].length} before, 0 now` : after[kind].join(', ');
      transcript.check(`no ${kind}`, after[kind].length === 0, seen);
    }
  }
}

const stateNames: Readonly<Record<number, string>> = {
  0: 'created',
  1: 'running',
  2: 'exited',
  3: 'unknown',
};

function addressesOf(
  status: { network?: { ip: string; additional_ips: readonly { ip: string }[] } | undefined } | undefined,
): string {
  return [status?.network?.ip, ...(status?.network?.additional_ips ?? []).map(({ ip }) => ip)].join(' and ');
}

function shortRef(reference: string): string {
  return reference.replace(/(sha256:[0-9a-f]{12})[0-9a-f]*/, '$1');
}

/** Removes the pod's own cgroup, as a kubelet does; the runtime removes only what is inside. */
function removePodCgroup(): void {
  for (const dir of globSync([`/sys/fs/cgroup/${cgroupName}`, `/sys/fs/cgroup/*/${cgroupName}`]))
    rmdirSync(dir);
}
