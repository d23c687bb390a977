import { expect, it } from 'vitest';
import { podCgroup } from './pod-cgroup.ts';

it('finds the pod cgroup of either driver', () => {
  expect(podCgroup('/kubepods/burstable/pod1')).toBe('/kubepods/burstable/pod1');
  expect(podCgroup('kubepods/pod1/')).toBe('/kubepods/pod1');
  const slice = '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice';
  expect(podCgroup(slice)).toBe(slice);
  expect(podCgroup('kubepods-burstable-pod1.slice')).toBe(slice);
});

it('has none for the root, for nothing and for a path that climbs', () => {
  for (const parent of ['', '/', '-.slice', '/a/../..']) expect(podCgroup(parent)).toBeUndefined();
});
