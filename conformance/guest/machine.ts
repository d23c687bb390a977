/**
 * Runs the guest once, emulated by qemu without KVM, so that any host can: a throw-away copy of the system disk, a disk with the
 * project, and one that brings the results back.
 *
 * The guest's clock counts instructions (qemu's icount) as long as it is busy, so it sees a machine of steady speed however slow
 * the host is, and a timeout of ten seconds is ten seconds of work. This wants one processor and one thread.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { runCommand } from '../command.ts';
import type { GuestDisk } from './disk.ts';

export interface GuestRun {
  /** Image of the project's disk; the guest may write to it. */
  readonly projectDisk: string;
  /** Receives what the guest keeps: logs, reports, and the exit status in `status`. Emptied first. */
  readonly resultsDir: string;
  readonly memoryMib: number;
  readonly timeoutMs: number;
  /** Gets the output of the guest's task as it comes. */
  onOutput(chunk: Buffer): void;
}

const resultsSize = 512 * 2 ** 20;

/** Nanoseconds of the guest's clock per instruction, as a power of two. */
const clockShift = 0;

/** Resolves with the exit status of the guest's task; undefined when it did not come to one (the console's log says why). */
export async function runGuest(guest: GuestDisk, run: GuestRun): Promise<number | undefined> {
  const work = mkdtempSync(join(cacheDir('guest'), 'run-'));
  const results = join(work, 'results.raw');
  const system = join(work, 'system.qcow2');
  rmSync(run.resultsDir, { recursive: true, force: true });
  mkdirSync(run.resultsDir, { recursive: true });
  try {
    await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', guest.disk, '-F', 'raw', system]);
    writeFileSync(results, '');
    truncateSync(results, resultsSize);
    await runMachine(guest, { ...run, system, results });
    return await collect(results, run.resultsDir);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

interface MachineRun extends GuestRun {
  readonly system: string;
  readonly results: string;
}

function runMachine(guest: GuestDisk, run: MachineRun): Promise<void> {
  const disk = (file: string, format: string): string[] => [
    '-drive',
    `file=${file},format=${format},if=virtio,cache=unsafe`,
  ];
  const machine = [
    ...['-machine', 'q35', '-accel', 'tcg,thread=single,tb-size=512', '-icount', `shift=${clockShift}`],
    // A fifth level of page tables, and the mitigations below, only cost time here.
    ...['-cpu', 'max,-la57', '-smp', '1', '-m', String(run.memoryMib), '-rtc', 'clock=vm'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-nic', 'none', '-no-reboot'],
    ...['-kernel', guest.kernel, '-initrd', guest.ramDisk],
    '-append',
    'console=ttyS0 panic=-1 mitigations=off nokaslr systemd.show_status=false apparmor=1 psi=1',
    ...disk(run.system, 'qcow2'),
    ...disk(run.projectDisk, 'raw'),
    ...disk(run.results, 'raw'),
    ...['-device', 'virtio-rng-pci'],
    ...['-serial', `file:${join(run.resultsDir, 'console.log')}`, '-serial', 'stdio'],
  ];
  return new Promise((resolve, reject) => {
    const child = spawn('nice', ['-n', '10', 'qemu-system-x86_64', ...machine], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const timer = setTimeout(() => {
      run.onOutput(Buffer.from(`the guest was stopped after ${Math.round(run.timeoutMs / 60_000)} min\n`));
      child.kill('SIGKILL');
    }, run.timeoutMs);
    const end = (): void => {
      child.kill('SIGKILL');
    };
    const signals = ['SIGINT', 'SIGTERM'] as const;
    for (const signal of signals) process.once(signal, end);
    child.stdout.on('data', (chunk: Buffer) => run.onOutput(chunk));
    child.once('error', reject);
    child.once('close', () => {
      clearTimeout(timer);
      for (const signal of signals) process.off(signal, end);
      resolve();
    });
  });
}

async function collect(results: string, dir: string): Promise<number | undefined> {
  try {
    await runCommand('tar', ['-xf', results, '-C', dir]);
    return Number(await runCommand('cat', [join(dir, 'status')]));
  } catch {
    // The guest ended before it wrote them.
    return undefined;
  }
}
