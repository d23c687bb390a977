import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lastAddress, parseCidr } from '../cidr.ts';
import { AddressBook } from './addresses.ts';
import type { PodSubnet } from './changes.ts';

let dir: string;
const book = () => new AddressBook(`${dir}/berth`, pino({ level: 'silent' }));
const prefixes = (...texts: string[]): PodSubnet[] =>
  texts.map((text) => {
    const prefix = parseCidr(text)!;
    const gateway = { family: prefix.family, value: prefix.base + 1n };
    return { prefix, gateway, first: gateway.value + 1n, last: lastAddress(prefix).value - 1n };
  });
const owner = (sandboxId: string) => ({ sandboxId, ifName: 'eth0', network: 'the network' });

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/berth-addresses-`);
});
afterEach(() => rmSync(dir, { recursive: true }));

test('reservations have the form of host-local, and outlive the process', async () => {
  const dual = prefixes('10.9.0.0/16', 'fd00:9::/64');
  expect(await book().reserve(dual, owner('sb1'))).toEqual(['10.9.0.2', 'fd00:9::2']);
  expect(readFileSync(`${dir}/berth/fd00:9::2`, 'utf8')).toBe('sb1\r\neth0');
  expect(readFileSync(`${dir}/berth/last_reserved_ip.1`, 'utf8')).toBe('fd00:9::2');
  const next = book();
  expect(await next.reserve(dual, owner('sb2'))).toEqual(['10.9.0.3', 'fd00:9::3']);
  await next.release('sb1');
  await next.release('sb1');
  expect(readdirSync(`${dir}/berth`).filter((name) => !name.startsWith('last'))).toEqual([
    '10.9.0.3',
    'fd00:9::3',
  ]);
});

test('a family that is used up gives back what the other family had got', async () => {
  const small = prefixes('10.9.0.0/24', 'fd00:9::/126');
  const addresses = book();
  expect((await addresses.reserve(small, owner('sb1')))[1]).toBe('fd00:9::2');
  await expect(addresses.reserve(small, owner('sb2'))).rejects.toThrow('fd00:9::/126');
  await addresses.release('sb1');
  expect(readdirSync(`${dir}/berth`).filter((name) => !name.startsWith('last'))).toEqual([]);
});

test('a prefix without room for pods has no address to give', async () => {
  for (const text of ['10.9.0.0/31', '10.9.0.1/32', '10.9.0.0/30', 'fd00::1/128']) {
    const give = () => book().reserve(prefixes(text), owner('sb1'));
    if (text.endsWith('/30')) expect(await give()).toEqual(['10.9.0.2']);
    else await expect(give()).rejects.toThrow('no free address');
  }
});

test('an address that somebody else wrote meanwhile is passed over; orphans and empty records are given back', async () => {
  mkdirSync(`${dir}/berth`);
  const addresses = book();
  writeFileSync(`${dir}/berth/10.9.0.2`, 'other\r\neth0');
  expect(await addresses.reserve(prefixes('10.9.0.0/24'), owner('sb1'))).toEqual(['10.9.0.3']);
  writeFileSync(`${dir}/berth/10.9.0.9`, '');
  writeFileSync(`${dir}/berth/lock`, '');
  const next = book();
  next.releaseOrphans((id) => id === 'sb1');
  expect(readdirSync(`${dir}/berth`).sort()).toEqual(['10.9.0.3', 'last_reserved_ip.0', 'lock']);
});

test('the search goes round, and begins anew in another prefix', async () => {
  const addresses = book();
  const give = (text: string, id: string) => addresses.reserve(prefixes(text), owner(id));
  expect(await give('10.9.0.0/29', 'a')).toEqual(['10.9.0.2']);
  expect(await give('10.9.0.0/29', 'b')).toEqual(['10.9.0.3']);
  await addresses.release('a');
  for (const last of [4, 5, 6, 2]) expect(await give('10.9.0.0/29', `x${last}`)).toEqual([`10.9.0.${last}`]);
  expect(await give('10.10.0.0/24', 'c')).toEqual(['10.10.0.2']);
});

describe('a shared folder', () => {
  const shared = () => new AddressBook(`${dir}/pods`, pino({ level: 'silent' }), true);
  const range = (first: bigint, last: bigint): PodSubnet[] => {
    const prefix = parseCidr('10.9.0.0/24')!;
    const base = prefix.base;
    return [{ prefix, gateway: { family: 4, value: base + 1n }, first: base + first, last: base + last }];
  };
  const names = () =>
    readdirSync(`${dir}/pods`).filter((name) => name !== 'lock' && !name.startsWith('last'));

  test('leaves out the gateway, gives the whole range, and believes what others did meanwhile', async () => {
    const addresses = shared();
    expect(await addresses.reserve(range(1n, 3n), owner('a'))).toEqual(['10.9.0.2']);
    expect(await addresses.reserve(range(1n, 3n), owner('b'))).toEqual(['10.9.0.3']);
    await expect(addresses.reserve(range(1n, 3n), owner('c'))).rejects.toMatchObject({
      kind: 'ResourceExhausted',
    });
    // Another's plugin gives `a` back and takes the address.
    writeFileSync(`${dir}/pods/10.9.0.2`, 'other\r\neth0');
    await addresses.release('a');
    expect(names()).toEqual(['10.9.0.2', '10.9.0.3']);
    rmSync(`${dir}/pods/10.9.0.2`);
    expect(await addresses.reserve(range(1n, 3n), owner('c'))).toEqual(['10.9.0.2']);
    expect(statSync(`${dir}/pods/10.9.0.2`).mode & 0o777).toBe(0o644);
  });

  test('is given back by another book, also when the folder is gone', async () => {
    await shared().reserve(range(0n, 254n), owner('a'));
    expect(names()).toEqual(['10.9.0.0']);
    const other = shared();
    await other.release('a');
    expect(names()).toEqual([]);
    rmSync(`${dir}/pods`, { recursive: true });
    await other.release('a');
  });
});
