import { describe, expect, it } from 'vitest';
import { flatValue, readKernelFile, wholeNumber } from './kernel-file.ts';

describe('flatValue', () => {
  const stat = 'cache 1\ntotal_inactive_file 90062848\ninactive_file 4096\npgfault 7';

  it('finds a key only at the start of a line', () => {
    expect(flatValue(stat, 'inactive_file')).toBe(4096n);
    expect(flatValue(stat, 'total_inactive_file')).toBe(90062848n);
    expect(flatValue(stat, 'cache')).toBe(1n);
    expect(flatValue(stat, 'pgfault')).toBe(7n);
  });

  it('knows nothing of an absent key', () => {
    expect(flatValue(stat, 'file')).toBeUndefined();
    expect(flatValue('', 'file')).toBeUndefined();
  });
});

describe('wholeNumber', () => {
  it('takes numbers and refuses max, negative ones and nothing', () => {
    expect(wholeNumber('18446744073709551615\n')).toBe(18446744073709551615n);
    for (const text of ['max', '-1', '', '1.5', undefined]) expect(wholeNumber(text)).toBeUndefined();
  });
});

describe('readKernelFile', () => {
  it('reads a file of records that is longer than a page to its end', () => {
    const text = readKernelFile('/proc/kallsyms') ?? readKernelFile('/proc/self/smaps')!;
    expect(text.length).toBeGreaterThan(4096);
    expect(text.endsWith('\n')).toBe(true);
  });

  it('says undefined for what is not there or cannot be read', () => {
    expect(readKernelFile('/proc/self/no-such-file')).toBeUndefined();
    expect(readKernelFile('/proc')).toBeUndefined();
  });
});
