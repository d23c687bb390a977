/** Which CDI devices a container asks for, by name. */
import { RuntimeError } from '#base/errors.ts';
import type { ContainerConfig } from '../container/config.ts';

const annotationPrefix = 'cdi.k8s.io/';

/** `vendor/class`: each starts with a letter, ends with a letter or digit (CDI SPEC.md, Kind). */
export const kindPattern = /^([A-Za-z](?:[\w.-]*[A-Za-z0-9])?)\/([A-Za-z](?:[\w.-]*[A-Za-z0-9])?)$/;
/** Starts and ends with a letter or digit (CDI SPEC.md, CDI Devices). */
export const deviceNamePattern = /^[A-Za-z0-9](?:[\w.:-]*[A-Za-z0-9])?$/;

/**
 * Names `vendor/class=device` in the order of the request, each once: its CDI_devices, then the lists in its annotations
 * `cdi.k8s.io/*`, by which device plugins asked before the CRI had a field. Only the container's own annotations count,
 * which the kubelet makes; whoever writes a pod could otherwise help himself to devices. Throws InvalidArgument for a
 * name that is none.
 */
export function requestedCdiDevices(
  config: Pick<ContainerConfig, 'cdiDevices' | 'annotations'>,
): readonly string[] {
  const names = new Set<string>();
  for (const name of config.cdiDevices) names.add(checked(name, 'CDI_devices'));
  for (const [key, value] of Object.entries(config.annotations)) {
    if (!key.startsWith(annotationPrefix)) continue;
    for (const name of value.split(',')) names.add(checked(name, `annotation ${key}`));
  }
  return [...names];
}

function checked(name: string, where: string): string {
  const equals = name.indexOf('=');
  if (kindPattern.test(name.slice(0, equals)) && deviceNamePattern.test(name.slice(equals + 1))) return name;
  throw new RuntimeError(
    'InvalidArgument',
    `${where}: ${JSON.stringify(name)} does not have the form vendor/class=device`,
  );
}
