/**
 * The witness: a pod that nothing is done to, whose container prints a counter. Whatever happens to the daemon, it must run
 * on, and its log must hold every number.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultBed } from './bed.ts';
import { PodWalk } from './pod-walk.ts';

const command = ['sh', '-c', 'i=0; while :; do echo $i; i=$((i+1)); usleep 20000; done'];

export class Counter {
  readonly #walk: PodWalk;

  constructor(bed: FaultBed) {
    this.#walk = new PodWalk(bed, { name: 'counter' });
  }

  async start(): Promise<void> {
    await this.#walk.run();
    await this.#walk.start(command);
  }

  /** Ends it and returns how many numbers it wrote, and what is wrong with them, if anything. */
  async finish(): Promise<{ readonly count: number; readonly problem: string }> {
    const { state } = await this.#walk.status();
    await this.#walk.stopContainer(0n);
    const log = readFileSync(join(this.#walk.logDirectory, 'main-0.log'), 'utf8');
    const lines = log.trimEnd().split('\n');
    const wrong = lines.findIndex((line, index) => !line.endsWith(` stdout F ${index}`));
    await this.#walk.removeContainer();
    await this.#walk.stop();
    await this.#walk.remove();
    const problems = [
      ...(state === 1 ? [] : [`its container is in state ${state}`]),
      ...(wrong < 0 ? [] : [`line ${wrong} of its log is ${JSON.stringify(lines[wrong])}`]),
    ];
    return { count: lines.length, problem: problems.join('; ') };
  }
}
