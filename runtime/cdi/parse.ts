/**
 * Plain data to a CDI specification, with every check that needs no host. Strict where the format is: unknown fields, and
 * fields that are newer than the version a file declares, make it invalid (CDI SPEC.md, Released versions).
 */
import { isHookStage, type StagedHook } from '../spec/hooks.ts';
import {
  absolutePath,
  booleanOf,
  environmentOf,
  type Fields,
  fieldsOf,
  integerOf,
  listOf,
  requiredText,
  textOf,
  textsOf,
} from './fields.ts';
import { deviceNamePattern, kindPattern } from './requested-devices.ts';
import type { CdiDeviceNode, CdiEdits, CdiMount, CdiSpecification } from './specification.ts';

/** Oldest first. */
const versions = ['0.3.0', '0.4.0', '0.5.0', '0.6.0', '0.7.0', '0.8.0', '1.0.0', '1.1.0'] as const;
type Version = (typeof versions)[number];

/** Throws an Error that names the first field that is wrong. */
export function parseSpecification(data: unknown): CdiSpecification {
  return new Parser().parse(data);
}

class Parser {
  /** What the file uses, as far as not every version has it. */
  readonly #features: { readonly name: string; readonly since: Version }[] = [];

  parse(data: unknown): CdiSpecification {
    const fields = fieldsOf(data, 'the file', [
      'cdiVersion',
      'kind',
      'annotations',
      'devices',
      'containerEdits',
    ]);
    const version = requiredText(fields, 'cdiVersion', 'the file').replace(/^v/, '');
    if (!isVersion(version)) throw new Error(`cdiVersion ${version} is none of ${versions.join(', ')}`);
    const kind = requiredText(fields, 'kind', 'the file');
    const className = kindPattern.exec(kind)?.[2];
    if (className === undefined) throw new Error(`kind ${JSON.stringify(kind)} is not vendor/class`);
    if (className.includes('.')) this.#uses('a class with a dot', '0.6.0');
    this.#checkAnnotations(fields, 'the file');
    const edits = this.#editsOf(fields, '');
    const devices = this.#devicesOf(fields);
    for (const { name, since } of this.#features)
      if (versions.indexOf(version) < versions.indexOf(since))
        throw new Error(`${name} needs cdiVersion ${since}, and the file declares ${version}`);
    return { kind, edits, devices };
  }

  #uses(name: string, since: Version): void {
    this.#features.push({ name, since });
  }

