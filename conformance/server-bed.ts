/** A machine prepared for a CRI server, the server on it, and the end of both with a look at what is left. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { runCommand } from './command.ts';
import { findLeftovers, formatLeftovers, removeLeftovers } from './critest/leftovers.ts';
import { type Server, type ServerKind, startServer } from './critest/server.ts';
import { type FixtureRegistry, serveFixtures } from './fixtures/store.ts';
import { makeTestNetwork, type TestNetwork } from './network.ts';
import {
  conformancePackages,
  demoPackages,
  ensurePackages,
  prepareCgroups,
  runtimePackages,
} from './setup.ts';
import { ensureTools, type Tools } from './tools/build.ts';
import { ensureNewerCrun } from './tools/newer-crun.ts';

/** Tools, cgroups and a registry with the suite's images, for any number of servers one after the other. */
export interface Ground {
  readonly tools: Tools;
  /** Short, because sockets are made in it. */
  readonly workDir: string;
  readonly registry: FixtureRegistry;
  /** Stops the registry and removes the folder, unless it is to be kept. */
  close(options?: { readonly keep?: boolean; readonly restoreCgroups?: boolean }): Promise<void>;
}

export interface GroundOptions {
  /** Begins the name of the work folder. */
  readonly name: string;
  /** Where the registry's hosts.toml files go; in the work folder unless given. */
  readonly hostsDir?: string;
  readonly packages?: readonly string[];
}

/** Installs and builds what is missing, and starts the registry. */
export async function openGround(options: GroundOptions): Promise<Ground> {
  await ensurePackages([
    ...runtimePackages,
    ...demoPackages,
    ...conformancePackages,
    ...(options.packages ?? []),
  ]);
  const undoCgroups = await prepareCgroups();
  const tools = await ensureTools();
  const workDir = mkdtempSync(join(tmpdir(), `${options.name}-`));
  const registry = await serveFixtures({
    hostsDir: resolve(options.hostsDir ?? join(workDir, 'hosts')),
    logFile: join(workDir, 'registry.log'),
  });
  return {
    tools,
    workDir,
    registry,
    async close({ keep = false, restoreCgroups = false } = {}) {
      await registry.stop();
      if (restoreCgroups) await undoCgroups();
      if (!keep) rmSync(workDir, { recursive: true, force: true });
    },
  };
}

export interface ServerBed {
  readonly server: Server;
  /** Removes every pod, ends the server, keeps its log in `outDir`, clears away what is left, and resolves with that. */
  close(): Promise<string[]>;
}

export interface ServerBedOptions {
  readonly outDir: string;
  /** What containerd runs containers with. */
  readonly ociRuntime?: string;
  /** Berth carries the CNI configuration out without its plugins. */
  readonly hasBuiltinPlugins?: boolean;
}

/** Starts a server with a network of its own. */
export async function openServer(
  kind: ServerKind,
  { tools, workDir, registry }: Ground,
  { outDir, ociRuntime = 'runc', hasBuiltinPlugins = false }: ServerBedOptions,
): Promise<ServerBed> {
  mkdirSync(outDir, { recursive: true });
  const network = makeTestNetwork(workDir);
  const newerCrun = kind === 'berth' ? await findNewerCrun() : undefined;
  const paths = {
    dir: workDir,
    cniConfDir: network.confDir,
    registryHostsDir: registry.hostsDir,
    hasBuiltinPlugins,
    ...(newerCrun === undefined ? {} : { newerCrun }),
  };
  const server = await startServer(kind, paths, ociRuntime);
  return {
    server,
    async close() {
      const left = await removePods(server, tools);
      await server.stop();
      copyFileSync(server.logFile, join(outDir, 'server.log'));
      return [...left, ...(await clearAway(workDir, network))];
    },
  };
}

async function removePods(server: Server, tools: Tools): Promise<string[]> {
  if (!server.isRunning()) return [];
  try {
    await runCommand(tools.crictl, ['-r', server.endpoint, '-t', '60s', 'rmp', '-a', '-f']);
    return [];
  } catch (error) {
    return [`pods that could not be removed: ${error instanceof Error ? error.message : String(error)}`];
  }
}

async function clearAway(workDir: string, network: TestNetwork): Promise<string[]> {
  const leftovers = findLeftovers(workDir, network.bridge);
  await removeLeftovers(leftovers);
  await network.remove();
  return formatLeftovers(leftovers);
}

/** Pods with user namespaces need crun 1.9: where the installed one is older, Debian 13's serves as a second handler. */
async function findNewerCrun(): Promise<string | undefined> {
  const printed = await runCommand('crun', ['--version']);
  const [, major, minor] = /(\d+)\.(\d+)/.exec(printed) ?? [];
  const isNewEnough = Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 9);
  return isNewEnough ? undefined : ensureNewerCrun();
}
