import { describe, expect, test } from 'vitest';
import { compareRounds, median, percentile, summarize } from './statistics.ts';

describe('statistics', () => {
  test('median takes the middle, and the mean of two middles', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  test('percentile is by nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(percentile(hundred, 95)).toBe(95);
    expect(percentile([7], 95)).toBe(7);
  });

  test('drift of the machine cancels in ratios of rounds', () => {
    // Both slow down by ten in the second round.
    expect(
      compareRounds(
        [[1, 1], [10]],
        [
          [2, 2],
          [20, 20],
        ],
      ),
    ).toEqual({ median: 0.5, min: 0.5, max: 0.5 });
  });

  test('rounds that one side lacks do not count', () => {
    expect(compareRounds([[1], []], [[4], [5]])?.median).toBe(0.25);
    expect(compareRounds([[1]], [])).toBeUndefined();
    expect(summarize([[], []])).toBeUndefined();
  });
});
