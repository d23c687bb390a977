/**
 * Moving a process into a control group quickly.
 *
 * The write to cgroup.procs takes a lock that every fork and exit of the machine holds for reading. While nobody has written
 * for some milliseconds, the kernel keeps it cheap for readers, and the first writer waits for an RCU grace period: 7 to 15 ms
 * with CONFIG_HZ=250, while the next writers, who come before it has fallen back, wait for none (cgroup_threadgroup_rwsem
 * and rcu_sync in the kernel; the mount option `favordynmods` is the same for good, and for the whole machine). An OCI runtime
 * starts to write some milliseconds after it is started. So a write that changes nothing, made when a container or a
 * command is asked for, lets the grace period pass meanwhile; and some more keep the lock as it is for a burst of them.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import type { Log } from '#base/log.ts';

const mountRoot = '/sys/fs/cgroup';

/** How long after the last call a process is expected to be moved. */
const windowMs = 30;
/** The lock falls back when no write came for one grace period, which takes 4 ms at the very least and mostly 7. */
const intervalMs = 5;

/** cgroup.procs of the group that this process is in, in one hierarchy; undefined where no hierarchy is mounted. */
async function findOwnGroup(): Promise<string | undefined> {
  const lines = (await readFile('/proc/self/cgroup', 'utf8')).trim().split('\n');
  const unified = lines.find((line) => line.startsWith('0::'))?.slice(3);
  const pids = lines.find((line) => line.split(':')[1] === 'pids')?.split(':')[2];
  if (pids !== undefined) return `${mountRoot}/pids${pids}/cgroup.procs`;
  return unified === undefined ? undefined : `${mountRoot}${unified}/cgroup.procs`;
}

export class CgroupMigrations {
  readonly #log: Log;
  #untilMs = 0;
  #isAtWork = false;
  #isRefused = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Says that within some milliseconds a process is moved into a control group, by whomever. Returns at once and never
   * throws: where the kernel refuses, things are as slow as they are without. Works in a thread of the pool.
   */
  expect(): void {
    this.#untilMs = performance.now() + windowMs;
    if (this.#isAtWork || this.#isRefused) return;
    this.#isAtWork = true;
    void this.#keepReady().catch((error: unknown) => {
      this.#isRefused = true;
      this.#isAtWork = false;
      this.#log.debug(
        { error },
        'the kernel takes no write to the own cgroup.procs: containers start some ms later',
      );
    });
  }

  /** Looked up each time: the daemon may have been moved since. */
  async #keepReady(): Promise<void> {
    const path = await findOwnGroup();
    if (path === undefined) throw new Error('no control groups are mounted');
    const file = await open(path, 'w');
    try {
      await this.#writeUntilDue(file);
    } finally {
      this.#isAtWork = false;
      await file.close();
    }
  }

  async #writeUntilDue(file: FileHandle): Promise<void> {
    for (;;) {
      await file.write('0');
      if (performance.now() + intervalMs > this.#untilMs) return;
      await new Promise((resolve) => setTimeout(resolve, intervalMs));
    }
  }
}
