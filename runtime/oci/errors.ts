/** What crun and runc print, read here and nowhere else. */
import { saysDiskFull } from '#base/disk-full.ts';
import { RuntimeError } from '#base/errors.ts';
import { describeStatus, type RunResult } from '#host/launch.ts';

/** The last line that says something: both runtimes end with the reason, runc as `time=... level=error msg="..."`. */
export function lastWords(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const last = lines.at(-1) ?? '';
  const quoted = /msg="((?:[^"\\]|\\.)*)"/.exec(last);
  if (quoted) return quoted[1]!.replace(/\\(.)/g, '$1');
  // crun: `2026-01-02T03:04:05.123456Z: reason`
  return last.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z: /, '');
}

/** crun: "create keyring `x`: Disk quota exceeded"; runc: "unable to create session key: disk quota exceeded". */
const keyQuota = /(keyring|session key).*quota exceeded/i;

/** The same words, with the next step where the runtime does not say it: a container's keyring counts against no disk. */
export function withAdvice(words: string): string {
  if (keyQuota.test(words))
    return `${words}: the kernel's quota of keys is used up, raise kernel.keys.root_maxkeys and kernel.keys.root_maxbytes`;
  return saysDiskFull(words)
    ? `${words}: remove what is not needed on the disks of root_dir and state_dir, and try again`
    : words;
}

/** Whose mistake a failure to create is: that of a request which names a program that the image lacks, or somebody else's. */
export function kindOfFailure(words: string): 'InvalidArgument' | 'ResourceExhausted' | 'Internal' {
  if (keyQuota.test(words) || saysDiskFull(words)) return 'ResourceExhausted';
  // crun: "executable file `x` not found in $PATH: No such file or directory", "open executable: Permission denied";
  // runc: `exec: "x": executable file not found in $PATH`, `exec: "x": permission denied`.
  return /executable file|open executable|exec: "/.test(words) ? 'InvalidArgument' : 'Internal';
}

/** Whether the failure only says that the container's process, or the container, is gone. */
export function meansNotRunning(result: RunResult): boolean {
  const words = result.stderr.toString();
  return saysNotRunning(words) || /No such file or directory/i.test(words);
}

/** The same of a command in a container, whose own program may be the file that is not there. */
export function saysNotRunning(words: string): boolean {
  // crun: "no such process", "container not running", "error opening file `.../status`: No such file or directory";
  // runc: "container not running", "process already finished", "container does not exist".
  return /no such process|not running|already finished|does not exist|\/status`: No such file/i.test(words);
}

/** The error for a failed command of an OCI runtime. */
export function describeFailure(
  runtime: string,
  command: string,
  id: string,
  result: RunResult,
): RuntimeError {
  const words = lastWords(result.stderr.toString());
  return new RuntimeError(
    'Internal',
    `${runtime} ${command} of container ${id}: ${words || describeStatus(result.status)}`,
    {
      details: { stderr: result.stderr.toString(), status: result.status },
    },
  );
}
