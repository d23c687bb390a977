/**
 * CreateContainer as a list of steps, each with its undo. The record is `creating` before the first effect and `created`
 * after the last one.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { writing } from '#base/disk-full.ts';
import { messageOf, RuntimeError, throwIfAborted } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { step } from '#base/step.ts';
import { UndoList } from '#base/undo.ts';
import type { CgroupMigrations } from '#host/cgroup-migration.ts';
import { nowNs } from '#host/clock.ts';
import type { ExitStatus } from '#host/launch.ts';
import { performMountAside, unmountAllAside } from '#host/mount.ts';
import type { Image, ImageId, ImageService, Snapshot, Snapshotter } from '#images/contract.ts';
import { checkpointFiles } from '../checkpoint/archive-files.ts';
import { withCriuWords } from '../checkpoint/criu-log.ts';
import type { OpenCheckpoint, RestoreSource, RestoreSources } from '../checkpoint/restore-sources.ts';
import type { CheckpointSupport } from '../checkpoint/support.ts';
import type { LifecycleHooks } from '../lifecycle-hooks.ts';
import { awaitMonitorEnd } from '../monitor/end-monitor.ts';
import type { ExitFiles } from '../monitor/exit-files.ts';
import { createMonitored, type MonitorRequest, type MonitorStarted } from '../monitor/launch.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import type { SandboxRecord } from '../sandbox/record.ts';
import type { MappedLayers } from '../sandbox/user-namespace.ts';
import type { OciSpec } from '../spec/oci-spec.ts';
import { mergeResources } from '../spec/resources.ts';
import { resolveStopSignal } from '../spec/stop-signal.ts';
import { clearOwnGroup } from './cgroup-location.ts';
import type { ContainerConfig, ContainerId } from './config.ts';
import type { ContainerRecord } from './record.ts';
import { type Origin, SpecResolver, type SpecResolverOptions } from './resolve-spec.ts';
import { SeccompFilters } from './seccomp-filters.ts';
import { removeVolumes } from './volumes.ts';

export interface CreatorOptions extends SpecResolverOptions {
  readonly images: Pick<ImageService, 'find'>;
  readonly snapshotter: Snapshotter;
  readonly mappedLayers: MappedLayers;
  readonly exits: ExitFiles;
  readonly conmonPath: string;
  readonly migrations: CgroupMigrations;
  readonly hooks: LifecycleHooks;
  /** Absent: nothing can be restored. */
  readonly restores?: RestoreSources;
  readonly checkpointSupport?: CheckpointSupport;
  readonly log: Log;
}

export interface Created {
  readonly record: ContainerRecord;
  /** undefined for one that waits to go on from a checkpoint: it has no monitor yet. */
  readonly monitorExited: Promise<ExitStatus> | undefined;
}

export class ContainerCreator {
  readonly #options: CreatorOptions;
  readonly #specs: SpecResolver;
  readonly #seccompFilters = new SeccompFilters();

  constructor(options: CreatorOptions) {
    this.#options = options;
    this.#specs = new SpecResolver(options);
  }

  /**
   * Builds container `id` in a ready sandbox. On failure everything is undone; what cannot be undone stays in the
   * record as `unknown`, so that remove can finish. Throws NotFound (image), InvalidArgument, FailedPrecondition, Internal, Canceled.
   */
  async create(
    id: ContainerId,
    sandbox: SandboxRecord,
    config: ContainerConfig,
    signal: AbortSignal,
    given?: RestoreSource,
  ): Promise<Created> {
    const { containers, migrations } = this.#options;
    migrations.expect();
    const handler = this.#options.handlers.get(sandbox.runtimeHandler);
    const log = this.#options.log.child({ containerId: id, sandboxId: sandbox.id });
    const undo = new UndoList(log);
    const source = given ?? (await this.#options.restores?.find(config));
    const image = source ? undefined : this.#findImage(config);
    let record = this.#newRecord(id, sandbox, config, image, handler);
    try {
      undo.add('forget the record', () => containers.remove(id));
      await step('create-container/record', () => containers.put(record));
      if (image)
        return await this.#build(
          record,
          sandbox,
          { image, config, checkpoint: undefined },
          handler,
          undo,
          signal,
        );
      const origin = await this.#openCheckpoint(record, sandbox, source!, undo, signal);
      record = { ...record, ...imageFieldsOf(config, origin.image) };
      await step('restore-container/record-image', () => containers.put(record));
      return await this.#build(record, sandbox, origin, handler, undo, signal);
    } catch (error) {
      const failures = await undo.run();
      if (failures.length > 0)
        containers.put({
          ...record,
          state: 'unknown',
          reason: 'CreateFailed',
          message: `${messageOf(error)}; left behind: ${failures.map((failure) => failure.name).join(', ')}`,
        });
      throw error;
    }
  }

