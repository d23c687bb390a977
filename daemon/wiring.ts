/** The composition root: the only file that constructs what the daemon is made of, from configuration to service. */
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { errnoOf, messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { WorkMetrics } from '#base/metrics.ts';
import { step } from '#base/step.ts';
import type { AdminServices } from '#cri/admin/services.ts';
import type { Readiness } from '#cri/readiness.ts';
import type { CriServices, RuntimeFacts } from '#cri/services.ts';
import { StreamingServer } from '#cri/streaming/server.ts';
import { CgroupMigrations } from '#host/cgroup-migration.ts';
import { nowNs } from '#host/clock.ts';
import { GracePeriods } from '#host/grace-periods.ts';
import { defaultPath } from '#host/launch.ts';
import { defaultTransferLimits } from '#images/registry/transport.ts';
import { LocalImageService, type LocalImageServiceOptions } from '#images/service.ts';
import type { SnapshotterOptions } from '#images/snapshots/directory-snapshotter.ts';
import { NativeSnapshotter } from '#images/snapshots/native.ts';
import { findOverlayObstacle, OverlaySnapshotter } from '#images/snapshots/overlay.ts';
import type { LayerSnapshotter } from '#images/snapshots/snapshotter.ts';
import { measureTree } from '#images/snapshots/tree-usage.ts';
import { defaultUnpackLimits } from '#images/unpack/layer-writer.ts';
import { TarParser } from '#images/unpack/tar-parser.ts';
import { LayerProcesses } from '#images/worker/layer-processes.ts';
import { CniPodNetwork } from '#network/cni-pod-network.ts';
import { Announcer } from '#runtime/announcer.ts';
import { CdiRegistry } from '#runtime/cdi/registry.ts';
import { Checkpoints } from '#runtime/checkpoint/manager.ts';
import { RestoreSources } from '#runtime/checkpoint/restore-sources.ts';
import { CheckpointSupport } from '#runtime/checkpoint/support.ts';
import { DetachedExecs } from '#runtime/container/detached-exec.ts';
import { CrunContainers } from '#runtime/container/manager.ts';
import { ContainerStreams } from '#runtime/container/stream.ts';
import { defaultProfileName, loadDefaultProfile } from '#runtime/default-apparmor.ts';
import type { HandlerTable } from '#runtime/handlers.ts';
import { findProgram, gatherHostFacts, isSystemdInit } from '#runtime/host-facts.ts';
import { type LifecycleHooks, noHooks } from '#runtime/lifecycle-hooks.ts';
import { ExitFiles } from '#runtime/monitor/exit-files.ts';
import { type NodeParts, nriHost } from '#runtime/nri/node.ts';
import { Nri } from '#runtime/nri/service.ts';
import { OciHookFolders } from '#runtime/oci-hooks/hook-folders.ts';
import { openRecords } from '#runtime/open-records.ts';
import { ContainerFiles } from '#runtime/operator/container-files.ts';
import { HostPorts } from '#runtime/operator/host-ports.ts';
import { ManagedPods } from '#runtime/operator/managed-pods.ts';
import { NodeOperations } from '#runtime/operator/operations.ts';
import { WritableLayers } from '#runtime/operator/writable-layer.ts';
import { RuntimePaths } from '#runtime/paths.ts';
import { currentBootId, makeFolders, recover } from '#runtime/recover.ts';
import { ImageVolumes } from '#runtime/sandbox/image-volumes.ts';
import { PinnedSandboxes } from '#runtime/sandbox/manager.ts';
import { PidInit } from '#runtime/sandbox/pid-init.ts';
import { MappedLayers } from '#runtime/sandbox/user-namespace.ts';
import { cgroupsPath } from '#runtime/spec/cgroups-path.ts';
import type { HostFacts } from '#runtime/spec/inputs.ts';
import { CgroupStatsProvider } from '#runtime/stats/provider.ts';
import { NamedVolumes } from '#runtime/volumes/named-volumes.ts';
import { openDatabase, reserveLogRoom } from '#state/database.ts';
import { type Config, defaultSignaturePolicy } from './config/options.ts';
import { type HandlerProbes, openHandlers } from './handlers.ts';
import type { NodeInsight } from './insight.ts';
import { programDirs, requireProgram } from './programs.ts';
import { readStreamingTls, reloadStreamingTls } from './streaming-tls.ts';
import { version } from './version.ts';

export interface Services {
  readonly cri: CriServices;
  readonly admin: AdminServices;
  readonly insight: NodeInsight;
  /** Takes up what an earlier daemon left. Call once, before calls are let through. */
  recover(): Promise<void>;
  /** Begins what no call waits for. Call once, when they are let through. */
  beginRest(): void;
  /** Throws when the database of the records does not answer. */
  checkRecords(): void;
  /** Applies the reloadable options of a configuration. */
  applyReload(config: Config): void;
  /** Ends watches and servers; containers and pods stay. */
  close(): Promise<void>;
}

/** Two keep two cores busy when several images come at once. */
const layerProcesses = 2;
const layerProcessLingerMs = 2000;

/** Overlay where the file system of the root folder takes it, else plain copies; as configured. */
function openSnapshotter(
  config: Config,
  obstacle: string | undefined,
  options: SnapshotterOptions,
): LayerSnapshotter {
  if (config.images.snapshotter === 'native') return new NativeSnapshotter(options);
  if (obstacle === undefined) return new OverlaySnapshotter(options);
  if (config.images.snapshotter === 'overlay') throw new RuntimeError('FailedPrecondition', obstacle);
  options.log.warn(`${obstacle}; layers are copied instead, which takes more time and disk`);
  return new NativeSnapshotter(options);
}

function proxyOfEnvironment(): Record<string, string> {
  return Object.fromEntries(
    ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].flatMap((name) => {
      const value = process.env[name] ?? process.env[name.toLowerCase()];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** The daemon's own, in which an operator sets what a helper needs, without what is between systemd and the daemon. */
function environmentOfHelpers(): Record<string, string> {
  const own = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !/^(NOTIFY_|WATCHDOG_|LISTEN_)/.test(entry[0]),
  );
  return { HOME: '/root', ...Object.fromEntries(own), PATH: defaultPath };
}

function openImages(
  config: Config,
  parts: Pick<LocalImageServiceOptions, 'database' | 'snapshotter' | 'processes' | 'log' | 'pulls'>,
): LocalImageService {
  const { images } = config;
  return new LocalImageService({
    ...parts,
    root: config.daemon.rootDir,
    access: {
      hostRoots: images.registryConfigDirs,
      registriesConf: images.registriesConf,
      authFiles: images.authFiles,
      helpers: { directories: programDirs, environment: environmentOfHelpers() },
      proxy: proxyOfEnvironment(),
      transfer: {
        ...defaultTransferLimits,
        minimumBytes: Math.max(1, Math.ceil((images.pullMinBytesPerSecond * images.pullWindowMs) / 1000)),
        windowMs: images.pullWindowMs,
      },
      userAgent: `berth/${version()}`,
    },
    policy: {
      path: images.signaturePolicy,
      mayBeMissing: images.signaturePolicy === defaultSignaturePolicy,
    },
    limits: {
      ...defaultUnpackLimits,
      layerBytes: images.maxLayerBytes,
      layerEntries: images.maxLayerEntries,
    },
    layersAtOnce: images.maxParallelDownloads,
    pinned: images.pinned,
  });
}

/**
 * The facts with the AppArmor profile of "runtime default". Berth's own is loaded here; where that fails nothing stands for
 * "runtime default", so that pods run, and the log says why. Any other is the operator's to load.
 */
async function confine(facts: HostFacts, config: Config, log: Log): Promise<HostFacts> {
  const { apparmorProfile: profile } = config.runtime;
  if (profile === '' || (profile === defaultProfileName && !facts.isAppArmorEnabled)) return facts;
  if (profile === defaultProfileName) {
    try {
      await loadDefaultProfile(requireProgram('apparmor_parser', '', 'runtime.apparmor_profile'));
    } catch (error) {
      log.warn(`containers have no AppArmor profile by default: ${messageOf(error)}`);
      return facts;
    }
  }
  return { ...facts, defaultApparmorProfile: profile };
}

/** Whether the machine was not rebooted since the last daemon recovered; `remember` notes that this one has. */
function compareBoot(rootDir: string): { isSame: boolean; remember: () => Promise<void> } {
  const path = join(rootDir, 'boot-id');
  const current = currentBootId();
  let last = '';
  try {
    last = readFileSync(path, 'latin1').trim();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  return {
    isSame: last === current,
    remember: async () => {
      if (last !== current) await step('recover/note-boot', () => writeFileSync(path, `${current}\n`));
    },
  };
}

function factsOf(
  config: Config,
  cgroupDriver: 'cgroupfs' | 'systemd',
  handlers: HandlerTable,
  readiness: Readiness,
  definitions: { readonly cdi: CdiRegistry; readonly ociHooks: OciHookFolders },
): RuntimeFacts {
  return {
    version: version(),
    cgroupDriver,
    handlers: handlers.list().map(({ name, features }) => ({
      name,
      isDefault: name === handlers.defaultName,
      hasRecursiveReadonlyMounts: features.hasRecursiveReadonly,
      hasUserNamespaces: features.hasUserNamespaces,
    })),
    hasHostNetworkUserNamespaces: false,
    stateDir: config.daemon.stateDir,
    configuration: config,
    programVersions: Object.fromEntries(
      handlers.list().map(({ name, features }) => [name, features.version]),
    ),
    definitionProblems: () => ({ cdi: definitions.cdi.problems, ociHooks: definitions.ociHooks.problems }),
    problem: () =>
      readiness.isReady
        ? undefined
        : { reason: 'Recovering', message: 'the daemon takes up what ran before' },
  };
}

function openNri(config: Config, log: Log, parts: NodeParts): Nri | undefined {
  const { enable, ...options } = config.nri;
  return enable ? new Nri({ ...options, runtimeVersion: version(), host: nriHost(parts), log }) : undefined;
}

/** What is there before the services are. */
export interface Given {
  readonly readiness: Readiness;
  readonly pulls: WorkMetrics;
  readonly probes: HandlerProbes;
}

/** Constructs everything. Listens for nothing but streaming clients; starts nothing that needs `close` if it throws. */
export async function buildServices(
  config: Config,
  log: Log,
  { readiness, pulls, probes }: Given,
): Promise<Services> {
  const { rootDir, stateDir } = config.daemon;
  const chosenDriver = config.runtime.cgroupDriver;
  const cgroupDriver = chosenDriver !== 'auto' ? chosenDriver : isSystemdInit() ? 'systemd' : 'cgroupfs';
  const conmonPath = requireProgram('conmon', config.runtime.conmonPath, 'runtime.conmon_path');
  // A thread of the pool is at it until the snapshotter is opened.
  const overlayCheck = config.images.snapshotter === 'native' ? undefined : findOverlayObstacle(rootDir);
  overlayCheck?.catch(() => {}); // heard of there
  const { defaultHandler } = config.runtime;
  const handlers = await openHandlers(probes, { defaultHandler, cgroupDriver, stateDir }, log);
  const host = await confine(gatherHostFacts(cgroupDriver, handlers.get('').features), config, log);
  const handlerPaths = handlers.list().map(({ path }) => path);
  const paths = new RuntimePaths({ root: rootDir, state: stateDir, netns: config.network.netnsDir });
  const databasePath = join(rootDir, 'state.db');
  const database = openDatabase(databasePath);
  const { sandboxes: sandboxRecords, containers: containerRecords } = openRecords(
    database,
    paths,
    handlers,
    log,
  );
  const announcer = new Announcer(log);
  const exits = new ExitFiles(paths.exits, log);
  const migrations = new CgroupMigrations(log);
  const nodeHostname = hostname();

  const processes = new LayerProcesses({
    log,
    mostProcesses: layerProcesses,
    lingerMs: layerProcessLingerMs,
    compileCacheDir: join(rootDir, 'compile-cache'),
  });
  const snapshotter = openSnapshotter(config, await overlayCheck, {
    root: rootDir,
    database,
    processes,
    log,
    bootId: currentBootId(),
  });
  const images = openImages(config, {
    database,
    snapshotter,
    processes,
    log,
    pulls,
  });
  const gracePeriods = new GracePeriods({ notePath: paths.gracePeriodNote, log });
  const network = new CniPodNetwork({
    confDir: config.network.cniConfigDir,
    pluginDirs: config.network.cniPluginDirs,
    cacheDir: config.network.cniCacheDir,
    stateDir: join(rootDir, 'network'),
    defaultNetwork: config.network.defaultNetwork && {
      name: 'berth',
      bridge: 'berth0',
      ipv4Subnet: config.network.defaultSubnetV4,
      ipv6Subnet: config.network.defaultSubnetV6,
    },
    builtinPlugins: config.network.builtinPlugins,
    ipPreference: config.network.ipPreference,
    gracePeriods: config.network.expediteDetach ? gracePeriods : undefined,
    log,
    now: Date.now,
  });
  const mappedLayers = new MappedLayers({ paths, layersRoot: rootDir });
  const imageVolumes = new ImageVolumes({ images, snapshotter, mappedLayers, paths });
  const { seccompProfile } = config.runtime;
  const defaultSeccompProfile = seccompProfile === '' ? undefined : readFileSync(seccompProfile, 'utf8');
  const cdi = new CdiRegistry({ folders: config.runtime.cdiSpecDirs, log });
  const ociHooks = new OciHookFolders({ folders: config.runtime.hooksDirs, log });
  const nri = openNri(config, log, {
    facts: host,
    sandboxes: sandboxRecords,
    containers: containerRecords,
    manager: () => containers,
    cdi,
    paths,
  });
  const hooks: LifecycleHooks = nri ?? noHooks;
  const checkpointSupport = new CheckpointSupport({
    findCriu: () => findProgram([config.checkpoint.criuPath || 'criu'], programDirs),
  });
  const initPath = findProgram([config.runtime.initPath || 'catatonit'], programDirs);
  const measureFolder = async (path: string) => (await measureTree(path)).usedBytes;
  const namedVolumes = new NamedVolumes({
    folder: paths.namedVolumes,
    containers: containerRecords,
    measureFolder,
  });
  const programs = {
    unshare: requireProgram('unshare', '', 'PATH'),
    nsenter: requireProgram('nsenter', '', 'PATH'),
    sh: requireProgram('sh', '', 'PATH'),
  };
  const containers: CrunContainers = new CrunContainers({
    sandboxes: sandboxRecords,
    containers: containerRecords,
    images,
    snapshotter,
    imageVolumes,
    mappedLayers,
    handlers,
    paths,
    exits,
    host,
    conmonPath,
    migrations,
    nodeHostname,
    defaultPidsLimit: config.runtime.pidsLimit,
    defaultSeccompProfile,
    cdi,
    ociHooks,
    namedVolumes,
    initPath,
    sh: programs.sh,
    announcer,
    hooks,
    restores: new RestoreSources({
      images,
      snapshotter,
      paths,
      support: checkpointSupport,
      mayRestoreImages: config.checkpoint.restoreImages,
    }),
    checkpointSupport,
    execDrainMs: config.runtime.execDrainMs,
    log,
  });
  const sandboxes = new PinnedSandboxes({
    sandboxes: sandboxRecords,
    containers,
    network,
    handlers,
    paths,
    pidInit: new PidInit({ paths, exits, host, conmonPath, initPath, defaultSeccompProfile }),
    imageVolumes,
    mappedLayers,
    announcer,
    hooks,
    programs,
    nodeHostname,
    checkCgroupParent: (parent) => {
      cgroupsPath(cgroupDriver, parent, 'x');
    },
    log,
  });
  const checkpoints = new Checkpoints({
    sandboxes,
    containers,
    handlers,
    support: checkpointSupport,
    snapshotter,
    paths,
    version: version(),
    log,
  });
  const stats = new CgroupStatsProvider({
    sandboxes: sandboxRecords,
    containers: containerRecords,
    layerUsage: (id) => snapshotter.usage(id),
    imageFsMountpoint: rootDir,
    cgroupVersion: host.cgroupVersion,
    clock: nowNs,
    log,
  });
  announcer.subscribe(stats.onEvent);
  const managedPods = new ManagedPods({ sandboxRecords, sandboxes, log });
  announcer.subscribe(managedPods.onEvent);
  const { address, port, idleTimeoutMs } = config.streaming;
  const tls = readStreamingTls(config.streaming);
  const streams = new ContainerStreams({
    log,
    getContainer: (id) => containers.get(id),
    getSandbox: (id) => sandboxes.get(id),
    whenExited: (id) => containers.whenExited(id),
    endCommands: (record, files) => containers.endCommands(record, files),
    handlers,
    migrations,
    paths,
  });
  const streaming = new StreamingServer({
    provider: streams,
    log,
    address,
    port,
    limits: { idleMs: idleTimeoutMs },
    ...(tls === undefined ? {} : { tls }),
  });
  await streaming.listen();
  const facts = factsOf(config, cgroupDriver, handlers, readiness, { cdi, ociHooks });
  const admin: AdminServices = {
    facts,
    node: {
      rootDir,
      logRoot: paths.logs,
      cgroupVersion: host.cgroupVersion,
      snapshotter: snapshotter instanceof OverlaySnapshotter ? 'overlay' : 'native',
      startedAtNs: nowNs(),
    },
    containers,
    streaming,
    operations: new NodeOperations({
      containers,
      sandboxes,
      sandboxRecords,
      containerRecords,
      images,
      files: new ContainerFiles({
        containers,
        snapshotter,
        paths,
        parseArchive: (sink) => new TarParser(sink),
      }),
    }),
    detached: new DetachedExecs(streams, log),
    volumes: namedVolumes,
    ports: new HostPorts({ sandboxRecords }),
    images: images.operations,
    layers: new WritableLayers({
      containers,
      sandboxRecords,
      handlers,
      paths,
      images,
      snapshotter,
      measureFolder,
      log,
    }),
  };

  const insight: NodeInsight = {
    rootDir,
    stateDir,
    lifecycle: announcer,
    listSandboxes: () => sandboxes.list(),
    listContainers: () => containers.list(),
    findContainer: (id) => containerRecords.findExact(id),
    listImages: () => images.list(),
    listPulls: () => images.progress(),
    pulledBytes: () => images.receivedBytes,
    snapshots: () => {
      const layers = snapshotter.listLayers();
      const layerBytes = layers.reduce((sum, { usedBytes }) => sum + usedBytes, 0);
      return { layers: layers.length, layerBytes, active: snapshotter.listKeys().length };
    },
    streamingSessions: () => streaming.openSessions,
    networkStatus: () => network.status(),
    isReady: () => readiness.isReady,
  };

  let isClosing = false;
  return {
    admin,
    insight,
    cri: {
      sandboxes,
      containers,
      images,
      network,
      lifecycle: announcer,
      facts,
      streaming,
      stats,
      checkpoints,
    },
    checkRecords: () => {
      database.prepare('SELECT count(*) FROM sqlite_schema').get();
    },
    recover: async () => {
      await step('recover/begin', () => {
        gracePeriods.recover();
        makeFolders(paths);
        containers.watchExits();
      });
      await step('recover/images', () => images.recover());
      await step('recover/volumes', () => namedVolumes.recover());
      await step('recover/network', () => network.start());
      const boot = compareBoot(rootDir);
      const found = await recover({
        sandboxes: sandboxRecords,
        containers: containerRecords,
        sandboxManager: sandboxes,
        containerManager: containers,
        network,
        snapshotter,
        mappedLayers,
        paths,
        strays: {
          programs: [conmonPath, programs.unshare, programs.nsenter, '/bin/cp', ...handlerPaths],
          programDirs: config.network.cniPluginDirs,
        },
        isSameBoot: boot.isSame,
        log,
      });
      await boot.remember();
      await nri?.start();
      managedPods.start();
      log.info({ sandboxes: found.sandboxes, containers: found.containers }, 'recovered');
    },
    beginRest: () => {
      if (isClosing) return;
      stats.start();
      // For telling of broken files when they appear: at each use they are looked into anyway.
      cdi.watch();
      ociHooks.watch();
      step('start/reserve-log-room', () => reserveLogRoom(database, databasePath)).catch((error) => {
        log.warn({ err: error }, `no room is reserved for the log of records: ${messageOf(error)}`);
      });
    },
    applyReload: (changed) => {
      images.setPinned(changed.images.pinned);
      reloadStreamingTls(streaming, config.streaming, changed.streaming, log);
    },
    close: async () => {
      isClosing = true;
      managedPods.close();
      await nri?.close();
      stats.stop();
      cdi.unwatch();
      ociHooks.unwatch();
      network.stop();
      await streaming.close();
      await images.close();
      database.close();
    },
  };
}
