import { expect, test } from 'vitest';
import type { Log } from './log.ts';
import { UndoList } from './undo.ts';

const log = { warn: () => {} } as unknown as Log;

test('steps are undone newest first, also behind one that fails, and the failure is told', async () => {
  const undo = new UndoList(log);
  const seen: string[] = [];
  undo.add('first', () => void seen.push('first'));
  undo.add('broken', async () => {
    seen.push('broken');
    throw new Error('stuck');
  });
  undo.add('last', async () => void seen.push('last'));
  expect(await undo.run()).toMatchObject([{ name: 'broken', error: { message: 'stuck' } }]);
  expect(seen).toEqual(['last', 'broken', 'first']);
  // Once is enough.
  expect(await undo.run()).toEqual([]);
});

test('what is committed stays', async () => {
  const undo = new UndoList(log);
  undo.add('never', () => {
    throw new Error('undone');
  });
  undo.commit();
  expect(await undo.run()).toEqual([]);
});