  /**
   * Builds an exited container again around its writable layer and volumes, with what its record has of the request and of
   * limits. On failure everything but those is undone, and the record is as it was. What the first life left in the OCI
   * runtime and the mount table must be gone. Throws NotFound (image), FailedPrecondition (writable layer), and as `create`.
   */
  async revive(record: ContainerRecord, sandbox: SandboxRecord, signal: AbortSignal): Promise<Created> {
    const { containers, images, migrations, snapshotter } = this.#options;
    const { id, config } = record;
    migrations.expect();
    const handler = this.#options.handlers.get(sandbox.runtimeHandler);
    const image = images.find(record.imageId);
    if (!image)
      throw new RuntimeError(
        'NotFound',
        `image ${record.imageName}, which container ${id} was made of, is not here any more; pull it first`,
      );
    if (!snapshotter.find(id))
      throw new RuntimeError(
        'FailedPrecondition',
        `the writable layer of container ${id} is gone; remove it`,
      );
    const undo = new UndoList(this.#options.log.child({ containerId: id, sandboxId: sandbox.id }));
    undo.add('note that it has exited', () => {
      containers.put({ ...record, isReviving: false });
    });
    const origin: Origin = {
      image,
      config: { ...config, resources: record.resources ?? config.resources },
      checkpoint: undefined,
      isRevived: true,
    };
    try {
      await step('create-container/record', () => containers.put({ ...record, isReviving: true }));
      return await this.#build(freshRecord(record, handler.name), sandbox, origin, handler, undo, signal);
    } catch (error) {
      // What cannot be undone now is undone by a removal, or by the next start of the daemon.
      await undo.run();
      throw error;
    }
  }

  /** A checkpoint with the image that it began from. Its copy is the container's, and goes with it. */
  async #openCheckpoint(
    { id, config, handler }: ContainerRecord,
    sandbox: SandboxRecord,
    source: RestoreSource,
    undo: UndoList,
    signal: AbortSignal,
  ): Promise<Origin> {
    const { restores, handlers, paths } = this.#options;
    if (!restores)
      throw new RuntimeError('Unimplemented', `container ${id}: nothing can be restored by this daemon`);
    undo.add('remove the checkpoint', () => removeVolumes(paths.restore(id)));
    const target = { sandbox, handler: handlers.get(handler) };
    const checkpoint = await restores.open(id, source, target, signal);
    return { image: checkpoint.base, config: checkpoint.complete(config), checkpoint };
  }

