/**
 * What libcni remembers of an attachment, in its own format and place (ROOT/results/NETWORK-CONTAINER-IFNAME), so that
 * other tools find it and so that pods survive a change of runtime. Written after ADD, removed after DEL.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { errnoOf } from '#base/errors.ts';
import { readRecord, removeRecord, writeRecord } from '../record-file.ts';

const cacheKind = 'cniCacheV1';

/** One attachment of a container to a network. */
export interface CachedAttachment {
  readonly containerId: string;
  readonly networkName: string;
  readonly ifName: string;
  readonly netnsPath: string;
  /** The text of the configuration list that ADD used. */
  readonly config: string;
  readonly args: readonly (readonly [string, string])[];
  readonly capabilityArgs: Readonly<Record<string, unknown>>;
  /** The result of the last plugin as it gave it. */
  readonly result: unknown;
}

export class ResultCache {
  readonly #dir: string;

  /** `rootDir` is libcni's cache directory, usually /var/lib/cni. */
  constructor(rootDir: string) {
    this.#dir = `${rootDir}/results`;
  }

  #path(networkName: string, containerId: string, ifName: string): string {
    return `${this.#dir}/${networkName}-${containerId}-${ifName}`;
  }

  /** Writes or replaces the entry; the folder is 0700, the file 0600. Throws Node's error. */
  write(entry: CachedAttachment): void {
    const path = this.#path(entry.networkName, entry.containerId, entry.ifName);
    const text = JSON.stringify({
      kind: cacheKind,
      containerId: entry.containerId,
      config: Buffer.from(entry.config).toString('base64'),
      ifName: entry.ifName,
      networkName: entry.networkName,
      netns: entry.netnsPath,
      cniArgs: entry.args,
      capabilityArgs: entry.capabilityArgs,
      result: entry.result,
    });
    try {
      writeRecord(path, text, 0o600);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
      writeRecord(path, text, 0o600);
    }
  }

  /** The entry, or undefined if there is none or it cannot be understood: then DEL goes without a previous result. */
  find(networkName: string, containerId: string, ifName: string): CachedAttachment | undefined {
    const entry = this.#read(this.#path(networkName, containerId, ifName));
    return entry?.containerId === containerId ? entry : undefined;
  }

  /** The entry of a container whose network's name is not known. */
  findByContainer(containerId: string, ifName: string): CachedAttachment | undefined {
    const name = this.#names().find((candidate) => candidate.endsWith(`-${containerId}-${ifName}`));
    const entry = name === undefined ? undefined : this.#read(`${this.#dir}/${name}`);
    return entry?.containerId === containerId ? entry : undefined;
  }

  #read(path: string): CachedAttachment | undefined {
    try {
      const text = readRecord(path);
      if (text === undefined) return undefined;
      const entry = JSON.parse(text);
      if (entry.kind !== cacheKind) return undefined;
      return {
        containerId: entry.containerId,
        networkName: entry.networkName,
        ifName: entry.ifName,
        netnsPath: entry.netns ?? '',
        config: Buffer.from(entry.config, 'base64').toString('utf8'),
        args: entry.cniArgs ?? [],
        capabilityArgs: entry.capabilityArgs ?? {},
        result: entry.result,
      };
    } catch {
      return undefined; // damaged: as good as absent, which DEL must cope with anyway (CNI SPEC, section DEL)
    }
  }

  /** All entries of a network, those of other tools among them. Never throws. */
  listByNetwork(networkName: string): CachedAttachment[] {
    return this.#names().flatMap((name) => {
      if (!name.startsWith(`${networkName}-`)) return [];
      const entry = this.#read(`${this.#dir}/${name}`);
      return entry?.networkName === networkName ? [entry] : [];
    });
  }

  #names(): string[] {
    try {
      return readdirSync(this.#dir);
    } catch {
      return []; // no folder, no entry
    }
  }

  /** Removes the entry. Idempotent. Throws Node's error. */
  remove(networkName: string, containerId: string, ifName: string): void {
    removeRecord(this.#path(networkName, containerId, ifName));
  }
}
