import { expect, it } from 'vitest';
import { CpuRates } from './cpu-rate.ts';

const second = 1_000_000_000n;

it('has no rate at the first question and the rate since then at the next', () => {
  const rates = new CpuRates();
  expect(rates.observe('a', 10n * second, 5n * second)).toBeUndefined();
  expect(rates.observe('a', 12n * second, 6n * second)).toBe(500_000_000n);
  expect(rates.observe('a', 13n * second, 8n * second)).toBe(2_000_000_000n);
  expect(rates.observe('b', 13n * second, 8n * second)).toBeUndefined();
});

it('repeats the last rate when asked again at once instead of measuring a moment', () => {
  const rates = new CpuRates();
  rates.observe('a', 0n, 0n);
  expect(rates.observe('a', 2n * second, second)).toBe(500_000_000n);
  expect(rates.observe('a', 2n * second + 1000n, 9n * second)).toBe(500_000_000n);
});

it('begins anew when usage went down or the last question was long ago', () => {
  const rates = new CpuRates();
  rates.observe('a', 0n, 5n * second);
  expect(rates.observe('a', 2n * second, second)).toBeUndefined();
  expect(rates.observe('a', 3n * second, 2n * second)).toBe(second);
  expect(rates.observe('a', 400n * second, 3n * second)).toBeUndefined();
});

it('forgets a subject', () => {
  const rates = new CpuRates();
  rates.observe('a', 0n, 0n);
  rates.forget('a');
  expect(rates.size).toBe(0);
});
