/** Plugins that are programs on this node: found, started with one end of a socket pair, ended with the daemon. */
import { accessSync, closeSync, constants, readdirSync, readFileSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import { errnoOf, messageOf } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { defaultPath, describeStatus, type Launched, launch } from '#host/launch.ts';
import { socketPair } from '#host/socket-pair.ts';
import type { PluginIdentity } from './plugin.ts';

/** How long a plugin may take to end when its connection did, and again when it was asked to. */
const patienceMs = 500;

export interface InstalledPlugin {
  readonly path: string;
  readonly identity: PluginIdentity;
}

/** Programs NN-NAME of a folder, by name. One that cannot be used is logged and left out; a folder that is missing is empty. */
export function findInstalledPlugins(pluginDir: string, configDir: string, log: Log): InstalledPlugin[] {
  const found: InstalledPlugin[] = [];
  for (const name of listNames(pluginDir)) {
    const path = join(pluginDir, name);
    try {
      if (!statSync(path).isFile()) continue;
      accessSync(path, constants.X_OK);
      const match = /^(\d\d)-([a-zA-Z0-9_.+-]+)$/.exec(name);
      if (!match) throw new Error('its name is not like 10-name');
      const [, index = '', base = ''] = match;
      found.push({ path, identity: { index, base, config: readConfig(configDir, name, base) } });
    } catch (error) {
      log.warn({ path }, `a file in the folder of NRI plugins is left out: ${messageOf(error)}`);
    }
  }
  return found;
}

/** Names in order; none of a folder that is missing. */
export function listNames(directory: string): string[] {
  try {
    return readdirSync(directory).toSorted();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function readConfig(configDir: string, name: string, base: string): string {
  for (const file of [`${name}.conf`, `${base}.conf`]) {
    try {
      return readFileSync(join(configDir, file), 'utf8');
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
  return '';
}

export interface RunningPlugin {
  /** When it closes, the program is ended: asked to, and killed after a moment. */
  readonly socket: Socket;
  /** Settles when the program is gone. */
  readonly ended: Promise<void>;
}

/** Starts a plugin. Throws RuntimeError Internal if the program cannot be started. */
export function startPlugin({ path, identity }: InstalledPlugin, log: Log): RunningPlugin {
  const { ours, theirFd } = socketPair();
  let child: Launched;
  try {
    child = launch({
      path,
      args: [],
      env: {
        PATH: defaultPath,
        NRI_PLUGIN_NAME: identity.base,
        NRI_PLUGIN_IDX: identity.index,
        NRI_PLUGIN_SOCKET: '3',
      },
      descriptors: { 3: theirFd },
      newSession: true,
    });
  } catch (error) {
    ours.destroy();
    throw error;
  } finally {
    closeSync(theirFd);
  }
  child.exited.then((status) => log.info({ path }, `NRI plugin ended: ${describeStatus(status)}`));
  // Without its connection it is of no use, and nobody else would end it.
  ours.once('close', () => endChild(child));
  return { socket: ours, ended: child.exited.then(() => {}) };
}

/** It ends by itself when its connection does; one that does not is asked to, then killed. */
async function endChild(child: Launched): Promise<void> {
  const { SIGTERM, SIGKILL } = osConstants.signals;
  const timers = [SIGTERM, SIGKILL].map((signal, index) =>
    setTimeout(() => child.kill(signal), patienceMs * (index + 1)),
  );
  await child.exited;
  for (const timer of timers) clearTimeout(timer);
}
