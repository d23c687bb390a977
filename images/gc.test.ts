import { describe, expect, it } from 'vitest';
import type { ChainId } from './contract.ts';
import { unneededLayers } from './gc.ts';

const id = (name: string) => name as ChainId;
/** `a<b<c` is a stack with `a` at the bottom. */
const stacks = (...texts: string[]) => [
  ...new Map(
    texts.flatMap((text) => {
      const names = text.split('<');
      return names.map(
        (name, index) =>
          [
            name,
            {
              chainId: id(name),
              parent: index === 0 ? undefined : id(names[index - 1]!),
              usedBytes: 1,
              inodes: 1,
            },
          ] as const,
      );
    }),
  ).values(),
];

describe('unneeded layers', () => {
  it('are those below no root, children before parents', () => {
    const layers = stacks('a<b<c<d', 'a<b<x<y', 'p<q');
    expect(unneededLayers(layers, (chainId) => chainId === 'c').sort()).toEqual(['d', 'p', 'q', 'x', 'y']);
    const order = unneededLayers(layers, () => false);
    expect(order).toHaveLength(8);
    for (const { chainId, parent } of layers)
      if (parent !== undefined) expect(order.indexOf(chainId)).toBeLessThan(order.indexOf(parent));
  });

  it('are none when all are needed, and found in stacks of any height', () => {
    const high = stacks(Array.from({ length: 20_000 }, (_, index) => `l${index}`).join('<'));
    expect(unneededLayers(high, (chainId) => chainId === 'l19999')).toEqual([]);
    expect(unneededLayers(high, () => false)[0]).toBe('l19999');
  });
});
