import { expect, test } from 'vitest';
import type { Standstill } from '../faults/pulse.ts';
import { judge, type Stall } from './stall.ts';

const none = { program: 0, disk: 0, mount: 0, network: 0, 'control group': 0 };
const all = { program: 12_000, disk: 12_000, mount: 12_000, network: 12_000, 'control group': 12_000 };

/** One of twelve seconds. */
const stall = (more: Partial<Stall>): Stall => ({
  fromMs: 1000,
  toMs: 13_000,
  code: 'OK',
  seen: {},
  cpuMs: 0,
  readyMs: 0,
  standstills: [],
  controlsWaitedMs: none,
  fuzzerWaitedMs: 0,
  ...more,
});

const standstill: Standstill = {
  what: 'event loop',
  fromMs: 1000,
  forMs: 12_000,
  cpuMs: 11_000,
  readyMs: 0,
  stolenMs: 0,
  seen: {},
  places: ['parse cri/a.ts:1', 'run cri/b.ts:2'],
  loopDelayMs: { p50: 50, p99: 60, max: 12_000 },
};

test('a call that is lost while the daemon sleeps is its own, whatever else waits', () => {
  const asleep = { seen: { 'S do_epoll_wait < __x64_sys_epoll_pwait': 40 }, controlsWaitedMs: all };
  expect(judge(stall(asleep))).toMatchObject({ whose: 'daemon', ownMs: 12_000 });
  expect(judge(stall({ controlsWaitedMs: all })).whose).toBe('daemon');
});

test('a main thread that computes is the daemon’s, and what it was at is said', () => {
  const verdict = judge(stall({ cpuMs: 11_000, readyMs: 1000, standstills: [standstill] }));
  expect(verdict).toEqual({
    whose: 'daemon',
    ownMs: 11_000,
    why: expect.stringContaining('gone on in parse cri/a.ts:1'),
  });
});

test('a main thread that is given no processor is the machine’s, unless what is left is a stall as well', () => {
  expect(judge(stall({ cpuMs: 1000, readyMs: 10_900 }))).toMatchObject({ whose: 'machine', ownMs: 1100 });
  expect(judge(stall({ cpuMs: 3000, readyMs: 9000 }))).toMatchObject({ whose: 'daemon', ownMs: 3000 });
});

test('a wait in the kernel is the machine’s as far as the control for the like waited', () => {
  const judged = (seen: Stall['seen'], controls: Partial<Stall['controlsWaitedMs']>) =>
    judge(stall({ seen, controlsWaitedMs: { ...none, ...controls } })).whose;
  const onDisk = 'D jbd2_log_wait_commit < ext4_sync_file < __x64_sys_fsync';
  expect(judged({ [onDisk]: 93, 'R ': 3 }, { disk: 11_000 })).toBe('machine');
  expect(judged({ [onDisk]: 93, 'R ': 3 }, { disk: 3000, network: 12_000 })).toBe('daemon');
  expect(judged({ [onDisk]: 50, 'R ': 46 }, { disk: 11_000 })).toBe('daemon');
  expect(judged({ 'D rtnl_lock < netlink_sendmsg': 100 }, { network: 12_000 })).toBe('machine');
  expect(judged({ 'S unix_wait_for_peer < unix_stream_connect < __sys_connect': 100 }, all)).toBe('daemon');
  expect(judged({ 'T do_signal_stop < get_signal': 40 }, all)).toBe('daemon');
});

test('a fuzzer that does not go on itself blames nobody', () => {
  expect(judge(stall({ fuzzerWaitedMs: 11_000 })).whose).toBe('fuzzer');
});
