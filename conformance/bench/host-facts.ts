/** What a reader must know about the machine to judge the figures. */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../cache.ts';
import { runCommand } from '../command.ts';

export function readMachine(): { readonly [fact: string]: string } {
  const osRelease = readFileSync('/etc/os-release', 'utf8');
  return {
    system: /^PRETTY_NAME="(.*)"$/m.exec(osRelease)?.[1] ?? 'unknown',
    kernel: release(),
    processors: `${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
  };
}

/** Program -> the version it says it has; `unknown` where it says none. */
export async function readVersions(): Promise<{ readonly [program: string]: string }> {
  const own = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string };
  const ask = async (file: string, args: string[]): Promise<string> => {
    try {
      return /\d+\.\d+\.\d+/.exec(await runCommand(file, args))?.[0] ?? 'unknown';
    } catch {
      // Not installed: the load that needs it says so.
      return 'unknown';
    }
  };
  return {
    berth: own.version,
    node: await ask(join(projectRoot, 'node_modules/.bin/node'), ['--version']),
    containerd: await ask('containerd', ['--version']),
    runc: await ask('runc', ['--version']),
    crun: await ask('crun', ['--version']),
    conmon: await ask('conmon', ['--version']),
    'CNI plugins': await ask('dpkg-query', ['-W', '-f', '$' + '{Version}', 'containernetworking-plugins']),
  };
}
