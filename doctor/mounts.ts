/** The mount table of the examined machine (proc_pid_mountinfo(5)). */
import type { Machine } from './machine.ts';

export interface Mounted {
  readonly mountPoint: string;
  readonly type: string;
  /** Options of the mount and of the file system. */
  readonly options: ReadonlySet<string>;
}

const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** In the order of the table: a later one hides an earlier one at the same place. */
export function readMounts(machine: Machine): Mounted[] {
  const lines = (machine.read('/proc/self/mountinfo') ?? '').split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const fields = left.split(' ');
    const [type = '', , superOptions = ''] = right.split(' ');
    return {
      mountPoint: unescapeOctal(fields[4] ?? ''),
      type,
      options: new Set([...(fields[5] ?? '').split(','), ...superOptions.split(',')]),
    };
  });
}

/** The mount that a path is on; undefined if the table could not be read. */
export function mountOf(mounts: readonly Mounted[], path: string): Mounted | undefined {
  let best: Mounted | undefined;
  for (const mount of mounts) {
    const { mountPoint } = mount;
    const holds = mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`);
    if (holds && mountPoint.length >= (best?.mountPoint.length ?? 0)) best = mount;
  }
  return best;
}
