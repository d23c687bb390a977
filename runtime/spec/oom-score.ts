/** oom_score_adj of a process (proc(5)). */
import { RuntimeError } from '#base/errors.ts';
import type { HostFacts } from './inputs.ts';

/**
 * The value to ask of the OCI runtime: as requested, but not below the daemon's own where the kernel would refuse that
 * (it takes CAP_SYS_RESOURCE) and the container could not be created. Throws InvalidArgument outside -1000..1000.
 */
export function oomScoreAdj(
  requested: number,
  host: Pick<HostFacts, 'ownOomScoreAdj' | 'canLowerOomScore'>,
): number {
  if (!Number.isInteger(requested) || requested < -1000 || requested > 1000) {
    throw new RuntimeError('InvalidArgument', `oom_score_adj ${requested} is outside -1000..1000`);
  }
  return host.canLowerOomScore ? requested : Math.max(requested, host.ownOomScoreAdj);
}
