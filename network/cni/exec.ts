/** Runs one CNI plugin once (CNI SPEC, section 2). Everything above works on parsed answers and typed errors. */
import { setTimeout as delay } from 'node:timers/promises';
import { abortLater } from '#base/abort.ts';
import { errnoOf, RuntimeError, throwIfAborted } from '#base/errors.ts';
import { span } from '#base/span.ts';
import { defaultPath, type RunResult, run, succeeded } from '#host/launch.ts';
import { ProgramPaths } from '../program-path.ts';
import { makeMissingPluginError, makePluginError } from './errors.ts';

export type CniCommand = 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC' | 'VERSION';

/** Parameters of an attachment, the same for every plugin of a list. */
export interface Attachment {
  readonly containerId: string;
  /** '' when the namespace is gone. */
  readonly netnsPath: string;
  readonly ifName: string;
  readonly args: readonly (readonly [string, string])[];
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
}

export interface PluginCall {
  readonly plugin: string;
  readonly command: CniCommand;
  readonly attachment: Attachment | undefined;
  /** What the plugin reads on standard input. */
  readonly config: unknown;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Plugins are written in Go, whose runtime keeps a thread busy looking for work on every processor that it has. They have next
 * to none for a second one, and other programs do when many pods start at once.
 */
const defaultEnvironment = { PATH: defaultPath, GOMAXPROCS: '1' };

const busyRetries = 10;
const busyPauseMs = 100;
const versionTimeoutMs = 10_000;

/**
 * How long an ADD that is not wanted any more may go on: killed between making a reservation and writing in it whose it is, a
 * plugin leaves an address that no DEL finds. It takes some tens of milliseconds.
 */
const addPatienceMs = 500;

function environmentOf(call: PluginCall, base: Readonly<Record<string, string>>, dirs: readonly string[]) {
  const env: Record<string, string> = { ...base, CNI_COMMAND: call.command, CNI_PATH: dirs.join(':') };
  if (!call.attachment) return env;
  const { containerId, netnsPath, ifName, args } = call.attachment;
  env.CNI_CONTAINERID = containerId;
  env.CNI_NETNS = netnsPath;
  env.CNI_IFNAME = ifName;
  env.CNI_ARGS = args.map(([key, value]) => `${key}=${value}`).join(';');
  return env;
}

/** No result needs more; one of a hundred thousand levels could not be written down again. */
const deepestAnswer = 64;

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1));
}

/** The JSON that a plugin printed; undefined if it printed nothing. Throws Internal, saying what was `attempted`. */
export function parsePluginAnswer(stdout: string, attempted: string): unknown {
  if (stdout.trim() === '') return undefined;
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch (cause) {
    throw new RuntimeError('Internal', `${attempted}: the answer is not JSON: ${stdout.slice(0, 200)}`, {
      cause,
    });
  }
  if (isDeeper(answer, deepestAnswer))
    throw new RuntimeError('Internal', `${attempted}: the answer nests deeper than ${deepestAnswer} levels`);
  return answer;
}

export class PluginRunner {
  readonly #paths: ProgramPaths;
  readonly #env: Readonly<Record<string, string>>;
  readonly #versions = new Map<string, Promise<readonly string[]>>();

  /** `dirs` are searched in order for plugins; `env` is what plugins inherit of the daemon's environment. */
  constructor(dirs: readonly string[], env: Readonly<Record<string, string>> = defaultEnvironment) {
    this.#paths = new ProgramPaths(dirs);
    this.#env = env;
  }

  /** The folders that are searched, in order. */
  get dirs(): readonly string[] {
    return this.#paths.dirs;
  }

  /** The absolute path of a plugin's program; undefined if no folder has it. */
  find(plugin: string): string | undefined {
    return this.#paths.find(plugin);
  }

  /**
   * Runs a plugin and returns the JSON it printed, undefined if it printed nothing. A plugin that is stopped takes the
   * plugins it started with it. Throws the plugin's error (see errors.ts), FailedPrecondition if its program is missing,
   * DeadlineExceeded, Canceled, Internal if its answer is not JSON.
   */
  call(call: PluginCall): Promise<unknown> {
    return span('cni', call.command, () => this.#call(call), { plugin: call.plugin });
  }

  async #call(call: PluginCall): Promise<unknown> {
    const result = await this.#run(call);
    const stdout = result.stdout.toString('utf8');
    if (!succeeded(result.status)) {
      const stderr = result.stderr.toString('utf8');
      throw makePluginError({
        plugin: call.plugin,
        command: call.command,
        status: result.status,
        stdout,
        stderr,
      });
    }
    return parsePluginAnswer(stdout, `CNI plugin ${call.plugin} ${call.command}`);
  }

  async #run(call: PluginCall): Promise<RunResult> {
    throwIfAborted(call.signal, `running CNI plugin ${call.plugin}`);
    const limit = call.command === 'ADD' && call.signal ? abortLater(call.signal, addPatienceMs) : undefined;
    try {
      return await this.#runUntil(call, limit?.signal ?? call.signal);
    } finally {
      limit?.end();
    }
  }

  async #runUntil(call: PluginCall, signal: AbortSignal | undefined): Promise<RunResult> {
    const env = environmentOf(call, this.#env, this.dirs);
    const input = JSON.stringify(call.config);
    for (let attempt = 0; ; attempt += 1) {
      const path = this.find(call.plugin);
      if (path === undefined) throw makeMissingPluginError(call.plugin, this.dirs);
      try {
        return await run({
          path,
          args: [],
          env,
          input,
          timeoutMs: Math.max(call.timeoutMs, 1),
          newSession: true,
          killGroup: true,
          ...(signal && { signal }),
        });
      } catch (error) {
        const errno = errnoOf((error as { cause?: unknown }).cause);
        // A plugin that is being replaced: gone from its place for a moment, or still open for writing.
        if ((errno !== 'ENOENT' && errno !== 'ETXTBSY') || attempt >= busyRetries) throw error;
        this.#paths.forget(call.plugin);
        if (errno === 'ETXTBSY') await delay(busyPauseMs);
        throwIfAborted(call.signal, `running CNI plugin ${call.plugin}`);
      }
    }
  }

  /**
   * The versions of the specification that a plugin speaks, asked once per program.
   * Throws as `call`; a failure is not remembered.
   */
  listVersions(plugin: string): Promise<readonly string[]> {
    const path = this.find(plugin) ?? plugin;
    const known = this.#versions.get(path);
    if (known) return known;
    const asked = this.call({
      plugin,
      command: 'VERSION',
      attachment: undefined,
      config: { cniVersion: '1.0.0' },
      timeoutMs: versionTimeoutMs,
      signal: undefined,
    }).then((answer) => {
      const versions = (answer as { supportedVersions?: unknown } | undefined)?.supportedVersions;
      return Array.isArray(versions) ? versions.filter((entry) => typeof entry === 'string') : [];
    });
    this.#versions.set(path, asked);
    asked.catch(() => this.#versions.delete(path));
    return asked;
  }
}
