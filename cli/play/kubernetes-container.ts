/** A container of a manifest as a plan. */
import { resolve } from 'node:path';
import { nearestName } from '#daemon/config/nearest-name.ts';
import { type LinuxContainerResourcesInit, MountPropagation } from '#proto/generated/cri.ts';
import { checkFieldPath, fieldValue, type Identity, resourceValue } from './downward.ts';
import type { PodPlace } from './key-stores.ts';
import type { ManifestContainer, PodSpec, PullPolicy } from './manifest.ts';
import type { ContainerPlan, EnvironmentEntry, PullWhen, VolumePlan } from './plan.ts';
import { toSecurity } from './security.ts';
import { parseQuantity } from './shape.ts';

const cpuPeriodUs = 100_000;

interface ContainerToBe {
  readonly container: ManifestContainer;
  readonly role: ContainerPlan['role'];
  readonly spec: PodSpec;
  readonly identity: Identity;
  readonly volumes: Readonly<Record<string, VolumePlan>>;
}

export function toContainer(
  { container, role, spec, identity, volumes }: ContainerToBe,
  at: PodPlace,
): ContainerPlan {
  const pod = spec.securityContext ?? {};
  const own = container.securityContext ?? {};
  const mustNotBeRoot = own.runAsNonRoot ?? pod.runAsNonRoot ?? false;
  if (mustNotBeRoot && (own.runAsUser ?? pod.runAsUser) === 0)
    at.source.problem(
      [...at.path, 'securityContext', 'runAsUser'],
      'user 0 is root, and runAsNonRoot forbids it',
    );
  return {
    name: container.name,
    fullName: `${identity.name}/${container.name}`,
    role,
    image: container.image,
    pull: toPull(container.imagePullPolicy),
    command: container.command ?? [],
    args: container.args ?? [],
    expandsVariables: true,
    workingDir: container.workingDir ?? '',
    environment: toEnvironment(container, spec, identity, at),
    mounts: toMounts(container, volumes, at),
    resources: toResources(container),
    security: toSecurity(own, pod, resolve(at.folder, 'seccomp')),
    pidsLimit: undefined,
    mustNotBeRoot,
    stdin: container.stdin === true,
    stdinOnce: container.stdinOnce === true,
    tty: container.tty === true,
    stopSignal: 0,
  };
}

/** What is here is kept unless Always is said, also with the tag latest: nothing is fetched that nobody asked for. */
export function toPull(policy: PullPolicy | undefined): PullWhen {
  return policy === 'Always' ? 'always' : policy === 'Never' ? 'never' : 'missing';
}

function toEnvironment(
  container: ManifestContainer,
  spec: PodSpec,
  identity: Identity,
  at: PodPlace,
): EnvironmentEntry[] {
  const found: EnvironmentEntry[] = [];
  for (const [index, { prefix = '', configMapRef, secretRef }] of (container.envFrom ?? []).entries())
    for (const [kind, ref] of [
      ['configMaps', configMapRef],
      ['secrets', secretRef],
    ] as const) {
      if (ref === undefined) continue;
      const keys = at.stores.find(kind, ref, { ...at, path: [...at.path, 'envFrom', index] });
      for (const [key, value] of keys ?? [])
        found.push({ name: `${prefix}${key}`, value: () => value.toString() });
    }
  for (const [index, { name, value, valueFrom }] of (container.env ?? []).entries()) {
    const path = [...at.path, 'env', index];
    const place = { ...at, path: [...path, 'valueFrom'] };
    if (name === '' || name.includes('='))
      at.source.problem(path, `${JSON.stringify(name)} is no name of a variable`);
    if (valueFrom === undefined) found.push({ name, value: () => value ?? '' });
    else if (valueFrom.fieldRef !== undefined) {
      checkFieldPath(valueFrom.fieldRef.fieldPath, 'env', place);
      const { fieldPath } = valueFrom.fieldRef;
      found.push({ name, value: (facts) => fieldValue(fieldPath, identity, facts) });
    } else if (valueFrom.resourceFieldRef !== undefined) {
      const late = resourceValue(valueFrom.resourceFieldRef, spec, container.name, place);
      if (late !== undefined) found.push({ name, value: late });
    } else {
      const [kind, ref] = valueFrom.secretKeyRef
        ? (['secrets', valueFrom.secretKeyRef] as const)
        : (['configMaps', valueFrom.configMapKeyRef] as const);
      if (ref === undefined) at.source.problem(place.path, 'it says no source');
      const content = ref === undefined ? undefined : at.stores.findKey(kind, ref, place);
      if (content !== undefined) found.push({ name, value: () => content.toString() });
    }
  }
  return found;
}

function toMounts(
  container: ManifestContainer,
  volumes: Readonly<Record<string, VolumePlan>>,
  at: PodPlace,
): ContainerPlan['mounts'] {
  const propagations = {
    None: MountPropagation.PROPAGATION_PRIVATE,
    HostToContainer: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
    Bidirectional: MountPropagation.PROPAGATION_BIDIRECTIONAL,
  } as const;
  return (container.volumeMounts ?? []).map((mount, index) => {
    const path = [...at.path, 'volumeMounts', index];
    if (!Object.hasOwn(volumes, mount.name)) {
      const near = nearestName(mount.name, Object.keys(volumes));
      at.source.problem(
        [...path, 'name'],
        `the pod has no volume ${mount.name}${near === undefined ? '' : `, did you mean ${near}?`}`,
      );
    }
    if (!mount.mountPath.startsWith('/') || mount.mountPath.includes(':'))
      at.source.problem([...path, 'mountPath'], `${mount.mountPath} is no absolute path`);
    const subPath = mount.subPathExpr ?? mount.subPath ?? '';
    if (subPath.startsWith('/') || subPath.split('/').includes('..'))
      at.source.problem(
        [...path, mount.subPathExpr === undefined ? 'subPath' : 'subPathExpr'],
        `${subPath} leads out of the volume`,
      );
    if (mount.mountPropagation === 'Bidirectional' && container.securityContext?.privileged !== true)
      at.source.problem([...path, 'mountPropagation'], 'Bidirectional needs a privileged container');
    return {
      volume: mount.name,
      path: mount.mountPath,
      subPath,
      expandsSubPath: mount.subPathExpr !== undefined,
      isReadOnly: mount.readOnly === true,
      isRecursivelyReadOnly:
        mount.readOnly === true && (mount.recursiveReadOnly ?? 'Disabled') !== 'Disabled',
      propagation: propagations[mount.mountPropagation ?? 'None'],
    };
  });
}

/** As a kubelet reckons: requests of CPU are shares, limits quota (`pkg/kubelet/cm/helpers_linux.go`). */
function toResources({ resources = {} }: ManifestContainer): LinuxContainerResourcesInit {
  const { limits = {}, requests = {} } = resources;
  const cpuLimit = parseQuantity(limits.cpu);
  const cpuRequest = parseQuantity(requests.cpu) ?? cpuLimit ?? 0;
  const memory = parseQuantity(limits.memory);
  return {
    cpu_shares: BigInt(Math.min(262_144, Math.max(2, Math.floor(cpuRequest * 1024)))),
    ...(cpuLimit === undefined || cpuLimit === 0
      ? {}
      : {
          cpu_period: BigInt(cpuPeriodUs),
          cpu_quota: BigInt(Math.max(1000, Math.round(cpuLimit * cpuPeriodUs))),
        }),
    ...(memory === undefined || memory === 0 ? {} : { memory_limit_in_bytes: BigInt(Math.floor(memory)) }),
  };
}
