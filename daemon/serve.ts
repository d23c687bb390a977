/**
 * The life of the daemon: lock, wire, listen, recover, serve, drain. The socket is there before recovery, so that Version
 * and Status answer at once; other calls wait for its end. Containers outlive the daemon whichever way it goes.
 */
import { mkdirSync } from 'node:fs';
import { flushCompileCache, getCompileCacheDir } from 'node:module';
import { join } from 'node:path';
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { Metrics } from '#base/metrics.ts';
import { watchSpans } from '#base/span.ts';
import { step } from '#base/step.ts';
import { adminHandlers } from '#cri/admin/handlers.ts';
import { ContainerEvents } from '#cri/events.ts';
import { criHandlers } from '#cri/handlers.ts';
import { Readiness } from '#cri/readiness.ts';
import { CriServer } from '#cri/server.ts';
import { becomeSubreaper } from '#host/launch.ts';
import { lockFile } from '#host/lock-file.ts';
import { ServiceManager } from '#host/service-manager.ts';
import { changedOptions, withReloadable } from './config/compare.ts';
import { ConfigError } from './config/config-error.ts';
import type { Config } from './config/options.ts';
import type { HandlerProbes } from './handlers.ts';
import { createLog } from './log.ts';
import type { MetricsServerOptions } from './metrics-server.ts';
import { callMetrics, type DaemonEvents, nodeMetrics, spanMetrics } from './node-metrics.ts';
import { settleMemoryLater } from './settle-memory.ts';
import { SlowSpans } from './slow-spans.ts';
import type { Tracing } from './tracing/open.ts';
import { version } from './version.ts';
import { Watchdog, watchdogPeriodMs } from './watchdog.ts';
import { buildServices, type Services } from './wiring.ts';

/** The calls that waited for recovery come first. */
const restAfterMs = 100;

/** Serves until a signal ends the process. Rejects if it cannot begin; then nothing is left running. */
export async function serve(config: Config, probes: HandlerProbes, reload: () => Config): Promise<void> {
  const startedMs = performance.now();
  const log = await createLog(config.log);
  endOnSurprise(log);
  // Monitors detach themselves; their end, and that of a container whose monitor died, is to be heard of here.
  becomeSubreaper();
  const releaseLocks = await step('start/lock', () => lockFolders(config));
  const metrics = new Metrics();
  const readiness = new Readiness();
  const calls = callMetrics(metrics);
  const services = await step('start/open', () =>
    buildServices(config, log, { readiness, pulls: calls.pulls, probes }),
  );
  const events = new ContainerEvents(services.cri);
  const server = new CriServer({
    handlers: criHandlers(services.cri, events),
    admin: adminHandlers(services.admin),
    log,
    metrics: calls.rpcs,
    readiness,
  });
  const slow = new SlowSpans();
  const happened = nodeMetrics(metrics, services.insight);
  const tracing = await startTracing(config, happened, log);
  watchSpans(spanMetrics(metrics, slow), ...(tracing ? [tracing.watcher] : []));
  const { socket, socketMode, socketGroup } = config.server;
  await step('start/listen', () => server.listen({ path: socket, mode: socketMode, group: socketGroup }));
  const metricsServer = await startMetrics(config, { metrics, insight: services.insight, slow }, log);
  const watchdog = openWatchdog(config, services, readiness, log);
  watchdog.begin();
  new Lifetime({ config, reload, log, services, happened, watchdog }).follow(async () => {
    log.info('shutting down; containers stay');
    watchdog.stop();
    events.close();
    services.admin.operations.endWaits();
    await server.drain(config.daemon.shutdownGraceMs);
    await metricsServer?.close();
    await services.close();
    await tracing?.close();
    releaseLocks();
  });
  const recoveringMs = performance.now();
  await services.recover();
  happened.recovered(performance.now() - recoveringMs);
  readiness.open();
  watchdog.ready();
  log.info(
    {
      version: version(),
      socket,
      metrics: metricsServer?.address,
      ms: Math.round(performance.now() - startedMs),
    },
    'berthd serves',
  );
  setTimeout(() => {
    services.beginRest();
    // Of the sources it keeps what the type stripper made, so that the next start neither loads nor runs it.
    if (getCompileCacheDir() !== undefined) flushCompileCache();
    settleMemoryLater(log);
  }, restAfterMs).unref();
}

