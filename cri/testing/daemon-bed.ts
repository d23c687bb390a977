/** A real daemon in a folder of its own, with a registry and a network, for tests through the socket. Needs root. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  findLeftovers,
  formatLeftovers,
  type Leftovers,
  removeLeftovers,
} from '#conformance/critest/leftovers.ts';
import { type ServerPaths, startServer } from '#conformance/critest/server.ts';
import { startRegistry, writeMirrorHosts } from '#conformance/fixtures/registry.ts';
import { buildDemoImages, listRegistries, pushCatalogue } from '#conformance/fixtures/store.ts';
import { makeTestNetwork } from '#conformance/network.ts';
import { CriClient } from './client.ts';

/** An image that the bed's registry has: busybox with a shell. */
export const testImage = 'docker.io/library/busybox:latest';

export interface DaemonBed {
  /** Everything of the daemon is in it: root, state, cni, logs. */
  readonly dir: string;
  readonly client: CriClient;
  /** Where images can be pushed to; the daemon has it as a mirror of docker.io. */
  readonly registryHost: string;
  /** Kills the daemon with SIGKILL, and starts it again. Clients find the new one by themselves. */
  killAndRestart(): Promise<void>;
  /** What stands on the machine because of the daemon now. */
  look(): Leftovers;
  /** Ends the daemon and resolves with what it left on the machine, after clearing that away. */
  close(): Promise<string[]>;
}

/** Starts all of it; rejects when the daemon does not come up. `criu`: see `ServerPaths`. */
export async function openDaemonBed(criu?: ServerPaths['criu']): Promise<DaemonBed> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-bed-'));
  const registry = await startRegistry({
    dataDir: join(dir, 'registry'),
    logFile: join(dir, 'registry.log'),
  });
  const images = await buildDemoImages();
  await pushCatalogue(registry.host, images);
  const registryHostsDir = join(dir, 'hosts');
  writeMirrorHosts(registryHostsDir, listRegistries(images), registry.host);
  const network = makeTestNetwork(dir);
  mkdirSync(join(dir, 'logs'));
  const paths = { dir, cniConfDir: network.confDir, registryHostsDir, ...(criu ? { criu } : {}) };
  let server = await startServer('berth', paths, '').catch(async (error: unknown) => {
    await registry.stop();
    rmSync(dir, { recursive: true, force: true });
    throw error;
  });
  const client = new CriClient(join(dir, 'berth.sock'));
  const look = (): Leftovers => findLeftovers(dir, network.bridge);
  return {
    dir,
    client,
    registryHost: registry.host,
    look,
    async killAndRestart() {
      process.kill(server.pid, 'SIGKILL');
      await server.stop();
      server = await startServer('berth', paths, '');
    },
    async close() {
      client.close();
      await server.stop();
      await registry.stop();
      const leftovers = look();
      await removeLeftovers(leftovers);
      await network.remove();
      rmSync(dir, { recursive: true, force: true });
      return formatLeftovers(leftovers);
    },
  };
}
