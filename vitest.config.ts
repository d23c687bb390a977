import { defineConfig } from 'vitest/config';

/** How long `expect.poll` waits for what a busy machine is slow to do; what holds is seen at once. */
const expectOptions = { poll: { timeout: 10_000 } };

/** Two kinds of test: `unit` changes nothing on the machine, `root` (x.root.test.ts) does and so runs one file at a time. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          expect: expectOptions,
          include: ['**/*.test.ts'],
          exclude: ['**/*.root.test.ts', 'node_modules/**', '.cache/**'],
          // For a machine of two cores that is busy with other things; no test here takes more than a few seconds.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'root',
          expect: expectOptions,
          include: ['**/*.root.test.ts'],
          exclude: ['node_modules/**', '.cache/**'],
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
