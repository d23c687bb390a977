/** What the checks share: the tool, the table, and a folder for configurations. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Crictl } from './crictl.ts';
import type { VerbTable } from './verb-table.ts';

export const busybox = 'docker.io/library/busybox:latest';
export const pause = 'registry.k8s.io/pause:3.9';

export interface Walk {
  readonly crictl: Crictl;
  readonly table: VerbTable;
  /** Configurations and logs. */
  readonly dir: string;
}

export interface PodFile {
  readonly path: string;
  readonly name: string;
  readonly logDirectory: string;
}

/** Writes a pod's configuration as crictl reads it. */
export function writePod({ dir }: Walk, name: string, more: Record<string, unknown> = {}): PodFile {
  const path = join(dir, `${name}.pod.json`);
  const logDirectory = join(dir, 'logs', name);
  const config = {
    metadata: { name, namespace: 'crictl', uid: `uid-${name}`, attempt: 1 },
    log_directory: logDirectory,
    labels: { app: name },
    // Pods of people have a PID namespace per container.
    linux: { security_context: { namespace_options: { pid: 1 } } },
    ...more,
  };
  writeFileSync(path, JSON.stringify(config));
  return { path, name, logDirectory };
}

/** Writes a container's configuration as crictl reads it; the command runs under a shell. */
export function writeContainer(
  { dir }: Walk,
  name: string,
  script: string,
  more: Record<string, unknown> = {},
): string {
  const path = join(dir, `${name}.container.json`);
  const config = {
    metadata: { name, attempt: 0 },
    image: { image: busybox },
    command: ['sh', '-c', script],
    log_path: `${name}.log`,
    labels: { part: name },
    linux: {},
    ...more,
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

/** Of JSON that crictl printed: what the checks read of it. */
export interface Inspected {
  readonly status: {
    readonly id: string;
    readonly state: string;
    readonly exitCode?: number;
    readonly reason?: string;
    readonly resources?: { readonly linux?: Readonly<Record<string, string>> };
  };
  readonly info: Readonly<Record<string, unknown>>;
}

export async function inspect({ crictl }: Walk, id: string): Promise<Inspected> {
  return await crictl.json<Inspected>('inspect', id);
}

export async function stateOf(walk: Walk, id: string): Promise<string> {
  return (await inspect(walk, id)).status.state;
}
