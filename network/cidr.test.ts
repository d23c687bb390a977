import { describe, expect, test } from 'vitest';
import { contains, formatAddress, formatCidr, overlaps, parseAddress, parseCidr } from './cidr.ts';

describe('addresses', () => {
  test.each([
    ['10.88.0.1', '10.88.0.1'],
    ['::1', '::1'],
    ['fd00:0:0:1::2', 'fd00:0:0:1::2'],
    ['FD00:0000::00AB', 'fd00::ab'],
    ['::ffff:10.1.2.3', '::ffff:10.1.2.3'],
  ])('%s is written %s', (text, written) => {
    expect(formatAddress(parseAddress(text)!)).toBe(written);
  });

  test.each(['', '10.1', '10.1.2.256', 'fe80::1%eth0', 'pod'])('%j is no address', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe('prefixes', () => {
  test.each([
    ['10.88.3.4/16', '10.88.0.0/16'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['fd00:1:2:3:4::5/64', 'fd00:1:2:3::/64'],
    ['10.0.0.7/32', '10.0.0.7/32'],
  ])('%s lies in %s', (text, written) => {
    expect(formatCidr(parseCidr(text)!)).toBe(written);
  });

  test.each(['10.0.0.0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/x', '/8'])('%j is no prefix', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  test.each([
    ['10.88.0.0/16', '10.88.7.0/24', true],
    ['10.88.0.0/16', '10.0.0.0/8', true],
    ['10.88.0.0/16', '10.89.0.0/16', false],
    ['fd00::/8', 'fd12:3456::/64', true],
    ['0.0.0.0/0', '::/0', false],
  ])('%s and %s overlap: %s', (one, other, expected) => {
    expect(overlaps(parseCidr(one)!, parseCidr(other)!)).toBe(expected);
  });

  test('contains its addresses and no other family', () => {
    expect(contains(parseCidr('10.88.0.0/16')!, parseAddress('10.88.255.255')!)).toBe(true);
    expect(contains(parseCidr('10.88.0.0/16')!, parseAddress('10.89.0.0')!)).toBe(false);
    expect(contains(parseCidr('0.0.0.0/0')!, parseAddress('::1')!)).toBe(false);
  });
});
