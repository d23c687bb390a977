/** What one process holds (proc(5)). */
import { readdirSync, readlinkSync } from 'node:fs';
import { readKernelFile, wholeNumber } from './kernel-file.ts';

/** Numbers of the open files of a process; empty when it is gone. */
export function listOpenFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`);
  } catch {
    return []; // the process ended
  }
}

/** Whether an open file of a process is a socket; false when either is gone. */
export function isSocket(pid: number, file: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/${file}`).startsWith('socket:');
  } catch {
    return false; // closed meanwhile
  }
}

/** The soft limit of open files; undefined when unlimited or the process is gone. */
export function openFilesLimit(pid: number): bigint | undefined {
  const text = readKernelFile(`/proc/${pid}/limits`);
  return text === undefined ? undefined : parseOpenFilesLimit(text);
}

/** The line `Max open files  SOFT  HARD  files` of /proc/PID/limits. */
export function parseOpenFilesLimit(text: string): bigint | undefined {
  return wholeNumber(/^Max open files +(\S+)/m.exec(text)?.[1]);
}
