/**
 * Which pod has which address of the default network. One file per address, named by it and made exclusively, as the CNI
 * plugin `host-local` keeps them: so reservations of a daemon that ran that plugin count, and it finds ours. The search goes
 * round the prefix, from the last address given: one that was given back is not given again until all others were.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { errnoOf, messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { type Cidr, contains, formatAddress, formatCidr, lastAddress, parseAddress } from '../cidr.ts';
import { readRecord, removeRecord } from '../record-file.ts';

const lastPrefix = 'last_reserved_ip.';

export class AddressBook {
  readonly #dir: string;
  readonly #log: Log;
  /** Sandbox id by address; '' where the file does not tell. */
  readonly #owners = new Map<string, string>();

  /** Reads the reservations under `dir`, which may be absent. */
  constructor(dir: string, log: Log) {
    this.#dir = dir;
    this.#log = log;
    for (const name of this.#names()) this.#owners.set(name, this.#readOwner(name));
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

  /**
   * Reserves one address of each prefix for a sandbox, on disk when it returns. The first address is the gateway's, the last
   * one that of broadcast. Throws ResourceExhausted if a prefix has none left, Node's error if it cannot be kept; then
   * nothing stays reserved.
   */
  reserve(prefixes: readonly Cidr[], sandboxId: string, ifName: string): string[] {
    mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
    try {
      return prefixes.map((prefix, index) => this.#reserveOne(prefix, index, `${sandboxId}\r\n${ifName}`));
    } catch (error) {
      this.release(sandboxId);
      throw error;
    }
  }

  #reserveOne(prefix: Cidr, index: number, text: string): string {
    const first = prefix.base + 2n;
    const last = lastAddress(prefix).value - 1n;
    const before = parseAddress((readRecord(`${this.#dir}/${lastPrefix}${index}`) ?? '').trim());
    let value = before && contains(prefix, before) ? before.value : last;
    // Among one more candidates than there are reservations one is free, unless the prefix has no more.
    for (let turn = 0; turn <= this.#owners.size && first <= last; turn += 1) {
      value = value < first - 1n || value >= last ? first : value + 1n;
      const address = formatAddress({ family: prefix.family, value });
      if (this.#owners.has(address) || !this.#make(address, text)) continue;
      this.#keepLast(index, address);
      return address;
    }
    throw new RuntimeError(
      'ResourceExhausted',
      `the default network has no free address in ${formatCidr(prefix)}; remove pods or configure a larger prefix`,
    );
  }

  /** As a new file: what is cut short and written again, ext4 sends to the disk at once. Lost, it costs only the order. */
  #keepLast(index: number, address: string): void {
    const path = `${this.#dir}/${lastPrefix}${index}`;
    removeRecord(path);
    writeFileSync(path, address, { mode: 0o600, flag: 'wx' });
  }

  #make(address: string, text: string): boolean {
    try {
      const fd = openSync(`${this.#dir}/${address}`, 'wx', 0o600);
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

  /** Gives back what a sandbox has. Idempotent. Throws Node's error. */
  release(sandboxId: string): void {
    for (const [address, owner] of this.#owners) {
      if (owner !== sandboxId) continue;
      removeRecord(`${this.#dir}/${address}`);
      this.#owners.delete(address);
    }
  }

  /**
   * Gives back addresses of sandboxes that `isKnown` denies: what a kill left between a reservation and its record, or a
   * power loss. Call it only while nothing attaches. Never throws.
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
