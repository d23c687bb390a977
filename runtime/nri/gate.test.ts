import { expect, it, vi } from 'vitest';
import { Gate } from './gate.ts';

/** Work that ends when it is told to. */
function work(name: string, order: string[]) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = async (): Promise<void> => {
    order.push(`${name} begins`);
    await promise;
    order.push(`${name} ends`);
  };
  return { run, end: resolve };
}

it('lets sharers in at once and keeps later ones behind one that waits to be alone', async () => {
  const gate = new Gate();
  const order: string[] = [];
  const [a, b, alone, c] = ['a', 'b', 'alone', 'c'].map((name) => work(name, order));
  const all = [gate.share(a!.run), gate.share(b!.run), gate.alone(alone!.run), gate.share(c!.run)];
  expect(order).toStrictEqual(['a begins', 'b begins']);
  b!.end();
  a!.end();
  await Promise.all(all.slice(0, 2));
  await Promise.resolve();
  expect(order.slice(2)).toStrictEqual(['b ends', 'a ends', 'alone begins']);
  alone!.end();
  await all[2];
  c!.end();
  await Promise.all(all);
  expect(order.slice(5)).toStrictEqual(['alone ends', 'c begins', 'c ends']);
});

it('opens again after work that failed', async () => {
  const gate = new Gate();
  await expect(gate.alone(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(gate.share(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await expect(gate.alone(async () => 1)).resolves.toBe(1);
});

it('does not keep everybody out while somebody cannot leave', async () => {
  vi.useFakeTimers();
  try {
    const gate = new Gate();
    const order: string[] = [];
    const stuck = work('stuck', order);
    const inside = gate.share(stuck.run);
    const alone = gate.alone(async () => order.push('alone'));
    const other = gate.share(async () => order.push('other'));
    await vi.advanceTimersByTimeAsync(1999);
    expect(order).toStrictEqual(['stuck begins']);
    await vi.advanceTimersByTimeAsync(2);
    await other;
    expect(order).toStrictEqual(['stuck begins', 'other']);
    stuck.end();
    await inside;
    await vi.advanceTimersByTimeAsync(500);
    await alone;
    expect(order).toStrictEqual(['stuck begins', 'other', 'stuck ends', 'alone']);
    const unwanted = gate.share(() => new Promise(() => {}));
    const given = gate.alone(
      async () => 1,
      () => false,
    );
    await vi.advanceTimersByTimeAsync(3000);
    await expect(given).resolves.toBeUndefined();
    void unwanted;
  } finally {
    vi.useRealTimers();
  }
});
