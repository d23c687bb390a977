import { expect, test } from 'vitest';
import {
  extrasOf,
  hasNoNetwork,
  hostLinesOf,
  hostsAnnotation,
  initAnnotation,
  managedByLabel,
  networkAnnotation,
  onExitLabel,
  onExitOf,
  shmBytesOf,
  shmSizeAnnotation,
} from './managed-pod.ts';

test('a pod of a kubelet is never managed, whatever its author wrote', () => {
  const own = { [managedByLabel]: 'berth', [onExitLabel]: 'remove' };
  const annotations = {
    [networkAnnotation]: 'none',
    [initAnnotation]: 'true',
    [shmSizeAnnotation]: '1000000000000',
    [hostsAnnotation]: '["192.0.2.1 name"]',
  };
  const lookAt = (labels: Readonly<Record<string, string>>) => [
    onExitOf(labels),
    hasNoNetwork(labels, annotations),
    extrasOf(labels, annotations)?.hasInit,
    shmBytesOf(labels, annotations),
    hostLinesOf(labels, annotations),
  ];
  expect(lookAt(own)).toEqual(['remove', true, true, 1e12, ['192.0.2.1 name']]);
  // Every kubelet gives its pods this label, over those of the manifest.
  expect(lookAt({ ...own, 'io.kubernetes.pod.uid': 'x' })).toEqual([
    undefined,
    false,
    undefined,
    undefined,
    [],
  ]);
});
