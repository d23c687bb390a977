import { CgroupDriver } from '#proto/generated/cri.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** The cgroup driver, which the kubelet adopts. */
export function runtimeConfig({ facts }: Pick<CriServices, 'facts'>): UnaryHandler<'RuntimeConfig'> {
  const cgroup_driver = facts.cgroupDriver === 'systemd' ? CgroupDriver.SYSTEMD : CgroupDriver.CGROUPFS;
  return () => ({ linux: { cgroup_driver } });
}