  #findImage(config: ContainerConfig): Image {
    const image = this.#options.images.find(config.image.image);
    if (!image) throw new RuntimeError('NotFound', `image ${config.image.image} is not here; pull it first`);
    if (image.artifactType !== undefined)
      throw new RuntimeError(
        'FailedPrecondition',
        `image ${config.image.image} is an artifact of type ${image.artifactType}, with nothing in it to run; it can be mounted as an image volume`,
      );
    return image;
  }

  #newRecord(
    id: ContainerId,
    sandbox: SandboxRecord,
    config: ContainerConfig,
    image: Image | undefined,
    handler: CliRuntime,
  ): ContainerRecord {
    return {
      id,
      sandboxId: sandbox.id,
      state: 'creating',
      config,
      ...imageFieldsOf(config, image),
      ...this.#imageVolumeRefs(config),
      createdAtNs: nowNs(),
      startedAtNs: 0n,
      finishedAtNs: 0n,
      exitCode: 0,
      reason: '',
      message: '',
      logPath: logPathOf(sandbox, config),
      resources: config.resources,
      user: { uid: 0, gid: 0, additionalGids: [] },
      process: undefined,
      monitor: undefined,
      handler: handler.name,
      cgroupsPath: '',
      isRemoving: false,
    };
  }

  /** What the mounts' references stand for now; a tag may move later. */
  #imageVolumeRefs(config: ContainerConfig): Pick<ContainerRecord, 'imageVolumeRefs'> {
    const refs = config.mounts.flatMap((mount) => {
      const reference = mount.image?.image;
      const image = reference === undefined ? undefined : this.#options.images.find(reference);
      return image ? [[reference, image.repoDigests[0] ?? image.id] as const] : [];
    });
    return refs.length === 0 ? {} : { imageVolumeRefs: Object.fromEntries(refs) };
  }

  async #build(
    record: ContainerRecord,
    sandbox: SandboxRecord,
    origin: Origin,
    handler: CliRuntime,
    undo: UndoList,
    signal: AbortSignal,
  ): Promise<Created> {
    const { paths, snapshotter } = this.#options;
    const { id } = record;
    const { image, checkpoint, isRevived } = origin;
    undo.add('remove the bundle', () => rmSync(paths.bundle(id), { recursive: true, force: true }));
    await step('create-container/make-bundle', () =>
      mkdirSync(paths.rootfs(id), { recursive: true, mode: 0o711 }),
    );
    if (!isRevived) undo.add('remove the snapshot', () => snapshotter.remove(id));
    const snapshot = await step('create-container/prepare-snapshot', () =>
      snapshotter.prepare(id, image.chainId),
    );
    const removed = checkpoint
      ? await step('restore-container/fill-root', () => fillUpper(checkpoint, snapshot, signal))
      : [];
    throwIfAborted(signal, `creating container ${id}`);
    undo.add('unmount the root file system', () => unmountAllAside(paths.rootfs(id)));
    await step('create-container/mount-root', () =>
      performMountAside(this.#options.mappedLayers.translate(sandbox, snapshot), paths.rootfs(id)),
    );
    if (removed.length > 0)
      await step('restore-container/remove-deleted', () =>
        checkpoint?.removeDeleted(paths.rootfs(id), removed),
      );
    const user = await step('create-container/prepare-root', () =>
      this.#specs.prepareRoot(record, origin, sandbox),
    );
    if (!isRevived) undo.add('remove the volumes', () => removeVolumes(paths.volumes(id)));
    const mounts = await step('create-container/make-volumes', () =>
      this.#specs.resolveMounts(record, sandbox, image, signal),
    );
    if (checkpoint)
      await step('restore-container/fill-volumes', () => checkpoint.fillVolumes(paths.volumes(id), signal));
    const built = this.#specs.buildSpec(record, origin, sandbox, user, mounts);
    const spec = await this.#specs.extendSpec(built, record, sandbox, handler);
    checkpoint?.check(spec, record.config.image.image);
    const created = await this.#launch(record, sandbox, handler, spec, undo, signal, checkpoint);
    undo.commit();
    return created;
  }

  /** Lets the hooks have the last word on the spec, makes the container of it and records that. */
  async #launch(
    record: ContainerRecord,
    sandbox: SandboxRecord,
    handler: CliRuntime,
    built: OciSpec,
    undo: UndoList,
    signal: AbortSignal,
    checkpoint: OpenCheckpoint | undefined,
  ): Promise<Created> {
    const { hooks } = this.#options;
    undo.add('tell of its end', () =>
      hooks.during(async () => {
        await hooks.containerStopped(record);
        await hooks.removeContainer(record);
      }),
    );
    return hooks.during(async () => {
      const { spec, changedResources } = await hooks.createContainer(sandbox, record, built);
      const adjusted =
        changedResources === undefined
          ? record
          : { ...record, resources: mergeResources(record.resources, changedResources) };
      const created = checkpoint
        ? await this.#prepareRestore(adjusted, handler, spec)
        : await this.#createInRuntime(adjusted, sandbox, handler, spec, undo, signal);
      await hooks.containerCreated(created.record);
      return created;
    });
  }

  async #createInRuntime(
    record: ContainerRecord,
    sandbox: SandboxRecord,
    handler: CliRuntime,
    spec: OciSpec,
    undo: UndoList,
    signal: AbortSignal,
  ): Promise<Created> {
    const { paths, exits, containers } = this.#options;
    const { id } = record;
    const bundle = paths.bundle(id);
    await this.#writeBundle(record, handler, spec);
    undo.add('remove the exit file and the attach link', () => {
      exits.remove(id);
      rmSync(join(paths.sockets, id), { force: true });
    });
    undo.add('delete the container from the OCI runtime', async () => {
      await handler.remove(id);
      // It writes an exit file as its last act.
      await awaitMonitorEnd(bundle);
      // An OCI runtime that was killed at work leaves it.
      await clearOwnGroup(this.#options.host.cgroupVersion, id, spec.linux.cgroupsPath);
    });
    const request = this.#monitorRequest(record, sandbox, handler);
    this.#options.migrations.expect();
    const started = await step('create-container/run-monitor', () =>
      createMonitored(this.#options.conmonPath, request, signal),
    ).finally(() => this.#specs.checkPidNamespace(record, sandbox));
    throwIfAborted(signal, `creating container ${id}`);
    this.#seccompFilters.learn(spec, handler, id);
    const created = await step('create-container/record-created', () =>
      containers.put({
        ...createdRecord(record, spec),
        process: started.container,
        monitor: started.monitor,
      }),
    );
    return { record: created, monitorExited: started.monitorExited };
  }

  async #writeBundle(record: ContainerRecord, handler: CliRuntime, spec: OciSpec): Promise<void> {
    const bundle = this.#options.paths.bundle(record.id);
    await step('create-container/write-bundle', () => {
      const files = [
        ['config.json', JSON.stringify(this.#seccompFilters.apply(spec, handler))],
        ['process.json', JSON.stringify(spec.process)],
      ] as const;
      for (const [name, text] of files) {
        const path = join(bundle, name);
        writing(path, () => writeFileSync(path, text, { mode: 0o600 }));
      }
      if (record.logPath !== '') mkdirSync(dirname(record.logPath), { recursive: true, mode: 0o755 });
    });
  }

  #monitorRequest(record: ContainerRecord, sandbox: SandboxRecord, handler: CliRuntime): MonitorRequest {
    const { paths } = this.#options;
    const { id, config } = record;
    return {
      containerId: id,
      name: `${sandbox.config.metadata.namespace}_${sandbox.config.metadata.name}_${config.metadata.name}`,
      bundle: paths.bundle(id),
      exitDir: paths.exits,
      socketDir: paths.sockets,
      logPath: record.logPath,
      hasTty: config.hasTty,
      hasStdin: config.hasStdin,
      leaveStdinOpen: !config.stdinOnce,
      runtime: handler,
    };
  }

  /** All but the process, which CRIU makes and lets run in one go: that has to wait for the start. */
  async #prepareRestore(record: ContainerRecord, handler: CliRuntime, spec: OciSpec): Promise<Created> {
    await this.#writeBundle(record, handler, spec);
    const created = await step('create-container/record-created', () =>
      this.#options.containers.put({ ...createdRecord(record, spec), isRestoring: true }),
    );
    return { record: created, monitorExited: undefined };
  }

  /**
   * Lets a container that was created from a checkpoint go on. Throws Internal with CRIU's words, and what CheckpointSupport
   * throws; nothing is left in the OCI runtime then.
   */
  async restore(record: ContainerRecord, sandbox: SandboxRecord): Promise<MonitorStarted> {
    const { conmonPath, checkpointSupport, handlers, paths } = this.#options;
    const handler = handlers.get(record.handler);
    const searchPath = (await checkpointSupport?.require(handler)) ?? '';
    const imagePath = join(paths.restore(record.id), checkpointFiles.images);
    const request = { ...this.#monitorRequest(record, sandbox, handler), restore: { imagePath, searchPath } };
    try {
      return await step('restore-container/run-monitor', () =>
        createMonitored(conmonPath, request, new AbortController().signal),
      );
    } catch (error) {
      // What the OCI runtime made for CRIU it does not always take back: crun leaves control groups.
      await handler.remove(record.id);
      await clearOwnGroup(this.#options.host.cgroupVersion, record.id, record.cgroupsPath);
      throw withCriuWords(error, [join(paths.bundle(record.id), 'restore.log')]);
    }
  }
}

/** What a record has of the image; of one that is not known yet, which a checkpoint tells, nothing. */
function imageFieldsOf(
  config: ContainerConfig,
  image: Image | undefined,
): Pick<ContainerRecord, 'imageName' | 'imageRef' | 'imageId' | 'stopSignal'> {
  return {
    imageName: image?.repoTags[0] ?? config.image.image,
    imageRef: image?.repoDigests[0] ?? image?.id ?? '',
    imageId: image?.id ?? ('' as ImageId),
    stopSignal: resolveStopSignal(config.stopSignal, image?.config.stopSignal ?? ''),
  };
}

function createdRecord(record: ContainerRecord, spec: OciSpec): ContainerRecord {
  const { uid, gid, additionalGids } = spec.process.user;
  return {
    ...record,
    state: 'created',
    user: { uid, gid, additionalGids: additionalGids ?? [] },
    cgroupsPath: spec.linux.cgroupsPath,
  };
}

/** Only an overlay has a writable directory that is empty but for what is put there. */
async function fillUpper(
  checkpoint: OpenCheckpoint,
  { upperDir, mount }: Snapshot,
  signal: AbortSignal,
): Promise<string[]> {
  if (upperDir === undefined || mount.type !== 'overlay')
    throw new RuntimeError(
      'FailedPrecondition',
      'a checkpoint can only be restored on overlayfs (images.snapshotter)',
    );
  return checkpoint.fill(upperDir, signal);
}

/** The record of an exited container as it was before its first life. */
function freshRecord(record: ContainerRecord, handler: string): ContainerRecord {
  return {
    ...record,
    startedAtNs: 0n,
    finishedAtNs: 0n,
    exitCode: 0,
    reason: '',
    message: '',
    process: undefined,
    monitor: undefined,
    handler,
    cgroupsPath: '',
    isReviving: false,
    isPaused: false,
  };
}

function logPathOf(sandbox: SandboxRecord, config: ContainerConfig): string {
  if (config.logPath === '' || sandbox.config.logDirectory === '') return '';
  const path = join(sandbox.config.logDirectory, config.logPath);
  if (path.includes(':'))
    throw new RuntimeError(
      'InvalidArgument',
      `log path ${path} holds a colon, which the container monitor cannot take`,
    );
  return path;
}