/** The check is made the way a client would come, and asks for what needs recovery as soon as that is over. */
function openWatchdog(config: Config, services: Services, readiness: Readiness, log: Log): Watchdog {
  const { NOTIFY_SOCKET } = process.env;
  return new Watchdog({
    manager: new ServiceManager(NOTIFY_SOCKET),
    periodMs: watchdogPeriodMs(process.env, process.pid),
    log,
    check: async (timeoutMs) => {
      // Loaded only where there is a watchdog.
      const { callOwnSocket } = await import('#cri/self-check.ts');
      await callOwnSocket(config.server.socket, readiness.isReady ? 'ListPodSandbox' : 'Version', timeoutMs);
      services.checkRecords();
    },
  });
}

/** Two daemons must share neither the database nor the sockets. Throws FailedPrecondition naming the other one. */
function lockFolders(config: Config): () => void {
  const { rootDir, stateDir } = config.daemon;
  // Containers with a user namespace walk through both.
  for (const dir of [rootDir, stateDir]) mkdirSync(dir, { recursive: true, mode: 0o711 });
  const releases = [rootDir, stateDir].map((dir) => lockFile(join(dir, 'berthd.lock')));
  return () => {
    for (const release of releases) release();
  };
}

/** An error nobody caught means that our picture of the world is wrong: end, and let the next start recover. */
function endOnSurprise(log: Log): void {
  const end = (error: unknown): void => {
    log.fatal({ err: error }, `unexpected error, ending: ${messageOf(error)}`);
    process.exit(70);
  };
  process.on('uncaughtException', end);
  process.on('unhandledRejection', end);
}

async function startTracing(config: Config, happened: DaemonEvents, log: Log): Promise<Tracing | undefined> {
  const { endpoint, samplingRatio } = config.tracing;
  if (endpoint === '') return undefined;
  const { openTracing } = await import('./tracing/open.ts');
  return openTracing({ endpoint, samplingRatio, log, onOutcome: happened.traced });
}

async function startMetrics(config: Config, shown: Omit<MetricsServerOptions, 'address'>, log: Log) {
  const { address } = config.metrics;
  if (address === '') return undefined;
  const { serveMetrics } = await import('./metrics-server.ts');
  try {
    return await serveMetrics({ address, ...shown });
  } catch (error) {
    // Pods matter more than figures about them.
    log.error({ err: error }, messageOf(error));
    return undefined;
  }
}

interface LifetimeOptions {
  readonly config: Config;
  readonly reload: () => Config;
  readonly log: Log;
  readonly services: Services;
  readonly happened: DaemonEvents;
  readonly watchdog: Watchdog;
}

/** Signals: SIGHUP reads the configuration again, SIGTERM and SIGINT end the daemon, the second of them at once. */
class Lifetime {
  readonly #options: LifetimeOptions;
  #config: Config;
  #isEnding = false;

  constructor(options: LifetimeOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /** `drain` is run once, on the first signal that ends the daemon; the process exits after it. */
  follow(drain: () => Promise<void>): void {
    process.on('SIGHUP', () => this.#reload());
    const end = (signal: NodeJS.Signals): void => {
      const { log } = this.#options;
      if (this.#isEnding) {
        log.warn({ signal }, 'ending at once');
        process.exit(1);
      }
      this.#isEnding = true;
      drain().then(
        () => process.exit(0),
        (error) => {
          log.error({ err: error }, `shutting down failed: ${messageOf(error)}`);
          process.exit(1);
        },
      );
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
  }

  /** A configuration with a mistake changes nothing. */
  #reload(): void {
    const { watchdog } = this.#options;
    watchdog.reloading(false);
    try {
      this.#readAgain();
    } finally {
      watchdog.reloading(true);
    }
  }

  #readAgain(): void {
    const { log, reload, services, happened } = this.#options;
    let wanted: Config;
    try {
      wanted = reload();
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems : [messageOf(error)];
      for (const problem of problems) log.error(`reload refused: ${problem}`);
      happened.reloaded('refused');
      return;
    }
    const changes = changedOptions(this.#config, wanted);
    this.#config = withReloadable(this.#config, wanted);
    log.level = this.#config.log.level;
    services.applyReload(this.#config);
    happened.reloaded('ok');
    const namesOf = (isReloadable: boolean): string[] =>
      changes.filter((change) => change.isReloadable === isReloadable).map(({ name }) => name);
    log.info({ applied: namesOf(true), needRestart: namesOf(false) }, 'configuration read again');
  }
}
