/** Volumes of a manifest as a plan. */
import { checkFieldPath, fieldValue, type Identity, resourceValue } from './downward.ts';
import type { PodPlace } from './key-stores.ts';
import { toPull } from './kubernetes-container.ts';
import type { DownwardItem, KeysSource, ManifestVolume, PodSpec } from './manifest.ts';
import type { VolumeFile, VolumePlan } from './plan.ts';
import { parseMode } from './shape.ts';

const defaultMode = 0o644;

export function toVolumes(spec: PodSpec, identity: Identity, at: PodPlace): Record<string, VolumePlan> {
  const volumes: Record<string, VolumePlan> = {};
  for (const [index, volume] of (spec.volumes ?? []).entries()) {
    const place = { ...at, path: [...at.path, 'volumes', index] };
    if (Object.hasOwn(volumes, volume.name))
      at.source.problem(place.path, `the volume ${volume.name} is there twice`);
    const kinds = Object.keys(volume).filter((key) => key !== 'name');
    if (kinds.length > 1)
      at.source.problem(place.path, `a volume has one source, and ${volume.name} has ${kinds.join(' and ')}`);
    volumes[volume.name] = toVolume(volume, spec, identity, place);
  }
  return volumes;
}

function toVolume(volume: ManifestVolume, spec: PodSpec, identity: Identity, at: PodPlace): VolumePlan {
  const { hostPath, image, persistentVolumeClaim, configMap, secret, downwardAPI, projected, emptyDir } =
    volume;
  const inside = (field: string): PodPlace => ({ ...at, path: [...at.path, field] });
  if (hostPath !== undefined) {
    if (!hostPath.path.startsWith('/'))
      at.source.problem(inside('hostPath').path, `${hostPath.path} is no absolute path`);
    return { kind: 'host', path: hostPath.path, type: hostPath.type ?? '' };
  }
  if (image !== undefined) return { kind: 'image', image: image.reference, pull: toPull(image.pullPolicy) };
  if (persistentVolumeClaim !== undefined) {
    at.source.note(
      'persistentVolumeClaim',
      inside('persistentVolumeClaim').path,
      'a volume of this machine stands for the claim; it stays until `berth play --down --volumes`',
    );
    return { kind: 'named', name: `${at.namespace}_${persistentVolumeClaim.claimName}` };
  }
  if (configMap !== undefined)
    return { kind: 'files', files: keyFiles('configMaps', configMap, inside('configMap')) };
  if (secret !== undefined) return { kind: 'files', files: keyFiles('secrets', secret, inside('secret')) };
  if (downwardAPI !== undefined)
    return { kind: 'files', files: downwardFiles(downwardAPI, spec, identity, inside('downwardAPI')) };
  if (projected !== undefined) {
    const usual = modeAt(projected.defaultMode, 'defaultMode', inside('projected'));
    const files = (projected.sources ?? []).flatMap((source, index) => {
      const path = [...at.path, 'projected', 'sources', index];
      if (source.configMap !== undefined)
        return keyFiles('configMaps', source.configMap, { ...at, path: [...path, 'configMap'] }, usual);
      if (source.secret !== undefined)
        return keyFiles('secrets', source.secret, { ...at, path: [...path, 'secret'] }, usual);
      if (source.downwardAPI !== undefined)
        return downwardFiles(
          source.downwardAPI,
          spec,
          identity,
          {
            ...at,
            path: [...path, 'downwardAPI'],
          },
          usual,
        );
      return []; // a token, of which was told
    });
    return { kind: 'files', files };
  }
  if (emptyDir?.sizeLimit !== undefined)
    at.source.note(
      'sizeLimit',
      [...at.path, 'emptyDir', 'sizeLimit'],
      'a kubelet evicts pods that write more; here nothing does',
    );
  return { kind: 'scratch', inMemory: emptyDir?.medium === 'Memory' };
}

function keyFiles(
  kind: 'configMaps' | 'secrets',
  source: KeysSource,
  at: PodPlace,
  shared?: number,
): VolumeFile[] {
  const { items, optional } = source;
  const ref = {
    name: source.name ?? source.secretName ?? '',
    ...(optional === undefined ? {} : { optional }),
  };
  const keys = at.stores.find(kind, ref, at);
  if (keys === undefined) return [];
  const usual = modeAt(source.defaultMode, 'defaultMode', at) ?? shared ?? defaultMode;
  if (items === undefined)
    return [...keys].map(([path, content]) => ({ path, content: () => content, mode: usual }));
  return items.flatMap(({ key, path, mode }, index) => {
    const place = { ...at, path: [...at.path, 'items', index] };
    checkFilePath(path, place);
    const content = at.stores.findKey(kind, { ...ref, key }, place);
    return content === undefined
      ? []
      : [{ path, content: () => content, mode: modeAt(mode, 'mode', place) ?? usual }];
  });
}

function downwardFiles(
  {
    items = [],
    defaultMode: given,
  }: { readonly items?: readonly DownwardItem[]; readonly defaultMode?: number },
  spec: PodSpec,
  identity: Identity,
  at: PodPlace,
  shared?: number,
): VolumeFile[] {
  const usual = modeAt(given, 'defaultMode', at) ?? shared ?? defaultMode;
  return items.flatMap(({ path, fieldRef, resourceFieldRef, mode }, index) => {
    const place = { ...at, path: [...at.path, 'items', index] };
    checkFilePath(path, place);
    const fileMode = modeAt(mode, 'mode', place) ?? usual;
    if (fieldRef !== undefined) {
      checkFieldPath(fieldRef.fieldPath, 'file', place);
      const { fieldPath } = fieldRef;
      return [
        { path, mode: fileMode, content: (facts) => Buffer.from(fieldValue(fieldPath, identity, facts)) },
      ];
    }
    if (resourceFieldRef === undefined) {
      at.source.problem(place.path, 'it says no source');
      return [];
    }
    const late = resourceValue(resourceFieldRef, spec, undefined, place);
    return late === undefined
      ? []
      : [{ path, mode: fileMode, content: (facts) => Buffer.from(late(facts) ?? '') }];
  });
}

function checkFilePath(path: string, at: PodPlace): void {
  if (path === '' || path.startsWith('/') || path.split('/').includes('..'))
    at.source.problem([...at.path, 'path'], `${JSON.stringify(path)} leads out of the volume`);
}

function modeAt(value: number | undefined, field: string, at: PodPlace): number | undefined {
  return value === undefined ? undefined : parseMode(value, at.source.textOf([...at.path, field]));
}
