/**
 * Berth under a service manager: it says when it serves, and as long as its own check of itself passes it feeds the
 * watchdog (sd_notify(3), sd_watchdog_enabled(3)). A daemon that hangs is so ended and started again, which costs no
 * container anything: start-up is recovery.
 */
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { ServiceManager } from '#host/service-manager.ts';

export interface WatchdogOptions {
  readonly manager: ServiceManager;
  /** How long the manager waits for a sign of life; undefined if it does not. */
  readonly periodMs: number | undefined;
  /** Rejects when the daemon does not do what it is for. */
  readonly check: (timeoutMs: number) => Promise<void>;
  readonly log: Log;
}

/** The period of WATCHDOG_USEC, if it is meant for this process. */
export function watchdogPeriodMs(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  const { WATCHDOG_USEC: period = '', WATCHDOG_PID: meant = String(pid) } = env;
  return /^[1-9]\d{0,15}$/.test(period) && meant === String(pid) ? Number(period) / 1000 : undefined;
}

/** While recovery goes on, the manager's own limit for starts is moved on by so much, so much ahead of its end. */
const startExtensionMs = 60_000;
const startBeatMs = 20_000;

export class Watchdog {
  readonly #options: WatchdogOptions;
  #timer: NodeJS.Timeout | undefined;
  #isStarting = true;
  #failures = 0;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Call when the socket is there. Recovery may take as long as it needs while the daemon is alive. */
  begin(): void {
    if (!this.#options.manager.isListening) return;
    this.#tell('STATUS=taking up what ran before');
    this.#beat();
  }

  /** Call when every call is served. */
  ready(): void {
    this.#isStarting = false;
    this.#tell('READY=1', 'STATUS=serving');
  }

  /** Call when the configuration is read again, and with `isOver` when that has ended. */
  reloading(isOver: boolean): void {
    if (isOver) this.#tell('READY=1', 'STATUS=serving');
    else this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  /** Call when the daemon shuts down; nothing is said afterwards. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#tell('STOPPING=1', 'STATUS=shutting down; containers stay');
  }

  #beat(): void {
    const { periodMs } = this.#options;
    const pauseMs = Math.min(
      periodMs === undefined ? Infinity : periodMs / 3,
      this.#isStarting ? startBeatMs : Infinity,
    );
    if (pauseMs === Infinity) return;
    this.#timer = setTimeout(() => void this.#look(pauseMs), pauseMs);
    this.#timer.unref();
  }

  async #look(timeoutMs: number): Promise<void> {
    const { check, log } = this.#options;
    try {
      await check(timeoutMs);
      this.#failures = 0;
      this.#tell(
        'WATCHDOG=1',
        ...(this.#isStarting ? [`EXTEND_TIMEOUT_USEC=${startExtensionMs * 1000}`] : []),
      );
    } catch (error) {
      this.#failures += 1;
      log.error({ failures: this.#failures }, `the watchdog is not fed: ${messageOf(error)}`);
    }
    if (this.#timer) this.#beat();
  }

  #tell(...lines: readonly string[]): void {
    try {
      this.#options.manager.notify(...lines);
    } catch (error) {
      this.#options.log.warn(`the service manager was not told ${lines[0]}: ${messageOf(error)}`);
    }
  }
}
