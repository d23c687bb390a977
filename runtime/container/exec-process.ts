/** A command in a running container as a process of the node: how it is described, started, awaited and killed. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { writing } from '#base/disk-full.ts';
import { RuntimeError } from '#base/errors.ts';
import { parseExactly } from '#base/exact-json.ts';
import { type StepName, step } from '#base/step.ts';
import {
  awaitAdopted,
  describeStatus,
  type ExitStatus,
  type Launched,
  sendSignal,
  succeeded,
} from '#host/launch.ts';
import { findProcess, isRunning, listDescendants, type ProcessIdentity } from '#host/proc.ts';
import { readFileInRoot } from '#host/rooted.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import { lastWords } from '../oci/errors.ts';
import type { SandboxConfig } from '../sandbox/config.ts';
import type { OciProcess } from '../spec/oci-spec.ts';
import { resolveUser } from '../spec/user.ts';
import type { ContainerConfig } from './config.ts';

let counter = 0;

/** The container's own process with another command. `size` is the terminal's, in characters. */
export function describeExec(
  bundle: string,
  command: readonly string[],
  hasTty: boolean,
  size?: { readonly width: number; readonly height: number },
  overrides?: ExecOverrides,
): OciProcess {
  const own = parseExactly(readFileSync(join(bundle, 'process.json'), 'utf8')) as OciProcess;
  const env =
    hasTty && !own.env.some((entry) => entry.startsWith('TERM=')) ? [...own.env, 'TERM=xterm'] : own.env;
  return {
    ...own,
    args: [...command],
    env: overrides ? withEnvironment(env, overrides.env) : env,
    terminal: hasTty,
    ...(size ? { consoleSize: size } : {}),
    ...(overrides?.workingDir ? { cwd: overrides.workingDir } : {}),
    ...(overrides?.user ? { user: userInRoot(join(bundle, 'rootfs'), overrides.user, own.user) } : {}),
  };
}

/** What a command has otherwise than its container; '' and [] for nothing. */
export interface ExecOverrides {
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
}

function withEnvironment(own: readonly string[], more: readonly string[]): string[] {
  const nameOf = (entry: string) => entry.split('=', 1)[0];
  const names = new Set(more.map(nameOf));
  return [...own.filter((entry) => !names.has(nameOf(entry))), ...more];
}

/** An image may fill /etc/passwd with anything; real ones are a few kilobytes. */
const accountFileLimitBytes = 4 << 20;

/** A user looked up in the container's own accounts. Throws InvalidArgument for one that is not there. */
function userInRoot(rootfs: string, user: string, own: OciProcess['user']): OciProcess['user'] {
  const { uid, gid, additionalGids } = resolveUser({
    security: {
      runAsUser: undefined,
      runAsGroup: undefined,
      runAsUsername: '',
      supplementalGroups: [],
      supplementalGroupsPolicy: 'merge',
    },
    imageUser: user,
    passwd: readFileInRoot(rootfs, '/etc/passwd', accountFileLimitBytes),
    group: readFileInRoot(rootfs, '/etc/group', accountFileLimitBytes),
  });
  return { ...own, uid, gid, additionalGids: [...additionalGids] };
}

/** A path for the process file of the next command. */
export function nextExecFile(bundle: string): string {
  counter += 1;
  return join(bundle, `exec-${process.pid}-${counter}.json`);
}

/** Writes the process file that the OCI runtime reads. The caller removes it, with `removeExecFiles`, also if this throws. */
export function writeExecFile(file: string, described: OciProcess): void {
  writing(file, () => writeFileSync(file, JSON.stringify(described), { mode: 0o600 }));
}

/** The process of an earlier `writeExecFile`; undefined if it cannot be read. */
export function readExecFile(file: string): OciProcess | undefined {
  try {
    return parseExactly(readFileSync(file, 'utf8')) as OciProcess;
  } catch {
    return undefined; // its writer died at it
  }
}

/** Removes the process file and what the OCI runtime wrote beside it. Idempotent. */
export function removeExecFiles(file: string): void {
  for (const suffix of ['', '.log', '.pid']) rmSync(`${file}${suffix}`, { force: true });
}

/** What the OCI runtime said went wrong, '' for nothing. Its log file tells its own failure from the command's, which cannot write there. */
export function execWords(file: string): string {
  try {
    return lastWords(readFileSync(`${file}.log`, 'utf8'));
  } catch {
    return ''; // nothing was logged
  }
}

