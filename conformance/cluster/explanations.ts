/** Warnings and errors of the daemon's log that the steps provoke. Any other fails the run. */
import type { Explanation } from '../critest/log-review.ts';

export const explanations: readonly Explanation[] = [
  {
    fits: ({ msg }) => msg === 'ending a program of an earlier daemon',
    reason:
      'berthd-killed kills the daemon in the middle of its work, and the next one ends what that had started',
  },
  {
    fits: ({ msg }) => /team\/private:1.*authorization failed/.test(msg),
    reason: 'pull-secret pulls without the secret',
  },
];