  #devicesOf(file: Fields): ReadonlyMap<string, CdiEdits> {
    const devices = new Map<string, CdiEdits>();
    for (const [index, entry] of listOf(file, 'devices', 'the file').entries()) {
      const where = `devices[${index}]`;
      const fields = fieldsOf(entry, where, ['name', 'annotations', 'containerEdits']);
      const name = requiredText(fields, 'name', where);
      if (!deviceNamePattern.test(name))
        throw new Error(`${where}.name ${JSON.stringify(name)} is not valid`);
      if (devices.has(name)) throw new Error(`device ${name} is defined twice`);
      if (/^\d/.test(name)) this.#uses('a device name that starts with a digit', '0.5.0');
      this.#checkAnnotations(fields, where);
      const edits = this.#editsOf(fields, `${where}.`);
      if (isEmpty(edits)) throw new Error(`device ${name} has no containerEdits`);
      devices.set(name, edits);
    }
    if (devices.size === 0) throw new Error('it defines no devices');
    return devices;
  }

  #checkAnnotations(owner: Fields, where: string): void {
    const annotations = owner.annotations ?? undefined;
    if (annotations === undefined) return;
    const fields = fieldsOf(annotations, `${where}.annotations`, Object.keys(annotations));
    for (const key of Object.keys(fields)) textOf(fields, key, `${where}.annotations`);
    if (Object.keys(fields).length > 0) this.#uses('annotations', '0.6.0');
  }

  #editsOf(owner: Fields, prefix: string): CdiEdits {
    const where = `${prefix}containerEdits`;
    const fields = fieldsOf(owner.containerEdits ?? {}, where, [
      'env',
      'deviceNodes',
      'netDevices',
      'mounts',
      'hooks',
      'intelRdt',
      'additionalGids',
    ]);
    const unsupported: string[] = [];
    const each = <T>(key: string, make: (entry: unknown, where: string) => T): T[] =>
      listOf(fields, key, where).map((entry, index) => make(entry, `${where}.${key}[${index}]`));
    const gids = each('additionalGids', (gid, at) => integerOf({ gid }, 'gid', at) ?? 0);
    if (gids.length > 0) this.#uses('additionalGids', '0.7.0');
    if (listOf(fields, 'netDevices', where).length > 0) {
      this.#uses('netDevices', '1.1.0');
      unsupported.push('netDevices');
    }
    if ((fields.intelRdt ?? undefined) !== undefined) {
      this.#checkIntelRdt(fields, where);
      unsupported.push('intelRdt');
    }
    return {
      env: environmentOf(fields, 'env', where),
      deviceNodes: each('deviceNodes', (entry, at) => this.#deviceNodeOf(entry, at)),
      mounts: each('mounts', (entry, at) => this.#mountOf(entry, at)),
      hooks: each('hooks', hookOf),
      // CDI has group 0 ignored: everybody could be made a member of root's group by an empty field.
      additionalGids: gids.filter((gid) => gid !== 0),
      unsupported,
    };
  }

  #deviceNodeOf(entry: unknown, where: string): CdiDeviceNode {
    const fields = fieldsOf(entry, where, [
      'path',
      'hostPath',
      'type',
      'major',
      'minor',
      'fileMode',
      'permissions',
      'uid',
      'gid',
    ]);
    const hostPath = textOf(fields, 'hostPath', where);
    if (hostPath !== '') this.#uses('hostPath of a device node', '0.5.0');
    const permissions = textOf(fields, 'permissions', where);
    if (permissions !== 'none' && !/^[rwm]*$/.test(permissions))
      throw new Error(`${where}.permissions ${JSON.stringify(permissions)} are neither of "rwm" nor "none"`);
    return {
      path: absolutePath(fields, 'path', where),
      hostPath: hostPath === '' ? '' : absolutePath(fields, 'hostPath', where),
      type: deviceTypeOf(fields, where),
      major: integerOf(fields, 'major', where),
      minor: integerOf(fields, 'minor', where),
      fileMode: integerOf(fields, 'fileMode', where),
      uid: integerOf(fields, 'uid', where),
      gid: integerOf(fields, 'gid', where),
      access: permissions === 'none' ? '' : permissions || 'rwm',
    };
  }

  #mountOf(entry: unknown, where: string): CdiMount {
    const fields = fieldsOf(entry, where, ['hostPath', 'containerPath', 'options', 'type']);
    const type = textOf(fields, 'type', where);
    if (type !== '') this.#uses('type of a mount', '0.4.0');
    return {
      hostPath: requiredText(fields, 'hostPath', where),
      containerPath: absolutePath(fields, 'containerPath', where),
      type,
      options: textsOf(fields, 'options', where),
    };
  }

  #checkIntelRdt(owner: Fields, edits: string): void {
    const where = `${edits}.intelRdt`;
    const texts = ['closID', 'l3CacheSchema', 'memBwSchema'];
    const flags = ['enableCMT', 'enableMBM'];
    const newer = ['schemata', 'enableMonitoring'];
    const fields = fieldsOf(owner.intelRdt, where, [...texts, ...flags, ...newer]);
    this.#uses('intelRdt', '0.7.0');
    for (const key of texts) textOf(fields, key, where);
    for (const key of flags) booleanOf(fields, key, where);
    if (newer.some((key) => (fields[key] ?? undefined) !== undefined))
      this.#uses('schemata and enableMonitoring of intelRdt', '1.1.0');
  }
}

function isVersion(text: string): text is Version {
  return (versions as readonly string[]).includes(text);
}

function deviceTypeOf(fields: Fields, where: string): CdiDeviceNode['type'] {
  const type = textOf(fields, 'type', where);
  if (type === '') return undefined;
  if (type === 'c' || type === 'b' || type === 'u' || type === 'p') return type;
  throw new Error(`${where}.type ${JSON.stringify(type)} is none of b, c, u, p`);
}

function hookOf(entry: unknown, where: string): StagedHook {
  const fields = fieldsOf(entry, where, ['hookName', 'path', 'args', 'env', 'timeout']);
  const stage = requiredText(fields, 'hookName', where);
  if (!isHookStage(stage)) throw new Error(`${where}.hookName ${JSON.stringify(stage)} is not a hook of OCI`);
  const args = textsOf(fields, 'args', where);
  const env = environmentOf(fields, 'env', where);
  const timeout = integerOf(fields, 'timeout', where) ?? 0;
  return {
    stage,
    hook: {
      path: absolutePath(fields, 'path', where),
      ...(args.length > 0 ? { args: [...args] } : {}),
      ...(env.length > 0 ? { env: [...env] } : {}),
      ...(timeout > 0 ? { timeout } : {}),
    },
  };
}

function isEmpty(edits: CdiEdits): boolean {
  const { env, deviceNodes, mounts, hooks, additionalGids, unsupported } = edits;
  const lists = [env, deviceNodes, mounts, hooks, additionalGids, unsupported];
  return lists.every((list) => list.length === 0);
}
