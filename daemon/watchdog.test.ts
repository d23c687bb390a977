import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ServiceManager } from '#host/service-manager.ts';
import { Watchdog, watchdogPeriodMs } from './watchdog.ts';

const log = pino({ level: 'silent' });

function open(options: { periodMs?: number; check?: () => Promise<void>; isListening?: boolean }) {
  const told: string[] = [];
  const manager = {
    isListening: options.isListening ?? true,
    notify: (...lines: string[]) => told.push(...lines),
  } as unknown as ServiceManager;
  const watchdog = new Watchdog({
    manager,
    periodMs: options.periodMs,
    check: options.check ?? (async () => {}),
    log,
  });
  return { watchdog, told, count: (line: string) => told.filter((entry) => entry === line).length };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the watchdog', () => {
  it('says ready once everything is served, and is fed three times a period', async () => {
    const { watchdog, told, count } = open({ periodMs: 30_000 });
    watchdog.begin();
    expect(told).not.toContain('READY=1');
    watchdog.ready();
    expect(count('READY=1')).toBe(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(count('WATCHDOG=1')).toBe(6);
    watchdog.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(count('WATCHDOG=1')).toBe(6);
    expect(count('STOPPING=1')).toBe(1);
  });

  it('is not fed by a daemon that fails its own check, and is again when it recovers', async () => {
    let isBroken = true;
    const { watchdog, count } = open({
      periodMs: 3000,
      check: async () => {
        if (isBroken) throw new Error('no reply');
      },
    });
    watchdog.begin();
    watchdog.ready();
    await vi.advanceTimersByTimeAsync(9000);
    expect(count('WATCHDOG=1')).toBe(0);
    isBroken = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(count('WATCHDOG=1')).toBe(1);
    watchdog.stop();
  });

  it('gives a long recovery the time it needs, also where there is no watchdog', async () => {
    const { watchdog, told } = open({});
    watchdog.begin();
    await vi.advanceTimersByTimeAsync(45_000);
    expect(told.filter((line) => line.startsWith('EXTEND_TIMEOUT_USEC=')).length).toBe(2);
    watchdog.ready();
    const before = told.length;
    await vi.advanceTimersByTimeAsync(120_000);
    expect(told.slice(before).filter((line) => line.startsWith('EXTEND'))).toEqual([]);
    watchdog.stop();
  });

  it('looks at nothing where nobody listens', async () => {
    let checks = 0;
    const { watchdog } = open({
      periodMs: 1000,
      isListening: false,
      check: async () => {
        checks += 1;
      },
    });
    watchdog.begin();
    watchdog.ready();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(checks).toBe(0);
  });
});

describe('the period', () => {
  it('is taken if it is for this process', () => {
    expect(watchdogPeriodMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, 7)).toBe(30_000);
    expect(watchdogPeriodMs({ WATCHDOG_USEC: '30000000' }, 7)).toBe(30_000);
    expect(watchdogPeriodMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }, 7)).toBeUndefined();
    expect(watchdogPeriodMs({ WATCHDOG_USEC: 'soon' }, 7)).toBeUndefined();
    expect(watchdogPeriodMs({}, 7)).toBeUndefined();
  });
});
