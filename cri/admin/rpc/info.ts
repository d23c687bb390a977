import type { AdminUnary } from '../method.ts';
import type { AdminServices } from '../services.ts';

/** What this daemon is and where it keeps things. */
export function info({ facts, node }: Pick<AdminServices, 'facts' | 'node'>): AdminUnary<'Info'> {
  return () => ({
    version: facts.version,
    root_dir: node.rootDir,
    state_dir: facts.stateDir,
    log_root: node.logRoot,
    cgroup_driver: facts.cgroupDriver,
    cgroup_version: node.cgroupVersion,
    snapshotter: node.snapshotter,
    handlers: facts.handlers.map(({ name, isDefault }) => ({ name, is_default: isDefault })),
    program_versions: facts.programVersions,
    pid: process.pid,
    started_at: node.startedAtNs,
    configuration: JSON.stringify(facts.configuration),
  });
}
