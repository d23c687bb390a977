/** Manifests as a plan. Pure: it reads nothing but the documents. */
import { resolve } from 'node:path';
import { nearestName } from '#daemon/config/nearest-name.ts';
import { Protocol } from '#proto/generated/cri.ts';
import { KeyStores, type PodPlace } from './key-stores.ts';
import { toContainer } from './kubernetes-container.ts';
import { kinds, refusedKinds } from './kubernetes-shape.ts';
import { toVolumes } from './kubernetes-volumes.ts';
import type { Manifest, Metadata, PodSpec } from './manifest.ts';
import type { PlayPlan, PodPlan } from './plan.ts';
import { profile } from './security.ts';
import { check, isRecord } from './shape.ts';
import type { Findings, Path, Source } from './source.ts';
import { stableUid } from './stable-uid.ts';

export function isManifest(value: unknown): boolean {
  return isRecord(value) && (value.apiVersion !== undefined || value.kind !== undefined);
}

/** All documents of a file, those in Lists too. Problems and notes go to `findings`. */
export function planManifests(sources: readonly Source[], folder: string, findings: Findings): PlayPlan {
  const objects = sources.flatMap((source) => listObjects(source, source.value, []));
  const stores = new KeyStores();
  const handlers = new Map<string, string>();
  const checked = objects.filter((object) => checkObject(object));
  for (const { manifest, source, path } of checked) {
    if (manifest.kind === 'ConfigMap' || manifest.kind === 'Secret') addKeys(stores, manifest, source, path);
    if (manifest.kind === 'RuntimeClass')
      handlers.set(
        manifest.metadata.name ?? '',
        String((manifest as unknown as { handler: string }).handler),
      );
  }
  const pods: PodPlan[] = [];
  const owners: string[] = [];
  // A broken document would only bring forth more of the same.
  if (findings.problems.length > 0 && checked.length < objects.length)
    return { pods, owners, notes: findings.notes };
  for (const { manifest, source, path } of checked) {
    const namespace = manifest.metadata.namespace ?? 'default';
    const owner = `${manifest.kind} ${namespace}/${manifest.metadata.name}`;
    const place = { source, namespace, stores, folder };
    if (manifest.kind === 'Pod') {
      owners.push(owner);
      const { spec } = manifest as Manifest & { readonly spec: PodSpec };
      pods.push(
        toPod(
          { owner, name: manifest.metadata.name!, metadata: manifest.metadata, spec, handlers },
          {
            ...place,
            path: [...path, 'spec'],
          },
        ),
      );
    } else if (manifest.kind === 'Deployment') {
      owners.push(owner);
      const { replicas = 1, template } = (manifest as Manifest & { readonly spec: DeploymentSpec }).spec;
      for (let number = 0; number < replicas; number += 1)
        pods.push(
          toPod(
            {
              owner,
              name: `${manifest.metadata.name}-${number}`,
              metadata: template.metadata ?? {},
              spec: template.spec,
              handlers,
            },
            { ...place, path: [...path, 'spec', 'template', 'spec'] },
          ),
        );
    }
  }
  if (pods.length === 0 && findings.problems.length === 0)
    findings.problem(1, 'there is no Pod and no Deployment in it');
  checkUnique(pods, findings);
  return { pods, owners, notes: findings.notes };
}

interface DeploymentSpec {
  readonly replicas?: number;
  readonly template: { readonly metadata?: Metadata; readonly spec: PodSpec };
}

interface ManifestObject {
  readonly manifest: Manifest;
  readonly source: Source;
  readonly path: Path;
}

function listObjects(source: Source, value: unknown, path: Path): ManifestObject[] {
  if (isRecord(value) && value.kind === 'List' && Array.isArray(value.items))
    return value.items.flatMap((item, at) => listObjects(source, item, [...path, 'items', at]));
  return [{ manifest: value as Manifest, source, path }];
}

