/**
 * An OCI runtime as a program: crun or runc (their command lines are alike: runtime-spec `runtime.md` names the
 * operations). Create goes through the monitor, which starts the program itself; see `runtime/monitor`.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { span } from '#base/span.ts';
import { type Launched, launchAside, type RunOptions, type RunResult, run, succeeded } from '#host/launch.ts';
import { SealedProgram } from '#host/sealed-program.ts';
import type { OciResources } from '../spec/oci-spec.ts';
import { describeFailure, meansNotRunning } from './errors.ts';
import type { HandlerFeatures } from './features.ts';
import { isBehindGate, openGate, removeGate } from './start-gate.ts';

export interface CliRuntimeOptions {
  /** Name of the handler, for messages. */
  readonly name: string;
  readonly type: 'crun' | 'runc';
  readonly path: string;
  /** Directory of the runtime's own state, below /run. */
  readonly root: string;
  readonly cgroupDriver: 'cgroupfs' | 'systemd';
  readonly features: HandlerFeatures;
}

/**
 * Options of `checkpoint` that `restore` has to repeat: open TCP connections, sockets and locks of files are saved with the
 * rest. Both runtimes have them.
 */
export const checkpointOptions = ['--tcp-established', '--ext-unix-sk', '--file-locks'] as const;

export interface CheckpointRequest {
  /** For CRIU's images; an existing, empty folder. */
  readonly imagePath: string;
  /** For CRIU's log, `dump.log`. */
  readonly workPath: string;
  /** Where the runtime finds criu: PATH. */
  readonly searchPath: string;
}

export class CliRuntime {
  readonly name: string;
  readonly type: 'crun' | 'runc';
  readonly path: string;
  /** Arguments before every subcommand; the monitor needs them too. */
  readonly globalArgs: readonly string[];
  readonly usesSystemd: boolean;
  /** Where the runtime keeps a folder per container. */
  readonly root: string;
  readonly features: HandlerFeatures;
  readonly #program: SealedProgram;

  constructor(options: CliRuntimeOptions) {
    this.name = options.name;
    this.type = options.type;
    this.path = options.path;
    this.usesSystemd = options.cgroupDriver === 'systemd';
    this.globalArgs = ['--root', options.root];
    this.root = options.root;
    this.features = options.features;
    this.#program = new SealedProgram(options.path);
  }

  /** The file to execute for whoever starts the runtime: good while this daemon lives. */
  executable(): string {
    return this.#program.executable();
  }

  #args(command: readonly string[]): string[] {
    return [...this.globalArgs, ...(this.usesSystemd ? ['--systemd-cgroup'] : []), ...command];
  }

  async #run(
    command: readonly string[],
    options: Pick<RunOptions, 'input' | 'signal' | 'env' | 'newSession' | 'killGroup' | 'timeoutMs'>,
  ): Promise<RunResult> {
    return run({
      path: this.path,
      executable: this.executable(),
      args: this.#args(command),
      timeoutMs: 120_000,
      ...options,
    });
  }

  async #expect(
    id: string,
    command: readonly string[],
    options: Pick<RunOptions, 'input' | 'signal' | 'env' | 'newSession' | 'killGroup' | 'timeoutMs'> = {},
  ): Promise<RunResult> {
    const expected = async (): Promise<RunResult> => {
      const result = await this.#run(command, options);
      if (!succeeded(result.status)) throw describeFailure(this.name, command[0]!, id, result);
      return result;
    };
    return span('oci-runtime', command[0]!, expected, { handler: this.name, 'container.id': id });
  }

  /** Starts a created container. Throws Internal with the runtime's words. */
  async start(id: string, signal?: AbortSignal): Promise<void> {
    if (this.#hasGate() && (await this.#startByGate(id))) return;
    await this.#expect(id, ['start', id], signal ? { signal } : {});
  }

  /** Only the program itself, in a generation that is known: a script or another program in its place is always run. */
  #hasGate(): boolean {
    return this.type === 'crun' && /^crun version 1\./.test(this.features.version) && this.#program.isSealed;
  }

  #startByGate(id: string): Promise<boolean> {
    const open = (): boolean => openGate(join(this.root, id));
    return span('oci-runtime', 'start', open, { handler: this.name, 'container.id': id });
  }

  /** Removes the container's state and cgroup, killing what still runs. Idempotent. */
  async remove(id: string): Promise<void> {
    const result = await span('oci-runtime', 'delete', () => this.#run(['delete', '--force', id], {}), {
      handler: this.name,
      'container.id': id,
    });
    if (!succeeded(result.status) && !meansNotRunning(result))
      throw describeFailure(this.name, 'delete', id, result);
    // A runtime that was killed while it created the container leaves a folder that it does not know itself.
    rmSync(join(this.root, id), { recursive: true, force: true });
  }

  /** Whether the runtime has a folder for the container. */
  holds(id: string): boolean {
    return existsSync(join(this.root, id));
  }

  /** Whether a created container of process `pid` still waits to be started: both runtimes keep a FIFO for that, and remove it when it is. */
  isWaitingForStart(id: string, pid: number): boolean {
    const folder = join(this.root, id);
    return this.type === 'crun' ? isBehindGate(folder, pid) : existsSync(join(folder, 'exec.fifo'));
  }

  /** Finishes the start of a container that runs, where whoever started it died before the end. Idempotent. */
  finishStart(id: string): void {
    if (this.type === 'crun') removeGate(join(this.root, id));
  }

  /** Changes cgroup limits of a running container. */
  async update(id: string, resources: OciResources, signal?: AbortSignal): Promise<void> {
    await this.#expect(id, ['update', '--resources', '-', id], {
      input: JSON.stringify(resources),
      ...(signal ? { signal } : {}),
    });
  }

  /** Stops all processes of a running container where they stand. Throws Internal with the runtime's words. */
  async pause(id: string): Promise<void> {
    await this.#expect(id, ['pause', id]);
  }

  /** Lets the processes of a paused container go on. Throws Internal with the runtime's words. */
  async resume(id: string): Promise<void> {
    await this.#expect(id, ['resume', id]);
  }

  /**
   * Has CRIU write the state of a container, which stays as it is, paused or not. An abort kills runtime and CRIU at work,
   * which may cost the container: for the last resort. Throws Internal with the runtime's words.
   */
  async checkpoint(id: string, request: CheckpointRequest, signal: AbortSignal): Promise<void> {
    const { imagePath, workPath, searchPath } = request;
    const command = [
      'checkpoint',
      '--leave-running',
      ...['--image-path', imagePath, '--work-path', workPath],
      ...checkpointOptions,
      id,
    ];
    await this.#expect(id, command, {
      env: { PATH: searchPath },
      signal,
      newSession: true,
      killGroup: true,
      timeoutMs: 3_600_000,
    });
  }

  /**
   * Starts `exec` of a process file in the foreground; its stdio is the command's. The runtime's own errors go to
   * `PROCESSFILE.log`.
   */
  exec(
    id: string,
    processFile: string,
    stdio: { stdin: 'null' | 'pipe' | number; stdout: 'null' | 'pipe' | number; stderr: 'pipe' | number },
    extra: readonly string[] = [],
  ): Promise<Launched> {
    return launchAside({
      path: this.path,
      executable: this.executable(),
      args: ['--log', `${processFile}.log`, ...this.#args(['exec', '--process', processFile, ...extra, id])],
      newSession: true,
      ...stdio,
    });
  }
}
