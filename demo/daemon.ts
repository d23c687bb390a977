/** The berthd that the demo starts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '#conformance/cache.ts';
import { DemoFailure } from './transcript.ts';

const startTimeoutMs = 30_000;
const stopTimeoutMs = 30_000;

export class DemoDaemon {
  readonly #child: ChildProcess;
  readonly logFile: string;

  /** Starts it; `ready` says when its socket accepts connections. */
  constructor(flags: readonly string[], logFile: string) {
    this.logFile = logFile;
    const log = openSync(logFile, 'a');
    // A process group of its own: Ctrl-C is for the demo, which then clears up through the daemon.
    this.#child = spawn(join(projectRoot, 'bin/berthd'), flags, {
      cwd: projectRoot,
      stdio: ['ignore', log, log],
      detached: true,
    });
    closeSync(log);
    this.#child.once('error', () => {}); // shows as "not running"
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined;
  }

  /** Resolves once the socket accepts connections. Throws DemoFailure with the end of its log. */
  async ready(socket: string): Promise<void> {
    const deadlineMs = Date.now() + startTimeoutMs;
    while (!(await canConnect(socket))) {
      if (!this.isRunning || Date.now() > deadlineMs)
        throw new DemoFailure(`berthd did not come up; the end of its log:\n${this.logTail()}`);
      await sleep(20);
    }
  }

  logTail(lines = 15): string {
    return readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** SIGTERM, and SIGKILL if it has not ended in time. Resolves with the exit status; undefined if it was killed. Idempotent. */
  async stop(): Promise<number | undefined> {
    const child = this.#child;
    if (this.isRunning) {
      const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      await ended;
      clearTimeout(timer);
    }
    return child.exitCode ?? undefined;
  }
}

/** Whether somebody accepts connections on the unix socket. */
export function canConnect(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