function checkObject({ manifest, source, path }: ManifestObject): boolean {
  if (!isRecord(manifest) || typeof manifest.kind !== 'string') {
    source.problem([...path, 'kind'], 'kind is missing: for instance Pod');
    return false;
  }
  const { kind } = manifest as Manifest;
  const shape = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (shape === undefined) {
    const reason = Object.hasOwn(refusedKinds, kind) ? refusedKinds[kind] : undefined;
    const near = nearestName(kind, Object.keys(kinds));
    source.problem(
      [...path, 'kind'],
      reason ??
        `${kind} cannot be played${near === undefined ? `; ${Object.keys(kinds).slice(0, 4).join(', ')} can` : `, did you mean ${near}?`}`,
    );
    return false;
  }
  const before = source.findings.problems.length;
  check(shape, manifest, path, source);
  if (shape.kind !== 'object') return false;
  const name = (manifest as Manifest).metadata?.name;
  if (name === undefined) source.problem([...path, 'metadata'], 'name is missing');
  else if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name))
    source.problem(
      [...path, 'metadata', 'name'],
      `${JSON.stringify(name)} is no name: small letters, digits, dots and dashes`,
    );
  return source.findings.problems.length === before;
}

function addKeys(stores: KeyStores, manifest: Manifest, source: Source, path: Path): void {
  const {
    data = {},
    binaryData = {},
    stringData = {},
  } = manifest as unknown as Readonly<Record<string, Readonly<Record<string, string>> | undefined>>;
  const isSecret = manifest.kind === 'Secret';
  const keys = new Map<string, Buffer>();
  for (const [field, entries, isEncoded] of [
    ['data', data, isSecret],
    ['binaryData', binaryData, true],
    ['stringData', stringData, false],
  ] as const)
    for (const [key, value] of Object.entries(entries)) {
      if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key) || /^\.\.?$/.test(key))
        source.problem([...path, field, key], 'a key has letters, digits, dots, dashes and underscores');
      if (isEncoded && !isBase64(value))
        source.problem(
          [...path, field, key],
          isSecret ? 'it is not base64; stringData takes plain text' : 'it is not base64',
        );
      keys.set(key, Buffer.from(value, isEncoded ? 'base64' : 'utf8'));
    }
  const { name, namespace = 'default' } = manifest.metadata;
  (isSecret ? stores.secrets : stores.configMaps).set(`${namespace}/${name}`, keys);
}

function isBase64(value: string): boolean {
  return (
    /^[A-Za-z0-9+/]*={0,2}$/.test(value.replaceAll(/\s/g, '')) && value.replaceAll(/\s/g, '').length % 4 === 0
  );
}

interface PodToBe {
  readonly owner: string;
  readonly name: string;
  readonly metadata: Metadata;
  readonly spec: PodSpec;
  readonly handlers: ReadonlyMap<string, string>;
}

