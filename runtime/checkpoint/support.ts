/** Whether this host and an OCI runtime can checkpoint and restore. Asked when it is first needed, and remembered. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { RuntimeError } from '#base/errors.ts';
import { defaultPath, run, succeeded } from '#host/launch.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';

export interface CheckpointSupportOptions {
  /** Finds the criu program; '' when there is none. Asked again until there is one, for it may be installed meanwhile. */
  readonly findCriu: () => string;
}

interface Verdict {
  /** Which file of the program the verdict is about. */
  readonly stamp: string;
  /** Why not; '' when it works. */
  readonly problem: Promise<string>;
}

export class CheckpointSupport {
  readonly #options: CheckpointSupportOptions;
  #verdict: Verdict | undefined;

  constructor(options: CheckpointSupportOptions) {
    this.#options = options;
  }

  /**
   * Resolves with the search path of programs that the OCI runtime needs to find CRIU. Throws Unimplemented for an OCI
   * runtime built without CRIU, FailedPrecondition if criu is missing or cannot work on this kernel; the text says what to do.
   */
  async require(handler: CliRuntime): Promise<string> {
    if (!handler.features.hasCheckpoint)
      throw new RuntimeError(
        'Unimplemented',
        `handler ${handler.name} (${handler.features.version}) is built without CRIU and cannot checkpoint or restore; run the pod with a handler that can: runc, or a crun whose --version says +CRIU`,
      );
    const criu = this.#options.findCriu();
    if (criu === '')
      throw new RuntimeError(
        'FailedPrecondition',
        'the program criu is not there, which checkpoints and restores containers: install the package criu or set checkpoint.criu_path',
      );
    const problem = await this.#check(criu);
    if (problem !== '') throw new RuntimeError('FailedPrecondition', problem);
    return `${dirname(criu)}:${defaultPath}`;
  }

  #check(criu: string): Promise<string> {
    const { mtimeMs, ino } = statSync(criu);
    const stamp = `${criu} ${ino} ${mtimeMs}`;
    // A program that did not work is not asked again before it is replaced: neither it nor the kernel changes.
    if (this.#verdict?.stamp !== stamp) this.#verdict = { stamp, problem: checkCriu(criu) };
    return this.#verdict.problem;
  }
}

async function checkCriu(criu: string): Promise<string> {
  const [checked, version] = await Promise.all([
    run({ path: criu, args: ['check'], timeoutMs: 30_000 }),
    run({ path: criu, args: ['--version'], timeoutMs: 10_000 }),
  ]);
  if (succeeded(checked.status)) return '';
  const text = `${checked.stdout}\n${checked.stderr}`;
  const words = text.split('\n').filter((line) => line.startsWith('Error'));
  const number = /Version:\s*(\S+)/.exec(version.stdout.toString())?.[1] ?? 'of unknown version';
  return `criu ${number} (${criu}) does not work on this kernel: ${words[0] ?? text.trim().split('\n').at(-1)}; install a newer criu or set checkpoint.criu_path`;
}
