import { expect, it } from 'vitest';
import { parsePressure } from './pressure.ts';

it('reads both lines of a pressure file, microseconds as nanoseconds', () => {
  expect(
    parsePressure(
      'some avg10=0.38 avg60=0.64 avg300=2.32 total=109858005\nfull avg10=0.00 avg60=0.06 avg300=100.00 total=12\n',
    ),
  ).toEqual({
    some: { avg10: 0.38, avg60: 0.64, avg300: 2.32, totalNs: 109858005000n },
    full: { avg10: 0, avg60: 0.06, avg300: 100, totalNs: 12000n },
  });
});

it('does without the full line, which older kernels do not have for cpu', () => {
  expect(parsePressure('some avg10=1.00 avg60=2.00 avg300=3.00 total=4\n')).toEqual({
    some: { avg10: 1, avg60: 2, avg300: 3, totalNs: 4000n },
    full: undefined,
  });
  expect(parsePressure('')).toBeUndefined();
});
