/** Looks what a server left on the machine after its pods were removed and it ended. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';

export interface Leftovers {
  readonly mounts: readonly string[];
  /** Processes whose command line or working folder is in the work folder. */
  readonly processes: readonly { readonly pid: number; readonly command: string }[];
  /** Interfaces still plugged into the test bridge. */
  readonly bridgePorts: readonly string[];
}

/** Finds mounts and processes that belong to the work folder, and interfaces on the bridge. */
export function findLeftovers(dir: string, bridge: string): Leftovers {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${dir}/`));
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const found = readProcess(Number(name));
      return found !== undefined && (found.command.includes(`${dir}/`) || found.cwd.startsWith(`${dir}/`))
        ? [{ pid: found.pid, command: found.command }]
        : [];
    });
  return { mounts, processes, bridgePorts: listBridgePorts(bridge) };
}

function readProcess(pid: number): { pid: number; command: string; cwd: string } | undefined {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, command, cwd: readlinkSync(`/proc/${pid}/cwd`) };
  } catch {
    // It ended while we looked, or is a kernel thread, which has no working folder.
    return undefined;
  }
}

function listBridgePorts(bridge: string): string[] {
  try {
    return readdirSync(join('/sys/class/net', bridge, 'brif'));
  } catch {
    // No pod had a network, so there is no bridge.
    return [];
  }
}

/** Clears them away so that the next run starts clean: ends exactly these processes, unmounts exactly these mounts. */
export async function removeLeftovers(leftovers: Leftovers): Promise<void> {
  for (const { pid } of leftovers.processes) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone already, for instance because its parent was killed just before.
    }
  }
  for (const path of leftovers.mounts.toReversed()) await runCommand('umount', ['-l', path]);
  for (const port of leftovers.bridgePorts) await runCommand('ip', ['link', 'delete', port]);
}

/** A line per thing left; empty when there is nothing. */
export function formatLeftovers(leftovers: Leftovers): string[] {
  return [
    ...leftovers.processes.map(({ pid, command }) => `process ${pid}: ${command.slice(0, 160)}`),
    ...leftovers.mounts.map((path) => `mount ${path}`),
    ...leftovers.bridgePorts.map((port) => `interface ${port}`),
  ];
}
