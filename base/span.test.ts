import { afterEach, expect, test } from 'vitest';
import { areSpansWatched, type Span, span, watchSpans } from './span.ts';
import { step } from './step.ts';

afterEach(() => watchSpans());

test('without a watcher, work just runs', async () => {
  expect(await span('cni', 'ADD', () => 1)).toBe(1);
  await expect(span('cni', 'ADD', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
});

test('watchers see steps and spans with their results, the first one outermost', async () => {
  const seen: string[] = [];
  const watch =
    (who: string) =>
    async <T>({ kind, name, attributes }: Span, work: () => Promise<T>): Promise<T> => {
      seen.push(`${who} begins ${kind} ${name} ${JSON.stringify(attributes)}`);
      try {
        return await work();
      } finally {
        seen.push(`${who} ends ${name}`);
      }
    };
  watchSpans(watch('metrics'), watch('traces'));
  const failing = step('run-sandbox/attach-network', () =>
    span('cni', 'ADD', () => Promise.reject(new Error('no address')), { plugin: 'bridge' }),
  );
  await expect(failing).rejects.toThrow('no address');
  expect(seen).toEqual([
    'metrics begins step run-sandbox/attach-network {}',
    'traces begins step run-sandbox/attach-network {}',
    'metrics begins cni ADD {"plugin":"bridge"}',
    'traces begins cni ADD {"plugin":"bridge"}',
    'traces ends ADD',
    'metrics ends ADD',
    'traces ends run-sandbox/attach-network',
    'metrics ends run-sandbox/attach-network',
  ]);
});

test('a watcher is not asked about kinds that it ignores, and the others still are', async () => {
  const seen: string[] = [];
  const watch =
    (who: string) =>
    async <T>({ kind }: Span, work: () => Promise<T>): Promise<T> => {
      seen.push(`${who} ${kind}`);
      return work();
    };
  watchSpans(Object.assign(watch('metrics'), { ignored: ['rpc'] as const }));
  expect([areSpansWatched('rpc'), areSpansWatched('step')]).toEqual([false, true]);
  watchSpans(Object.assign(watch('metrics'), { ignored: ['rpc'] as const }), watch('traces'));
  expect(areSpansWatched('rpc')).toBe(true);
  await span('rpc', 'Version', () => span('cni', 'ADD', () => 1));
  expect(seen).toEqual(['traces rpc', 'metrics cni', 'traces cni']);
});
