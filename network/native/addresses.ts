/**
 * Which pod has which address. One file per address, named by it and made exclusively, as the CNI plugin `host-local` keeps
 * them: so reservations of a daemon that ran that plugin count, and it finds ours. The search goes round the range, from the
 * last address given: one that was given back is not given again until all others were.
 *
 * A folder is Berth's own, or shared: that of a CNI network, where the plugin reserves and gives back at the same time, for
 * another runtime or another daemon of ours. There nothing is taken for true that was not read under the plugin's own lock.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { SharedLock } from '#host/lock-file.ts';
import { formatAddress, formatCidr, parseAddress } from '../cidr.ts';
import { readRecord, removeRecord } from '../record-file.ts';
import type { PodSubnet } from './changes.ts';

const lastPrefix = 'last_reserved_ip.';

/** Who an address is for. */
export interface AddressOwner {
  readonly sandboxId: string;
  readonly ifName: string;
  /** For errors: `the default network`. */
  readonly network: string;
}

export class AddressBook {
  readonly #dir: string;
  readonly #log: Log;
  /** Of a shared folder. */
  readonly #lock: SharedLock | undefined;
  /** Sandbox id by address; '' where the file does not tell. Of a shared folder it is what was so when it was last read. */
  readonly #owners = new Map<string, string>();

  /** Reads the reservations under `dir`, which may be absent. */
  constructor(dir: string, log: Log, isShared = false) {
    this.#dir = dir;
    this.#log = log;
    // The modes in a shared folder are those of the plugin.
    this.#lock = isShared ? new SharedLock(`${dir}/lock`, 0o750) : undefined;
    this.#refresh();
  }

  get #fileMode(): number {
    return this.#lock ? 0o644 : 0o600;
  }

  #names(): string[] {
    try {
      return readdirSync(this.#dir).filter((name) => parseAddress(name) !== undefined);
    } catch {
      return []; // nothing was ever reserved
    }
  }

  #readOwner(address: string): string {
    try {
      return readFileSync(`${this.#dir}/${address}`, 'utf8').split(/\r?\n/)[0]!.trim();
    } catch {
      return ''; // given back this instant
    }
  }

  #refresh(): void {
    const names = new Set(this.#names());
    for (const address of this.#owners.keys()) if (!names.has(address)) this.#owners.delete(address);
    for (const name of names) if (!this.#owners.has(name)) this.#owners.set(name, this.#readOwner(name));
  }

  async #exclusively<T>(work: () => T): Promise<T> {
    return this.#lock ? this.#lock.hold(work) : work();
  }

  /**
   * Reserves one address of each subnet for a sandbox, on disk when it resolves. Throws ResourceExhausted if a subnet has none
   * left, Unavailable (see SharedLock), Node's error if it cannot be kept; then nothing stays reserved.
   */
  async reserve(subnets: readonly PodSubnet[], owner: AddressOwner): Promise<string[]> {
    mkdirSync(this.#dir, { recursive: true, mode: this.#lock ? 0o755 : 0o700 });
    return this.#exclusively(() => {
      if (this.#lock) this.#refresh();
      try {
        return subnets.map((subnet, index) => this.#reserveOne(subnet, index, owner));
      } catch (error) {
        this.#releaseNow(owner.sandboxId);
        throw error;
      }
    });
  }

  #reserveOne(subnet: PodSubnet, index: number, owner: AddressOwner): string {
    const { prefix, gateway, first, last } = subnet;
    const text = `${owner.sandboxId}\r\n${owner.ifName}`;
    const before = parseAddress((readRecord(`${this.#dir}/${lastPrefix}${index}`) ?? '').trim());
    let value = before?.family === prefix.family ? before.value : last;
    // Among two more candidates than there are reservations one is free and not the gateway's, unless the range has no more.
    for (let turn = 0; turn <= this.#owners.size + 1 && first <= last; turn += 1) {
      value = value < first - 1n || value >= last ? first : value + 1n;
      const address = formatAddress({ family: prefix.family, value });
      if (value === gateway.value || this.#owners.has(address) || !this.#make(address, text)) continue;
      this.#keepLast(index, address);
      return address;
    }
    throw new RuntimeError(
      'ResourceExhausted',
      `${owner.network} has no free address in ${formatCidr(prefix)}; remove pods or configure a larger prefix`,
    );
  }

  /** As a new file: what is cut short and written again, ext4 sends to the disk at once. Lost, it costs only the order. */
  #keepLast(index: number, address: string): void {
    const path = `${this.#dir}/${lastPrefix}${index}`;
    removeRecord(path);
    writeFileSync(path, address, { mode: this.#fileMode, flag: 'wx' });
  }

  #make(address: string, text: string): boolean {
    try {
      const fd = openSync(`${this.#dir}/${address}`, 'wx', this.#fileMode);
      try {
        this.#owners.set(address, text.split('\r\n')[0]!);
        writeSync(fd, text);
      } finally {
        closeSync(fd);
      }
      return true;
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
      this.#owners.set(address, this.#readOwner(address));
      return false;
    }
  }

  /** Gives back what a sandbox has. Idempotent. Throws Unavailable (see SharedLock), Node's error. */
  async release(sandboxId: string): Promise<void> {
    try {
      await this.#exclusively(() => {
        if (this.#lock) this.#refresh();
        this.#releaseNow(sandboxId);
      });
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
      this.#owners.clear(); // the folder is gone, and all reservations with it
    }
  }

  #releaseNow(sandboxId: string): void {
    for (const [address, owner] of this.#owners) {
      if (owner !== sandboxId) continue;
      // Given back by the plugin and given to another pod since it was read.
      const isStale = this.#lock && this.#readOwner(address) !== sandboxId;
      if (!isStale) removeRecord(`${this.#dir}/${address}`);
      this.#owners.delete(address);
    }
  }

  /**
   * Gives back addresses of sandboxes that `isKnown` denies: what a kill left between a reservation and its record, or a
   * power loss. For a folder of our own, and only while nothing attaches. Never throws.
   */
  releaseOrphans(isKnown: (sandboxId: string) => boolean): void {
    for (const [address, owner] of this.#owners) {
      if (owner !== '' && isKnown(owner)) continue;
      try {
        removeRecord(`${this.#dir}/${address}`);
        this.#owners.delete(address);
        this.#log.info({ address, owner }, 'gave back an address that no sandbox owns');
      } catch (error) {
        this.#log.warn({ address }, `cannot give back an address: ${messageOf(error)}`);
      }
    }
  }
}