/**
 * Whether the OCI runtime must not stay with a command, for it would wait for more than the command. runc copies the output
 * itself, as long as any process holds it; crun inherits every orphan where the PID namespace is the node's.
 */
export function mustDetach(runtime: CliRuntime, container: ContainerConfig, sandbox: SandboxConfig): boolean {
  const { pid } = container.security.namespaces;
  return (
    runtime.type === 'runc' || pid === 'node' || (pid === 'pod' && sandbox.security.namespaces.pid === 'node')
  );
}

export interface ExecProcess {
  readonly stdin: Socket | undefined;
  readonly stdout: Socket;
  readonly stderr: Socket;
  /** How the command ended. Rejects with Internal and the OCI runtime's words if it could not be run. */
  readonly exited: Promise<ExitStatus>;
  /** Kills the command with all its descendants. Idempotent. */
  kill(): void;
}

export interface ExecRequest {
  readonly containerId: string;
  readonly processFile: string;
  readonly stdin: 'null' | 'pipe';
  /** See `mustDetach`. */
  readonly isDetached: boolean;
}

/** Starts the command of a process file. Throws Internal if the OCI runtime cannot be started. */
export async function startExec(runtime: CliRuntime, request: ExecRequest): Promise<ExecProcess> {
  const { containerId, processFile, isDetached } = request;
  const pidFile = `${processFile}.pid`;
  const child = await runtime.exec(
    containerId,
    processFile,
    { stdin: request.stdin, stdout: 'pipe', stderr: 'pipe' },
    isDetached ? ['--detach', '--pid-file', pidFile] : [],
  );
  let detached: ProcessIdentity | undefined;
  let isKilled = false;
  const follow = async (): Promise<ExitStatus> => {
    const status = await child.exited;
    if (isKilled) return status;
    // It passes its command's signal on as an exit code: this is its own end, and the command goes on without it.
    if (status.type === 'signaled')
      throw new RuntimeError(
        'Internal',
        `exec in container ${containerId}: ${runtime.name} itself was ended by ${describeStatus(status)}`,
      );
    const words = succeeded(status) ? '' : execWords(processFile);
    if (words !== '') throw new RuntimeError('Internal', `exec in container ${containerId}: ${words}`);
    if (!isDetached || !succeeded(status)) return status;
    const pid = Number(readFileSync(pidFile, 'latin1'));
    detached = findProcess(pid);
    return awaitAdopted(pid);
  };
  const exited = follow();
  exited.catch(() => {}); // those who wait for it hear of it
  return {
    stdin: child.stdin,
    stdout: child.stdout!,
    stderr: child.stderr!,
    exited,
    kill: () => {
      isKilled = true;
      if (detached) {
        if (isRunning(detached)) killTree(detached.pid, (signal) => sendSignal(detached!.pid, signal));
      } else killExec(child);
    },
  };
}

/** As `startExec`, in a named step: when that fails, what it may have started is ended. */
export async function startExecIn(
  name: StepName,
  runtime: CliRuntime,
  request: ExecRequest,
): Promise<ExecProcess> {
  const started: ExecProcess[] = [];
  try {
    return await step(name, async () => {
      const child = await startExec(runtime, request);
      started.push(child);
      return child;
    });
  } catch (error) {
    for (const child of started) {
      child.kill();
      closeAll(child);
    }
    throw error;
  }
}

/** Closes our ends of its standard streams. Idempotent. */
export function closeAll({ stdin, stdout, stderr }: ExecProcess): void {
  for (const stream of [stdin, stdout, stderr]) stream?.destroy();
}

/** Ends an OCI runtime that runs a command, with all its descendants. */
function killExec(child: Launched): void {
  killTree(child.pid, (signal) => child.kill(signal));
}

/** Kills the descendants of `pid` and then itself. */
function killTree(pid: number, signalRoot: (signal: number) => void): void {
  // Held still, it starts nothing behind our back.
  signalRoot(constants.signals.SIGSTOP);
  // Others may fork between the look and the kill: look until nothing new appears, but never for ever.
  const killed = new Set<number>();
  for (let round = 0; round < 10; round += 1) {
    const fresh = listDescendants(pid).filter((descendant) => !killed.has(descendant));
    for (const descendant of fresh) {
      killed.add(descendant);
      sendSignal(descendant, constants.signals.SIGKILL);
    }
    if (fresh.length === 0) break;
  }
  signalRoot(constants.signals.SIGKILL);
}
