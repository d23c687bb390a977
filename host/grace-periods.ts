/**
 * RCU grace periods made short for a moment.
 *
 * Whoever removes a packet rule waits until no processor can see it any more. On a machine at rest such a grace period takes
 * 7 to 15 ms (CONFIG_HZ=250), and a CNI plugin that takes back a masquerade chain waits for three, one after the other. The
 * kernel ends each at once while /sys/kernel/rcu_expedited is 1 (Documentation/admin-guide/kernel-parameters.txt,
 * rcupdate.rcu_expedited), by an interrupt to every processor that is neither idle nor in user mode without a tick. The
 * removal of a network device, which the same plugin asks for, does that several times by itself (synchronize_net): so the
 * setting is made for no longer than such a removal, and nowhere that the kernel would not do it either.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { readText } from './cgroup.ts';

const defaultDirectory = '/sys/kernel';
const settingOf = (directory: string): string => join(directory, 'rcu_expedited');

export interface GracePeriodOptions {
  /** There while the setting is ours; must not outlive a reboot. */
  readonly notePath: string;
  readonly log: Log;
  /** Default /sys/kernel. */
  readonly directory?: string;
}

export class GracePeriods {
  readonly #notePath: string;
  readonly #directory: string;
  readonly #log: Log;
  #holders = 0;
  #isOurs = false;
  #isRefused = false;

  constructor({ notePath, log, directory = defaultDirectory }: GracePeriodOptions) {
    this.#notePath = notePath;
    this.#directory = directory;
    this.#log = log;
  }

  /** Takes back what a daemon that was killed in `expedited` left. Idempotent; never throws. */
  recover(): void {
    if (existsSync(this.#notePath)) this.#restore();
  }

  /** Runs `work`, meanwhile with short grace periods where the node allows it, and settles as it does. */
  async expedited<T>(work: () => Promise<T>): Promise<T> {
    this.#holders += 1;
    if (this.#holders === 1 && !this.#isRefused) this.#shorten();
    try {
      return await work();
    } finally {
      this.#holders -= 1;
      if (this.#holders === 0 && this.#isOurs) this.#restore();
    }
  }

  #shorten(): void {
    try {
      if (!this.#mayShorten()) return;
      writeFileSync(this.#notePath, '');
      this.#isOurs = true;
      writeFileSync(settingOf(this.#directory), '1');
    } catch (error) {
      this.#isRefused = true;
      this.#log.info(
        `removing pods takes some ms longer, for grace periods stay as they are: ${messageOf(error)}`,
      );
      if (this.#isOurs) this.#restore();
    }
  }

  /** Not where somebody has decided on it, and not on a real-time kernel, which spares its tasks the interrupts. */
  #mayShorten(): boolean {
    const isOn = (name: string) => Number(readText(join(this.#directory, name)) ?? '0') !== 0;
    return !isOn('rcu_expedited') && !isOn('rcu_normal') && !isOn('realtime');
  }

  #restore(): void {
    this.#isOurs = false;
    try {
      takeBackShortening(this.#notePath, this.#directory);
    } catch (error) {
      this.#log.warn({ err: error }, `${settingOf(this.#directory)} stays 1: ${messageOf(error)}`);
    }
  }
}

/** Makes grace periods as long as they were before the note was written. Idempotent. Throws Node's error. */
export function takeBackShortening(notePath: string, directory = defaultDirectory): void {
  writeFileSync(settingOf(directory), '0');
  rmSync(notePath, { force: true });
}
