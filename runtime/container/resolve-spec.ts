/**
 * From a request to the OCI spec of a container: what has to be looked up or made on this node for it. The spec itself is made
 * by `runtime/spec`, which is pure.
 */
import { join } from 'node:path';
import { messageOf, RuntimeError } from '#base/errors.ts';
import { volumePathsOf } from '#base/managed-pod.ts';
import { isRunning } from '#host/proc.ts';
import { readFileInRoot, withDirectoryInRoot } from '#host/rooted.ts';
import type { Image } from '#images/contract.ts';
import type { CdiRegistry } from '../cdi/registry.ts';
import { requestedCdiDevices } from '../cdi/requested-devices.ts';
import type { OpenCheckpoint } from '../checkpoint/restore-sources.ts';
import type { HandlerTable } from '../handlers.ts';
import { loadedAppArmorProfiles } from '../host-facts.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import type { OciHookFolders } from '../oci-hooks/hook-folders.ts';
import type { RuntimePaths } from '../paths.ts';
import type { RecordStore } from '../record-store.ts';
import type { ImageVolumes } from '../sandbox/image-volumes.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import { rootOwner } from '../sandbox/user-namespace.ts';
import { readSeccompProfile } from '../seccomp-profile.ts';
import { buildContainerSpec } from '../spec/container-spec.ts';
import type { HostFacts, ResolvedMount, ResolvedUser } from '../spec/inputs.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import { resolveUser } from '../spec/user.ts';
import type { NamedVolumes } from '../volumes/named-volumes.ts';
import type { ContainerConfig } from './config.ts';
import { lazyMounts, listHostDevices, resolveDevices, resolveHostMount } from './host-mounts.ts';
import type { ContainerRecord } from './record.ts';
import { makeVolumes } from './volumes.ts';

/** An image may fill /etc/passwd with anything; real ones are a few kilobytes. */
const accountFileLimitBytes = 4 << 20;

export interface SpecResolverOptions {
  readonly containers: RecordStore<ContainerRecord>;
  readonly imageVolumes: ImageVolumes;
  readonly handlers: HandlerTable;
  readonly paths: RuntimePaths;
  readonly host: HostFacts;
  readonly nodeHostname: string;
  readonly defaultPidsLimit: number;
  readonly defaultSeccompProfile: string | undefined;
  readonly cdi: CdiRegistry;
  readonly ociHooks: OciHookFolders;
  /** '' for none. */
  readonly initPath: string;
  /** The path of a shell. */
  readonly sh: string;
  readonly namedVolumes: Pick<NamedVolumes, 'prepare'>;
}

/** What a container is made from, beside its request. */
export interface Origin {
  readonly image: Image;
  /** The request, completed from the checkpoint where there is one. */
  readonly config: ContainerConfig;
  readonly checkpoint: OpenCheckpoint | undefined;
  /** The writable layer and the volumes are there already, and stay if this fails. */
  readonly isRevived?: boolean;
}

export class SpecResolver {
  readonly #options: SpecResolverOptions;

  constructor(options: SpecResolverOptions) {
    this.#options = options;
  }

