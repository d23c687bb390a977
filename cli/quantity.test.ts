import { expect, test } from 'vitest';
import { formatDuration, formatSize, formatTime, parseDuration, parseSize, parseTime } from './quantity.ts';

test('sizes and times are read as people write them', () => {
  expect(['1000', '1k', '1.5G', '64KiB', '2mb', '10b'].map(parseSize)).toEqual([
    1000,
    1024,
    1.5 * 2 ** 30,
    65536,
    2 ** 21,
    10,
  ]);
  expect(['', 'k', '1x', '-1', '1 2'].map(parseSize)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(['10', '1m30s', '1.5h', '250ms', '2d'].map(parseDuration)).toEqual([
    10_000, 90_000, 5_400_000, 250, 172_800_000,
  ]);
  expect(parseDuration('1 minute')).toBeUndefined();
  expect(parseTime('10m', 1_000_000)).toBe(400_000);
  expect(parseTime('1700000000', 0)).toBe(1_700_000_000_000);
  expect(parseTime('2026-01-31T12:00:00Z', 0)).toBe(Date.UTC(2026, 0, 31, 12));
  expect(parseTime('yesterday', 0)).toBeUndefined();
});

test('and written as people read them', () => {
  expect([0, 999, 1000, 12_345_678, 2 ** 60].map((bytes) => formatSize(bytes))).toEqual([
    '0 B',
    '999 B',
    '1.00 kB',
    '12.3 MB',
    '1153 PB',
  ]);
  expect(formatSize(1536, 1024)).toBe('1.50 KiB');
  expect([500, 1000, 59_999, 3_600_000, 86_400_000 * 13, 86_400_000 * 14].map(formatDuration)).toEqual([
    '0 seconds',
    '1 second',
    '59 seconds',
    '1 hour',
    '13 days',
    '2 weeks',
  ]);
  expect(formatTime(1_700_000_000_123_456_789n)).toBe('2023-11-14T22:13:20.123456789Z');
});
