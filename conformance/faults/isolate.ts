/**
 * A network and a mount table of the test's own: it is started again below `unshare`. So its bridge, addresses and packet rules
 * meet no others, and mounts that a failed run left are gone with it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const mark = 'BERTH_FAULTS_ISOLATED';

// sysfs shows the interfaces of the network namespace that it was mounted in; the cgroups below it are kept.
const script = `set -e
ip link set lo up
mount --rbind /sys/fs/cgroup /mnt
mount -t sysfs sysfs /sys
mount --rbind /mnt /sys/fs/cgroup
umount -l /mnt
exec "$@"`;

/** Whether this is a process of `isIsolated`, with a network and a mount table that nobody else has. */
export function isInside(): boolean {
  return process.env[mark] !== undefined;
}

/** True inside. Outside it runs this program again inside, passes its exit status on, and returns false. */
export async function isIsolated(): Promise<boolean> {
  if (isInside()) return true;
  const command = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn(
    'unshare',
    ['--net', '--mount', '--propagation', 'private', 'sh', '-c', script, 'isolate', ...command],
    { stdio: 'inherit', env: { ...process.env, [mark]: '1' } },
  );
  // A signal from the terminal reaches both; the one inside cleans up.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
  return false;
}

/** Runs `main`, which prints its verdict itself; where it cannot, that is the verdict. Sets the exit status. */
export async function endWithVerdict(name: string, main: () => Promise<boolean>): Promise<void> {
  try {
    process.exitCode = (await main()) ? 0 : 1;
  } catch (error) {
    console.log(error);
    console.log(`${name}: FAILED, it came to no end`);
    process.exitCode = 1;
  }
}
