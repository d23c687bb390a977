/**
 * Asks the plugins of pods' networks whether what ADD made is still as it was (CNI SPEC, section CHECK), and the kernel for what
 * Berth attached itself. It needs no daemon: debts and libcni's cache have all that a plugin is asked with.
 */
import { isRuntimeError, messageOf } from '#base/errors.ts';
import type { Finding } from '#base/finding.ts';
import type { PodNetwork } from './pod-network.ts';

/** Plugins of so many pods run side by side. */
const atOnce = 4;

/** What is wrong with the attachments of these sandboxes, each in its plugin's words. Never rejects. */
export async function checkAttachments(
  network: Pick<PodNetwork, 'check'>,
  sandboxIds: readonly string[],
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const waiting = [...sandboxIds];
  const work = async (): Promise<void> => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      try {
        await network.check(id);
      } catch (error) {
        // One without a debt is told as that; see audit.ts.
        if (isRuntimeError(error, 'NotFound') && error.details?.plugin === undefined) continue;
        const path = messageOf(error).replace(/\s+/g, ' ');
        const mend = 'remove the pod; the kubelet makes another';
        findings.push({ kind: 'missing', what: 'network attachment', id, path, mend });
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return findings;
}
