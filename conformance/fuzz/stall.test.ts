import { expect, test } from 'vitest';
import type { Standstill } from '../faults/pulse.ts';
import { judge, type Stall } from './stall.ts';

const standstill = (more: Partial<Standstill>): Standstill => ({
  what: 'event loop',
  fromMs: 1000,
  forMs: 12_000,
  cpuMs: 0,
  readyMs: 0,
  stolenMs: 0,
  seen: {},
  places: ['removeRecord network/record-file.ts:50'],
  loopDelayMs: { p50: 50, p99: 60, max: 12_000 },
  ...more,
});

const none = { program: 0, disk: 0, mount: 0, network: 0, 'control group': 0 };
const stall = (standstills: Standstill[], more: Partial<Stall> = {}): Stall => ({
  fromMs: 1000,
  toMs: 13_000,
  code: 'OK',
  seen: {},
  standstills,
  controlsWaitedMs: none,
  fuzzerWaitedMs: 0,
  ...more,
});

test('a call that is lost while the event loop goes on is the daemon’s, whatever else waits', () => {
  const controlsWaitedMs = { ...none, disk: 12_000, program: 12_000 };
  expect(judge(stall([], { controlsWaitedMs })).whose).toBe('daemon');
  expect(judge(stall([standstill({ forMs: 3000, readyMs: 3000 })])).whose).toBe('daemon');
  expect(judge(stall([standstill({ what: 'thread pool' })])).whose).toBe('daemon');
});

test('a main thread that computes is the daemon’s, one that is given no processor the machine’s', () => {
  const busy = judge(stall([standstill({ cpuMs: 11_000, readyMs: 1000, places: ['parse a.ts:1'] })]));
  expect(busy).toEqual({ whose: 'daemon', why: expect.stringContaining('parse a.ts:1') });
  expect(judge(stall([standstill({ cpuMs: 1000, readyMs: 11_000 })])).whose).toBe('machine');
  expect(judge(stall([standstill({ cpuMs: 6000, readyMs: 6000 })])).whose).toBe('daemon');
});

test('a wait in the kernel is the machine’s only if it was one wait, and the control for the like waited as long', () => {
  const whose = (seen: Stall['seen'], controls: Partial<Stall['controlsWaitedMs']>) =>
    judge(stall([standstill({})], { seen, controlsWaitedMs: { ...none, ...controls } })).whose;
  const onDisk = 'D jbd2_log_wait_commit < ext4_sync_file < __x64_sys_fsync';
  expect(whose({ [onDisk]: 90, 'R ': 3 }, { disk: 11_000 })).toBe('machine');
  expect(whose({ [onDisk]: 90, 'R ': 3 }, { disk: 3000, network: 12_000 })).toBe('daemon');
  expect(whose({ [onDisk]: 50, 'R ': 43 }, { disk: 11_000 })).toBe('daemon');
  expect(whose({ 'D rtnl_lock < netlink_sendmsg': 100 }, { network: 12_000 })).toBe('machine');
  const all = { program: 12_000, disk: 12_000, mount: 12_000, network: 12_000, 'control group': 12_000 };
  expect(whose({ 'S unix_wait_for_peer < unix_stream_connect < __sys_connect': 100 }, all)).toBe('daemon');
  expect(whose({ 'T do_signal_stop < get_signal': 40 }, all)).toBe('daemon');
  expect(whose({}, all)).toBe('daemon');
});

test('a fuzzer that does not go on itself blames nobody', () => {
  expect(judge(stall([], { fuzzerWaitedMs: 11_000 })).whose).toBe('fuzzer');
});
