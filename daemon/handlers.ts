/** The OCI runtimes of the configuration: what they can do is asked of them while the daemon's code is still being read. */
import { join } from 'node:path';
import { messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { HandlerTable } from '#runtime/handlers.ts';
import { CliRuntime } from '#runtime/oci/cli-runtime.ts';
import { type HandlerFeatures, probeFeatures } from '#runtime/oci/features.ts';
import { KnownFeatures } from '#runtime/oci/known-features.ts';
import type { Config } from './config/options.ts';
import { requireProgram } from './programs.ts';
import { version } from './version.ts';

interface Probed {
  readonly type: 'crun' | 'runc';
  readonly path: string;
  readonly features: HandlerFeatures;
}

export interface HandlerProbes {
  /** By the name of the handler; that of a program that cannot be asked rejects. */
  readonly answers: ReadonlyMap<string, Promise<Probed>>;
  readonly known: KnownFeatures;
}

/** Asks all of them at once that are not known. Throws nothing: what went wrong is met in `openHandlers`. */
export function probeHandlers({ handlers, daemon }: Config): HandlerProbes {
  const known = new KnownFeatures(join(daemon.stateDir, 'oci-features.json'), version());
  const probes = Object.entries(handlers).map(([name, { path: configured, type }]) => {
    const probe = (async () => {
      const path = requireProgram(type, configured, `handlers.${name}.path`);
      return { type, path, features: await known.of(path, () => probeFeatures(type, path)) };
    })();
    probe.catch(() => {}); // for `openHandlers`, which may come to it later
    return [name, probe] as const;
  });
  return { answers: new Map(probes), known };
}

export interface HandlerPlaces {
  readonly defaultHandler: string;
  readonly cgroupDriver: 'cgroupfs' | 'systemd';
  readonly stateDir: string;
}

/** Those handlers whose program is there; the default one must be. Rejects with what is wrong with that one. */
export async function openHandlers(
  { answers, known }: HandlerProbes,
  { defaultHandler, cgroupDriver, stateDir }: HandlerPlaces,
  log: Log,
): Promise<HandlerTable> {
  const opened = await Promise.all(
    [...answers].map(async ([name, probe]) => {
      try {
        const root = join(stateDir, 'oci', name);
        return new CliRuntime({ name, root, cgroupDriver, ...(await probe) });
      } catch (error) {
        if (name === defaultHandler) throw error;
        log.debug({ handler: name }, `a runtime handler is left out: ${messageOf(error)}`);
        return undefined;
      }
    }),
  );
  try {
    known.save();
  } catch (error) {
    log.warn({ err: error }, `the next start asks the OCI runtimes again: ${messageOf(error)}`);
  }
  const present = opened.filter((handler) => handler !== undefined);
  return new HandlerTable(new Map(present.map((handler) => [handler.name, handler])), defaultHandler);
}
