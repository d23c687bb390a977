/** The files that every container of a pod sees: resolv.conf, hostname, hosts, and /dev/shm. */
import { appendFileSync, chownSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writing } from '#base/disk-full.ts';
import { errnoOf } from '#base/errors.ts';
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, performMount, unmountAll } from '#host/mount.ts';
import type { DnsConfig } from './config.ts';

/** The text of resolv.conf: search, nameserver and options lines, in this order (resolv.conf(5); CRI DNSConfig). */
export function formatResolvConf(dns: DnsConfig): string {
  const lines: string[] = [];
  if (dns.searches.length > 0) lines.push(`search ${dns.searches.join(' ')}`);
  for (const server of dns.servers) lines.push(`nameserver ${server}`);
  if (dns.options.length > 0) lines.push(`options ${dns.options.join(' ')}`);
  return lines.map((line) => `${line}\n`).join('');
}

function copyOrEmpty(source: string, target: string): void {
  try {
    copyFileSync(source, target);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    writeFileSync(target, ''); // a node without this file gives its pods an empty one
  }
}

export interface SandboxFilesRequest {
  readonly directory: string;
  readonly hostname: string;
  /** undefined copies the node's file. */
  readonly dns: DnsConfig | undefined;
  /** Whether the pod has its own IPC namespace and so its own /dev/shm. */
  readonly ownShm: boolean;
  /** The usual 64 MiB unless given. */
  readonly shmBytes?: number | undefined;
  /** Lines of /etc/hosts beyond the node's. */
  readonly hostLines: readonly string[];
  /** Host ids of the pod's root. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

const usualShmBytes = 64 << 20;

/** Makes the files and mounts shm. Undone by `removeSandboxFiles`, also when this fails half-way. */
export function makeSandboxFiles(request: SandboxFilesRequest): void {
  const { directory } = request;
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  const hostname = join(directory, 'hostname');
  writing(hostname, () => writeFileSync(hostname, `${request.hostname}\n`, { mode: 0o644 }));
  const hosts = join(directory, 'hosts');
  copyOrEmpty('/etc/hosts', hosts);
  if (request.hostLines.length > 0)
    writing(hosts, () => appendFileSync(hosts, `\n${request.hostLines.join('\n')}\n`));
  const resolvConf = join(directory, 'resolv.conf');
  if (request.dns === undefined) copyOrEmpty('/etc/resolv.conf', resolvConf);
  else {
    const text = formatResolvConf(request.dns);
    writing(resolvConf, () => writeFileSync(resolvConf, text, { mode: 0o644 }));
  }
  for (const name of ['hostname', 'hosts', 'resolv.conf'])
    chownSync(join(directory, name), request.owner.uid, request.owner.gid);
  if (!request.ownShm) return;
  const shm = join(directory, 'shm');
  mkdirSync(shm, { recursive: true });
  performMount(
    {
      type: 'tmpfs',
      source: 'shm',
      flags: MS_NOSUID | MS_NODEV | MS_NOEXEC,
      data: `mode=1777,size=${request.shmBytes ?? usualShmBytes}`,
    },
    shm,
  );
}

/** Unmounts shm; its content is gone. Idempotent. */
export function unmountShm(directory: string): void {
  unmountAll(join(directory, 'shm'));
}

/** Removes the files, the shm mount first. Idempotent. */
export function removeSandboxFiles(directory: string): void {
  unmountShm(directory);
  rmSync(directory, { recursive: true, force: true });
}
