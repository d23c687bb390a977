import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parseNetDev, readVethPeer } from './net-stats.ts';

it('reads /proc/net/dev, also when a number touches the name', () => {
  const text = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 69661129   16253    0    0    0     0          0         0 69661129   16253    0    0    0     0       0          0
  eth0:486842013   18058    1    2    0     0          0         0  1400954   12779    3    4    0     0       0          0
`;
  expect(parseNetDev(text).map((each) => each.name)).toEqual(['lo', 'eth0']);
  expect(parseNetDev(text)[1]).toEqual({
    name: 'eth0',
    rxBytes: 486842013n,
    rxPackets: 18058n,
    rxErrors: 1n,
    rxDropped: 2n,
    txBytes: 1400954n,
    txPackets: 12779n,
    txErrors: 3n,
    txDropped: 4n,
  });
});

it('turns the counters of the near end of a veth pair round, and knows a bridge from one', () => {
  const sysfs = mkdtempSync(join(tmpdir(), 'net-stats-'));
  try {
    const place = (name: string, ifindex: string, iflink: string) => {
      mkdirSync(join(sysfs, name, 'statistics'), { recursive: true });
      writeFileSync(join(sysfs, name, 'ifindex'), ifindex);
      writeFileSync(join(sysfs, name, 'iflink'), iflink);
      writeFileSync(join(sysfs, name, 'statistics/rx_bytes'), '100\n');
      writeFileSync(join(sysfs, name, 'statistics/tx_bytes'), '200\n');
    };
    place('veth1', '7\n', '2\n');
    place('berth0', '3\n', '3\n');
    expect(readVethPeer('veth1', 'eth0', sysfs)).toMatchObject({
      name: 'eth0',
      rxBytes: 200n,
      txBytes: 100n,
    });
    expect(readVethPeer('berth0', 'eth0', sysfs)).toBeUndefined();
    expect(readVethPeer('absent', 'eth0', sysfs)).toBeUndefined();
    expect(readVethPeer('../veth1', 'eth0', sysfs)).toBeUndefined();
  } finally {
    rmSync(sysfs, { recursive: true });
  }
});
