/**
 * The init of a sandbox that shares its PID namespace: PID 1 there, so that the namespace outlives any one container and
 * orphans are reaped. `catatonit -P` waits for ever. Other sandboxes have no process at all.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writing } from '#base/disk-full.ts';
import { RuntimeError } from '#base/errors.ts';
import { MS_NODEV, MS_NOSUID, performMount, unmountAll } from '#host/mount.ts';
import { isRunning, type ProcessIdentity, signalProcess } from '#host/proc.ts';
import { loadedAppArmorProfiles } from '../host-facts.ts';
import { awaitMonitorEnd } from '../monitor/end-monitor.ts';
import type { ExitFiles } from '../monitor/exit-files.ts';
import { createMonitored } from '../monitor/launch.ts';
import type { CliRuntime } from '../oci/cli-runtime.ts';
import type { RuntimePaths } from '../paths.ts';
import { readSeccompProfile } from '../seccomp-profile.ts';
import type { HostFacts } from '../spec/inputs.ts';
import { buildSandboxInitSpec } from '../spec/sandbox-init-spec.ts';
import type { SandboxRecord } from './record.ts';
import { rootOwner } from './user-namespace.ts';

export interface PidInitOptions {
  readonly paths: RuntimePaths;
  readonly exits: ExitFiles;
  readonly host: HostFacts;
  readonly conmonPath: string;
  /** '' when catatonit is not installed. */
  readonly initPath: string;
  readonly defaultSeccompProfile: string | undefined;
}

export class PidInit {
  readonly #options: PidInitOptions;

  constructor(options: PidInitOptions) {
    this.#options = options;
  }

  /** Starts the init of `sandbox`, under the sandbox's own id. The caller undoes with `remove`, also on failure. */
  async start(sandbox: SandboxRecord, handler: CliRuntime, signal: AbortSignal): Promise<ProcessIdentity> {
    const { paths, initPath } = this.#options;
    if (initPath === '' || !existsSync(initPath))
      throw new RuntimeError(
        'FailedPrecondition',
        'a shared PID namespace needs catatonit, which is not installed; run: apt-get install catatonit',
      );
    const bundle = paths.bundle(sandbox.id);
    mkdirSync(paths.rootfs(sandbox.id), { recursive: true, mode: 0o711 });
    if (sandbox.usernsPath !== '') {
      // The runtime works as the pod's root then, who may change the propagation of a mount of ours, not of the node's.
      const { uid, gid } = rootOwner(sandbox.config);
      const spec = {
        type: 'tmpfs',
        source: 'init',
        flags: MS_NOSUID | MS_NODEV,
        data: `size=64k,mode=755,uid=${uid},gid=${gid}`,
      };
      performMount(spec, paths.rootfs(sandbox.id));
    }
    const spec = buildSandboxInitSpec({
      sandboxId: sandbox.id,
      config: sandbox.config,
      host: this.#options.host,
      rootfsPath: paths.rootfs(sandbox.id),
      initPath,
      paths: {
        netnsPath: sandbox.netnsPath,
        ipcnsPath: sandbox.ipcnsPath,
        utsnsPath: sandbox.utsnsPath,
        usernsPath: sandbox.usernsPath,
      },
      localhostSeccompProfile: readSeccompProfile(
        sandbox.config.security,
        this.#options.defaultSeccompProfile,
      ),
      ...(this.#options.host.isAppArmorEnabled ? { loadedApparmorProfiles: loadedAppArmorProfiles() } : {}),
    });
    const file = join(bundle, 'config.json');
    writing(file, () => writeFileSync(file, JSON.stringify(spec), { mode: 0o600 }));
    const started = await createMonitored(
      this.#options.conmonPath,
      {
        containerId: sandbox.id,
        name: `${sandbox.config.metadata.namespace}_${sandbox.config.metadata.name}_init`,
        bundle,
        exitDir: paths.exits,
        socketDir: paths.sockets,
        logPath: '',
        hasTty: false,
        hasStdin: false,
        leaveStdinOpen: false,
        runtime: handler,
      },
      signal,
    );
    await handler.start(sandbox.id, signal);
    return started.container;
  }

  /** Ends the init and removes what it had. Idempotent. */
  async remove(sandboxId: string, init: ProcessIdentity | undefined, handler: CliRuntime): Promise<void> {
    const { paths, exits } = this.#options;
    if (init && isRunning(init)) signalProcess(init, 9);
    if (existsSync(paths.bundle(sandboxId))) {
      await handler.remove(sandboxId);
      // It writes an exit file as its last act.
      await awaitMonitorEnd(paths.bundle(sandboxId));
    }
    unmountAll(paths.rootfs(sandboxId));
    rmSync(paths.bundle(sandboxId), { recursive: true, force: true });
    rmSync(join(paths.sockets, sandboxId), { force: true });
    exits.remove(sandboxId);
  }
}
