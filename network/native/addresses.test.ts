import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseCidr } from '../cidr.ts';
import { AddressBook } from './addresses.ts';

let dir: string;
const book = () => new AddressBook(`${dir}/berth`, pino({ level: 'silent' }));
const prefixes = (...texts: string[]) => texts.map((text) => parseCidr(text)!);

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/berth-addresses-`);
});
afterEach(() => rmSync(dir, { recursive: true }));

test('reservations have the form of host-local, and outlive the process', () => {
  const dual = prefixes('10.9.0.0/16', 'fd00:9::/64');
  expect(book().reserve(dual, 'sb1', 'eth0')).toEqual(['10.9.0.2', 'fd00:9::2']);
  expect(readFileSync(`${dir}/berth/fd00:9::2`, 'utf8')).toBe('sb1\r\neth0');
  expect(readFileSync(`${dir}/berth/last_reserved_ip.1`, 'utf8')).toBe('fd00:9::2');
  const next = book();
  expect(next.reserve(dual, 'sb2', 'eth0')).toEqual(['10.9.0.3', 'fd00:9::3']);
  next.release('sb1');
  next.release('sb1');
  expect(readdirSync(`${dir}/berth`).filter((name) => !name.startsWith('last'))).toEqual([
    '10.9.0.3',
    'fd00:9::3',
  ]);
});

test('a family that is used up gives back what the other family had got', () => {
  const small = prefixes('10.9.0.0/24', 'fd00:9::/126');
  const addresses = book();
  expect(addresses.reserve(small, 'sb1', 'eth0')[1]).toBe('fd00:9::2');
  expect(() => addresses.reserve(small, 'sb2', 'eth0')).toThrow('fd00:9::/126');
  addresses.release('sb1');
  expect(readdirSync(`${dir}/berth`).filter((name) => !name.startsWith('last'))).toEqual([]);
});

test('a prefix without room for pods has no address to give', () => {
  for (const text of ['10.9.0.0/31', '10.9.0.1/32', '10.9.0.0/30', 'fd00::1/128']) {
    const give = () => book().reserve(prefixes(text), 'sb1', 'eth0');
    if (text.endsWith('/30')) expect(give()).toEqual(['10.9.0.2']);
    else expect(give).toThrow('no free address');
  }
});

test('an address that somebody else wrote meanwhile is passed over; orphans and empty records are given back', () => {
  mkdirSync(`${dir}/berth`);
  const addresses = book();
  writeFileSync(`${dir}/berth/10.9.0.2`, 'other\r\neth0');
  expect(addresses.reserve(prefixes('10.9.0.0/24'), 'sb1', 'eth0')).toEqual(['10.9.0.3']);
  writeFileSync(`${dir}/berth/10.9.0.9`, '');
  writeFileSync(`${dir}/berth/lock`, '');
  const next = book();
  next.releaseOrphans((id) => id === 'sb1');
  expect(readdirSync(`${dir}/berth`).sort()).toEqual(['10.9.0.3', 'last_reserved_ip.0', 'lock']);
});

test('the search goes round, and begins anew in another prefix', () => {
  const addresses = book();
  const give = (text: string, id: string) => addresses.reserve(prefixes(text), id, 'eth0')[0];
  expect(give('10.9.0.0/29', 'a')).toBe('10.9.0.2');
  expect(give('10.9.0.0/29', 'b')).toBe('10.9.0.3');
  addresses.release('a');
  for (const last of [4, 5, 6, 2]) expect(give('10.9.0.0/29', `x${last}`)).toBe(`10.9.0.${last}`);
  expect(give('10.10.0.0/24', 'c')).toBe('10.10.0.2');
});