  /** Reads the accounts and makes the working directory; both inside the mounted root file system, links confined. */
  prepareRoot(
    record: ContainerRecord,
    { image, config, checkpoint }: Origin,
    sandbox: SandboxRecord,
  ): ResolvedUser {
    const rootfs = this.#options.paths.rootfs(record.id);
    const user = resolveUser({
      security: record.config.security,
      imageUser: image.config.user,
      passwd: readFileInRoot(rootfs, '/etc/passwd', accountFileLimitBytes),
      group: readFileInRoot(rootfs, '/etc/group', accountFileLimitBytes),
    });
    const workingDir = config.workingDir || image.config.workingDir || '/';
    try {
      withDirectoryInRoot(rootfs, workingDir, rootOwner(sandbox.config), () => {});
    } catch (error) {
      throw new RuntimeError(
        'InvalidArgument',
        `working directory ${workingDir} of container ${record.id}: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
    // A request that names only a checkpoint says nothing of the user.
    return checkpoint && !checkpoint.mustMatch ? { ...user, ...checkpoint.user } : user;
  }

  /** Mounts of the request, with image volumes and those that the image declares made. Throws what their makers throw. */
  async resolveMounts(
    record: ContainerRecord,
    sandbox: SandboxRecord,
    image: Image,
    signal: AbortSignal,
  ): Promise<ResolvedMount[]> {
    const { paths, namedVolumes } = this.#options;
    const rootfs = paths.rootfs(record.id);
    const owner = rootOwner(sandbox.config);
    const mountTable = lazyMounts();
    const requested: ResolvedMount[] = [];
    for (const mount of record.config.mounts) {
      if (!mount.image)
        await namedVolumes.prepare(mount.hostPath, { rootfs, path: mount.containerPath, owner }, signal);
      requested.push(
        mount.image
          ? await this.#options.imageVolumes.resolve(sandbox, mount)
          : await resolveHostMount(mount, mountTable, this.#options.sh, signal),
      );
    }
    const volumes = await makeVolumes(
      [...image.config.volumes, ...volumePathsOf(sandbox.config.labels, record.config.annotations)],
      record.config.mounts,
      rootfs,
      paths.volumes(record.id),
      owner,
      signal,
    );
    return [...volumes, ...requested];
  }

  /** The spec of the request alone; whoever may add to it comes later. Throws InvalidArgument, FailedPrecondition. */
  buildSpec(
    record: ContainerRecord,
    { image, config }: Origin,
    sandbox: SandboxRecord,
    user: ResolvedUser,
    mounts: readonly ResolvedMount[],
  ): OciSpec {
    const { paths, host, nodeHostname, defaultPidsLimit } = this.#options;
    const directory = paths.sandbox(sandbox.id);
    const { features } = this.#options.handlers.get(record.handler);
    const requestedDevices = resolveDevices(config.devices);
    return buildContainerSpec({
      containerId: record.id,
      sandboxId: sandbox.id,
      config,
      sandboxConfig: sandbox.config,
      imageConfig: image.config,
      imageReference: record.imageName,
      host: {
        ...host,
        hasRecursiveReadonly: features.hasRecursiveReadonly,
        hasIdmappedMounts: features.hasIdmappedMounts,
      },
      paths: {
        netnsPath: sandbox.netnsPath,
        ipcnsPath: sandbox.ipcnsPath,
        utsnsPath: sandbox.utsnsPath,
        usernsPath: sandbox.usernsPath,
        pidnsPath: sandbox.init ? `/proc/${sandbox.init.pid}/ns/pid` : '',
        shmPath: sandbox.ipcnsPath === '' ? '/dev/shm' : join(directory, 'shm'),
        resolvConfPath: join(directory, 'resolv.conf'),
        hostnamePath: join(directory, 'hostname'),
        hostsPath: join(directory, 'hosts'),
      },
      rootfsPath: paths.rootfs(record.id),
      user,
      mounts,
      devices: config.security.isPrivileged ? [...listHostDevices(), ...requestedDevices] : requestedDevices,
      localhostSeccompProfile: readSeccompProfile(config.security, this.#options.defaultSeccompProfile),
      targetPidnsPath: this.#targetPidNamespace(record),
      initPath: this.#options.initPath,
      hostname: sandbox.utsnsPath === '' ? nodeHostname : sandbox.config.hostname || nodeHostname,
      defaultPidsLimit,
      ...(host.isAppArmorEnabled ? { loadedApparmorProfiles: loadedAppArmorProfiles() } : {}),
    });
  }

  /** What the node adds to a spec beyond the request: edits of CDI devices, then the operator's OCI hooks. */
  async extendSpec(
    built: OciSpec,
    { config }: ContainerRecord,
    sandbox: SandboxRecord,
    handler: CliRuntime,
  ): Promise<OciSpec> {
    const { cdi, ociHooks } = this.#options;
    const { hasIdmappedMounts } = handler.features;
    const withDevices = await cdi.apply(built, requestedCdiDevices(config), hasIdmappedMounts);
    return ociHooks.apply(withDevices, config, sandbox.config);
  }

  /**
   * The PID namespace of another process is joined by that process's pid, which may come to mean another process as soon as
   * it has ended: after the join it must be running still. Throws FailedPrecondition.
   */
  checkPidNamespace(record: ContainerRecord, sandbox: SandboxRecord): void {
    const { pid, targetId } = record.config.security.namespaces;
    const target = pid === 'target' ? this.#options.containers.find(targetId)?.process : undefined;
    const holder = pid === 'pod' ? sandbox.init : target;
    if (holder ? !isRunning(holder) : pid === 'target')
      throw new RuntimeError(
        'FailedPrecondition',
        `creating container ${record.id}: the process whose PID namespace it joins has ended`,
      );
  }

  #targetPidNamespace(record: ContainerRecord): string {
    const { namespaces } = record.config.security;
    if (namespaces.pid !== 'target') return '';
    const target = this.#options.containers.get(namespaces.targetId);
    if (target.sandboxId !== record.sandboxId)
      throw new RuntimeError(
        'InvalidArgument',
        `target container ${target.id} is not in sandbox ${record.sandboxId}`,
      );
    if (target.state !== 'running' || !target.process)
      throw new RuntimeError('FailedPrecondition', `target container ${target.id} is not running`);
    return `/proc/${target.process.pid}/ns/pid`;
  }
}
