/**
 * What happens to a node in the sweep when CNI plugins are asked something else than to attach and detach: whether they are well
 * (STATUS), which the kubelet is told, to collect garbage (GC), which the daemon has them do at its start, and whether attachments
 * are as they were (CHECK), which an operator has the audit ask.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describeFindings, type FaultBed } from './bed.ts';
import { useModernNetwork } from './modern-network.ts';
import { livePod } from './pod-life.ts';
import { insist, PodWalk } from './pod-walk.ts';

const plainPod = { sharesPid: false, hasPort: false, ignoresTerm: false };
const lookMs = 50;
const patienceMs = 30_000;

async function until(isTrue: () => boolean, what: string): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`${what} within ${patienceMs} ms`);
    await delay(lookMs);
  }
}

/** Asks for the node's status, as the kubelet does, until the fault has been met and is over. What it was told is a failure. */
async function untilReady(bed: FaultBed, failures: string[]): Promise<void> {
  const end = performance.now() + patienceMs;
  for (;;) {
    let told = '';
    try {
      await bed.start();
      const { status } = await bed.call('Status', {});
      const network = status?.conditions.find(({ type }) => type === 'NetworkReady');
      if (network?.status === true && existsSync(`${bed.programFaultFile}.done`)) return;
      if (network?.status !== true) told = `NetworkReady is false: ${network?.message}`;
    } catch (error) {
      told = error instanceof Error ? error.message : String(error);
    }
    if (told !== '' && !failures.includes(`Status: ${told}`)) failures.push(`Status: ${told}`);
    if (performance.now() > end) throw new Error(`the network is not ready after ${patienceMs} ms: ${told}`);
    await delay(lookMs);
  }
}

/** A node that is not ready while its plugin fails, and is by itself when it does not; then a pod lives on it. */
export async function liveStatus(
  bed: FaultBed,
  plan: () => void,
  failures: string[],
  tries: number,
): Promise<void> {
  plan();
  // A configuration that is new is asked about at once.
  const giveUp = useModernNetwork(bed);
  try {
    await untilReady(bed, failures);
    await livePod(bed, plainPod, failures, tries);
  } finally {
    giveUp();
  }
}

let garbageLives = 0;

/** A daemon that starts while the plugin fails to collect garbage: the pod of before lives on, and keeps what it has. */
export async function liveGarbage(
  bed: FaultBed,
  plan: () => void,
  failures: string[],
  tries: number,
  /** What the daemon's log must tell of it. */
  words: RegExp | undefined,
): Promise<void> {
  const giveUp = useModernNetwork(bed);
  try {
    garbageLives += 1;
    const walk = new PodWalk(bed, { name: `collected${garbageLives}`, tries, failures });
    await walk.run();
    await walk.start(['sleep', '1000']);
    await bed.kill();
    const { size } = statSync(bed.logFile);
    plan();
    await insist(bed, failures, 'start', () => bed.start(), tries);
    await until(() => existsSync(`${bed.programFaultFile}.done`), 'no garbage was collected');
    const said = () => readFileSync(bed.logFile).subarray(size).toString();
    if (words)
      await until(
        () =>
          said()
            .split('\n')
            .some((line) => line.includes('could not collect garbage') && words.test(line)),
        `the log does not say ${words}`,
      );
    await walk.exec();
    await livePod(bed, plainPod, failures, tries);
    await walk.stopContainer(0n);
    await walk.removeContainer();
    await walk.stop();
    await walk.remove();
  } finally {
    giveUp();
  }
}

/** Longer than a plugin needs on a busy machine. */
const checkTimeoutMs = 2000;
let checkLives = 0;

/** An audit tells what the plugin says, and nothing of it the next time; the pods that it was about live on. */
export async function liveCheck(
  bed: FaultBed,
  plan: () => void,
  failures: string[],
  tries: number,
): Promise<void> {
  checkLives += 1;
  const walk = new PodWalk(bed, { name: `checked${checkLives}`, tries, failures });
  await walk.run();
  await walk.start(['sleep', '1000']);
  plan();
  const found = await bed.audit(false, { checksAttachments: true, checkTimeoutMs });
  for (const { what, path } of found) failures.push(`audit: ${what} ${path}`);
  if (found.some(({ what }) => what !== 'network attachment')) throw new Error(describeFindings(found));
  await walk.exec();
  const again = await bed.audit(false, { checksAttachments: true });
  if (again.length > 0) throw new Error(`when it was over: ${describeFindings(again)}`);
  await walk.stopContainer(0n);
  await walk.removeContainer();
  await walk.stop();
  await walk.remove();
}
