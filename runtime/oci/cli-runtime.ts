/**
 * An OCI runtime as a program: crun or runc (their command lines are alike: runtime-spec `runtime.md` names the
 * operations). Create goes through the monitor, which starts the program itself; see `runtime/monitor`.
 */
import { RuntimeError } from '#base/errors.ts';
import { type Launched, launch, type RunResult, run, succeeded } from '#host/launch.ts';
import type { OciResources } from '../spec/oci-spec.ts';
import { describeFailure, meansNotRunning } from './errors.ts';

export interface CliRuntimeOptions {
  /** Name of the handler, for messages. */
  readonly name: string;
  readonly type: 'crun' | 'runc';
  readonly path: string;
  /** Directory of the runtime's own state, below /run. */
  readonly root: string;
  readonly cgroupDriver: 'cgroupfs' | 'systemd';
}

export class CliRuntime {
  readonly name: string;
  readonly type: 'crun' | 'runc';
  readonly path: string;
  /** Arguments before every subcommand; the monitor needs them too. */
  readonly globalArgs: readonly string[];
  readonly usesSystemd: boolean;

  constructor(options: CliRuntimeOptions) {
    this.name = options.name;
    this.type = options.type;
    this.path = options.path;
    this.usesSystemd = options.cgroupDriver === 'systemd';
    this.globalArgs = ['--root', options.root];
  }

  #args(command: readonly string[]): string[] {
    return [...this.globalArgs, ...(this.usesSystemd ? ['--systemd-cgroup'] : []), ...command];
  }

  async #run(
    command: readonly string[],
    options: { input?: string; signal?: AbortSignal },
  ): Promise<RunResult> {
    return run({ path: this.path, args: this.#args(command), ...options, timeoutMs: 120_000 });
  }

  async #expect(
    id: string,
    command: readonly string[],
    options: { input?: string; signal?: AbortSignal } = {},
  ): Promise<RunResult> {
    const result = await this.#run(command, options);
    if (!succeeded(result.status)) throw describeFailure(this.name, command[0]!, id, result);
    return result;
  }

  /** Starts a created container. Throws Internal with the runtime's words. */
  async start(id: string, signal?: AbortSignal): Promise<void> {
    await this.#expect(id, ['start', id], signal ? { signal } : {});
  }

  /** Removes the container's state and cgroup, killing what still runs. Idempotent. */
  async remove(id: string): Promise<void> {
    const result = await this.#run(['delete', '--force', id], {});
    if (!succeeded(result.status) && !meansNotRunning(result))
      throw describeFailure(this.name, 'delete', id, result);
  }

  /** Changes cgroup limits of a running container. */
  async update(id: string, resources: OciResources, signal?: AbortSignal): Promise<void> {
    await this.#expect(id, ['update', '--resources', '-', id], {
      input: JSON.stringify(resources),
      ...(signal ? { signal } : {}),
    });
  }

  /**
   * Starts `exec` of a process file in the foreground; its stdio is the command's. The runtime's own errors go to
   * `PROCESSFILE.log`.
   */
  exec(
    id: string,
    processFile: string,
    stdio: { stdin: 'null' | 'pipe' | number; stdout: 'pipe' | number; stderr: 'pipe' | number },
    extra: readonly string[] = [],
  ): Launched {
    return launch({
      path: this.path,
      args: ['--log', `${processFile}.log`, ...this.#args(['exec', '--process', processFile, ...extra, id])],
      newSession: true,
      ...stdio,
    });
  }

  /** What `features` prints; undefined for runtimes too old to have it. */
  async features(): Promise<OciFeatures | undefined> {
    const result = await run({ path: this.path, args: ['features'], timeoutMs: 10_000 });
    if (!succeeded(result.status)) return undefined;
    try {
      return JSON.parse(result.stdout.toString()) as OciFeatures;
    } catch (error) {
      throw new RuntimeError('Internal', `${this.path} features printed no JSON`, { cause: error });
    }
  }

  /** First line of `--version`. */
  async version(): Promise<string> {
    const result = await run({ path: this.path, args: ['--version'], timeoutMs: 10_000 });
    return result.stdout.toString().split('\n')[0]?.trim() ?? '';
  }
}

/** The parts of a features document that Berth reads (runtime-spec features.md). */
export interface OciFeatures {
  readonly mountOptions?: readonly string[];
  readonly linux?: {
    readonly namespaces?: readonly string[];
    readonly mountExtensions?: { readonly idmap?: { readonly enabled?: boolean } };
  };
}
