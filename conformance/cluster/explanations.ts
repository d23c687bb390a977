/** Warnings and errors of the daemon's log that the steps provoke. Any other fails the run. */
import type { Explanation } from '../critest/log-review.ts';

export const explanations: readonly Explanation[] = [
  {
    fits: ({ msg }) => /team\/private:1.*authorization failed/.test(msg),
    reason: 'pull-secret pulls without the secret',
  },
  {
    fits: ({ rpc, msg }) => rpc === 'RunPodSandbox' && /handler.*absent/.test(msg),
    reason: 'runtime-class names a handler that there is not',
  },
  {
    fits: ({ rpc, msg }) => rpc === 'GetContainerEvents' && msg.includes('shutting down'),
    reason: 'the kubelet follows events until the daemon ends',
  },
];
