import { expect, test } from 'vitest';
import { layerLine } from './transfer-display.ts';

test('a layer has a bar, its rate and the time left, and fits the line', () => {
  const layer = {
    digest: `sha256:${'a1'.repeat(32)}`,
    size_bytes: 10_000_000n,
    done_bytes: 2_500_000n,
    state: 'transferring',
  };
  expect(layerLine(layer, 500_000, 200)).toBe(
    'a1a1a1a1a1a1 [=====>                  ]  25%  2.50 MB/10.0 MB  500 kB/s  15 seconds left',
  );
  expect(layerLine(layer, undefined, 30)).toHaveLength(30);
  expect(layerLine({ ...layer, state: 'done' }, undefined, 200)).toBe('a1a1a1a1a1a1  done (10.0 MB)');
  expect(layerLine({ ...layer, done_bytes: 99_000_000n }, undefined, 200)).toContain('100%');
  expect(layerLine({ ...layer, size_bytes: 0n, done_bytes: 0n }, undefined, 200)).toContain('100%');
});
