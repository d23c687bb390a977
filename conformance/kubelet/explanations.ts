/** Warnings and errors of the daemon's log that the scenarios provoke. Any other fails the run. */
import type { Explanation } from '../critest/log-review.ts';

export const explanations: readonly Explanation[] = [
  {
    fits: ({ msg }) => msg === 'ending a program of an earlier daemon',
    reason:
      'berthd-killed kills the daemon in the middle of its work, and the next one ends what that had started',
  },
  {
    fits: ({ msg }) => /^(PullImage failed: |pulling )\S*.*(no-such-image|registry\.invalid)/.test(msg),
    reason: 'image-pull names images that do not exist',
  },
  {
    fits: ({ msg }) => /team\/private:1.*authorization failed/.test(msg),
    reason: 'private-image pulls without the password',
  },
  {
    fits: ({ msg }) => msg.startsWith('the namespaces of a sandbox are gone'),
    reason: 'reboot takes the namespaces away',
  },
  {
    fits: ({ level, msg }) => level === 40 && msg.includes('no space or no inodes left on the disk'),
    reason: 'disk-full leaves not a byte on the image disk',
  },
  {
    fits: ({ rpc, msg }) => rpc === 'GetContainerEvents' && msg.includes('shutting down'),
    reason: 'the kubelet follows events until the daemon ends',
  },
];