function toPod({ owner, name, metadata, spec, handlers }: PodToBe, at: PodPlace): PodPlan {
  const { source, path, namespace } = at;
  const problem = (field: string, message: string): void => source.problem([...path, field], message);
  if (spec.hostUsers === false)
    problem('hostUsers', 'a kubelet gives out ranges of users: a user namespace needs one');
  if (spec.hostPID === true && spec.shareProcessNamespace === true)
    problem('shareProcessNamespace', 'it says nothing with hostPID');
  const labels = metadata.labels ?? {};
  const annotations = metadata.annotations ?? {};
  const uid = metadata.uid ?? stableUid(`${namespace}/${name}`);
  const identity = { name, namespace, uid, labels, annotations };
  const volumes = toVolumes(spec, identity, at);
  const full = spec.hostnameOverride ?? spec.hostname ?? name;
  const hostname =
    spec.setHostnameAsFQDN === true && spec.subdomain !== undefined
      ? `${full}.${spec.subdomain}.${namespace}.svc.cluster.local`
      : full.slice(0, 63);
  const all = [
    ...(spec.initContainers ?? []).map((container, index) => ({
      container,
      role: container.restartPolicy === 'Always' ? ('sidecar' as const) : ('init' as const),
      path: [...path, 'initContainers', index],
    })),
    ...spec.containers.map((container, index) => ({
      container,
      role: 'main' as const,
      path: [...path, 'containers', index],
    })),
  ];
  checkContainerNames(all, source);
  const runtimeClass = spec.runtimeClassName;
  return {
    owner,
    namespace,
    name,
    uid,
    labels,
    annotations,
    marks: {},
    hostname: spec.hostNetwork === true ? '' : hostname,
    dns: toDns(spec, at),
    // With the node's network there is nothing to map.
    ports: spec.hostNetwork === true ? [] : toPorts(spec, at),
    network: spec.hostNetwork === true ? 'host' : 'pod',
    pid: spec.hostPID === true ? 'host' : spec.shareProcessNamespace === true ? 'pod' : 'container',
    ipc: spec.hostIPC === true ? 'host' : 'pod',
    sysctls: Object.fromEntries((spec.securityContext?.sysctls ?? []).map((one) => [one.name, one.value])),
    seccomp: profile(spec.securityContext?.seccompProfile, resolve(at.folder, 'seccomp')),
    runtimeHandler: runtimeClass === undefined ? '' : (handlers.get(runtimeClass) ?? runtimeClass),
    stopSeconds: spec.terminationGracePeriodSeconds ?? 30,
    volumeGroup: spec.securityContext?.fsGroup,
    volumes,
    containers: all.map(({ container, role, path: where }) =>
      toContainer({ container, role, spec, identity, volumes }, { ...at, path: where }),
    ),
    hosts:
      spec.hostNetwork === true
        ? undefined
        : (spec.hostAliases ?? []).map(({ ip, hostnames = [] }) => ({ ip, names: hostnames })),
    siblingNames: [],
  };
}

function checkContainerNames(
  all: readonly { readonly container: { readonly name: string }; readonly path: Path }[],
  source: Source,
): void {
  const seen = new Set<string>();
  for (const { container, path } of all) {
    if (seen.has(container.name)) source.problem([...path, 'name'], `${container.name} is there twice`);
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(container.name))
      source.problem(
        [...path, 'name'],
        `${JSON.stringify(container.name)} is no name: small letters, digits and dashes`,
      );
    seen.add(container.name);
  }
}

function toDns(spec: PodSpec, { source, path }: PodPlace): PodPlan['dns'] {
  const { nameservers = [], searches = [], options = [] } = spec.dnsConfig ?? {};
  if (spec.dnsPolicy === 'None' && nameservers.length === 0)
    source.problem([...path, 'dnsPolicy'], 'None needs dnsConfig with nameservers');
  if (spec.dnsConfig === undefined) return undefined;
  return {
    servers: nameservers,
    searches,
    options: options.map(({ name = '', value }) => (value === undefined ? name : `${name}:${value}`)),
  };
}

function toPorts(spec: PodSpec, { source, path }: PodPlace): PodPlan['ports'] {
  const taken = new Set<string>();
  return spec.containers.flatMap(({ ports = [] }, index) =>
    ports.flatMap(({ containerPort, hostPort, hostIP = '', protocol = 'TCP' }, at) => {
      if (hostPort === undefined) return [];
      const key = `${hostIP}:${hostPort}/${protocol}`;
      if (taken.has(key))
        source.problem([...path, 'containers', index, 'ports', at, 'hostPort'], `${hostPort} is taken twice`);
      taken.add(key);
      return [
        { host_ip: hostIP, host_port: hostPort, container_port: containerPort, protocol: Protocol[protocol] },
      ];
    }),
  );
}

function checkUnique(pods: readonly PodPlan[], findings: Findings): void {
  const seen = new Set<string>();
  const ports = new Map<string, string>();
  for (const { namespace, name, ports: mapped } of pods) {
    const key = `${namespace}/${name}`;
    if (seen.has(key)) findings.problem(1, `the pod ${key} is there twice`);
    seen.add(key);
    for (const { host_ip, host_port, protocol } of mapped) {
      const port = `${host_ip}:${host_port}/${protocol}`;
      const other = ports.get(port);
      if (other !== undefined && other !== key)
        findings.problem(
          1,
          `port ${host_port} of this machine is wanted by ${other} and ${key}; only one can have it`,
        );
      ports.set(port, key);
    }
  }
}
