/**
 * Seccomp profiles from disk. They come in two forms, OCI's own and Docker's, which adds archMap and per-rule includes
 * and excludes; both are read here, checked, and reduced to what holds for one process.
 */
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { OciSeccomp } from './oci-spec.ts';
import {
  applicableRules,
  type ProfileRule,
  type RuleCondition,
  type SeccompFacts,
  type SyscallArgument,
  seccompArchitectures,
} from './seccomp-rule.ts';

const maxTextLength = 1024 * 1024;
const maxErrno = 4095;

const actions = new Set(
  ['KILL', 'KILL_PROCESS', 'KILL_THREAD', 'TRAP', 'ERRNO', 'TRACE', 'ALLOW', 'LOG', 'NOTIFY'].map(
    (name) => `SCMP_ACT_${name}`,
  ),
);
const operators = new Set(
  ['NE', 'LT', 'LE', 'EQ', 'GE', 'GT', 'MASKED_EQ'].map((name) => `SCMP_CMP_${name}`),
);
const flags = new Set(
  ['TSYNC', 'LOG', 'SPEC_ALLOW', 'WAIT_KILLABLE_RECV'].map((name) => `SECCOMP_FILTER_FLAG_${name}`),
);

/** A value of the profile with the words that say where it stands, for errors. */
interface Place {
  readonly path: string;
  readonly at: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The profile in `text` with its conditions applied to `facts`; unknown fields are passed over. Throws InvalidArgument
 * naming `path` and the first thing wrong: no JSON, an unknown action, operator or flag, a rule without names, a number
 * out of range (2^53 - 1 is the greatest that survives JSON here).
 */
export function parseSeccompProfile(text: string, facts: SeccompFacts, path = 'given'): OciSeccomp {
  const root: Place = { path, at: 'the profile' };
  const profile = asObject(parseJson(text, path), root);
  const architectures = readArchitectures(profile, facts, path);
  const rules = list(profile.syscalls, { path, at: 'syscalls' }).map((rule, index) =>
    readRule(rule, { path, at: `syscalls[${index}]` }),
  );
  const defaultErrnoRet = optionalNumber(profile.defaultErrnoRet, maxErrno, { path, at: 'defaultErrnoRet' });
  const flagList = list(profile.flags, { path, at: 'flags' }).map((flag) =>
    oneOf(flag, flags, { path, at: 'flags' }),
  );
  const syscalls = applicableRules(rules, facts);
  return {
    defaultAction: oneOf(profile.defaultAction, actions, { path, at: 'defaultAction' }),
    ...(defaultErrnoRet === undefined ? {} : { defaultErrnoRet }),
    ...(architectures.length > 0 ? { architectures } : {}),
    ...(flagList.length > 0 ? { flags: flagList } : {}),
    ...optionalText(profile, 'listenerPath', path),
    ...optionalText(profile, 'listenerMetadata', path),
    ...(syscalls.length > 0 ? { syscalls } : {}),
  };
}

function parseJson(text: string, path: string): unknown {
  if (text.length > maxTextLength) {
    throw new RuntimeError(
      'InvalidArgument',
      `seccomp profile ${path} is larger than ${maxTextLength} bytes`,
    );
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RuntimeError('InvalidArgument', `seccomp profile ${path} is not JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function fail(place: Place, problem: string): never {
  throw new RuntimeError('InvalidArgument', `seccomp profile ${place.path}: ${place.at} ${problem}`);
}

/** `architectures` as given, or the entry of `archMap` whose architecture is the node's. */
function readArchitectures(profile: JsonObject, facts: SeccompFacts, path: string): string[] {
  const given = strings(profile.architectures, { path, at: 'architectures' });
  const map = list(profile.archMap, { path, at: 'archMap' });
  if (given.length > 0 && map.length > 0) {
    fail({ path, at: 'architectures' }, 'and archMap are both given, one must go');
  }
  for (const name of given) checkArchitecture(name, { path, at: 'architectures' });
  const native = seccompArchitectures(facts.architecture)[0];
  for (const [index, value] of map.entries()) {
    const place = { path, at: `archMap[${index}]` };
    const entry = asObject(value, place);
    if (native === undefined || entry.architecture !== native) continue;
    const names = [native, ...strings(entry.subArchitectures, place)];
    for (const name of names) checkArchitecture(name, place);
    return names;
  }
  return given;
}

function checkArchitecture(name: string, place: Place): void {
  if (!/^SCMP_ARCH_[A-Z0-9_]+$/.test(name)) fail(place, `names ${JSON.stringify(name)}, no architecture`);
}

function readRule(value: unknown, place: Place): ProfileRule {
  const rule = asObject(value, place);
  const names = strings(rule.names, place);
  if (typeof rule.name === 'string' && rule.name !== '') {
    if (names.length > 0) fail(place, 'has both name and names');
    names.push(rule.name);
  }
  if (names.length === 0) fail(place, 'names no system call');
  for (const name of names) {
    if (!/^\w{1,64}$/.test(name)) fail(place, `names ${JSON.stringify(name)}, no system call`);
  }
  const errnoRet = optionalNumber(rule.errnoRet, maxErrno, { ...place, at: `${place.at}.errnoRet` });
  return {
    names,
    action: oneOf(rule.action, actions, { ...place, at: `${place.at}.action` }),
    ...(errnoRet === undefined ? {} : { errnoRet }),
    args: list(rule.args, place).map((arg, index) =>
      readArgument(arg, { ...place, at: `${place.at}.args[${index}]` }),
    ),
    includes: readCondition(rule.includes, { ...place, at: `${place.at}.includes` }),
    excludes: readCondition(rule.excludes, { ...place, at: `${place.at}.excludes` }),
  };
}

function readArgument(value: unknown, place: Place): SyscallArgument {
  const argument = asObject(value, place);
  return {
    index: optionalNumber(argument.index, 5, { ...place, at: `${place.at}.index` }) ?? 0,
    value: optionalNumber(argument.value, Number.MAX_SAFE_INTEGER, place) ?? 0,
    valueTwo: optionalNumber(argument.valueTwo, Number.MAX_SAFE_INTEGER, place) ?? 0,
    op: oneOf(argument.op, operators, { ...place, at: `${place.at}.op` }),
  };
}

function readCondition(value: unknown, place: Place): RuleCondition {
  if (value === undefined || value === null) return {};
  const condition = asObject(value, place);
  const minKernel = condition.minKernel ?? '';
  if (typeof minKernel !== 'string' || !/^(?:\d{1,4}\.\d{1,4})?$/.test(minKernel)) {
    fail(place, 'has a minKernel that is not like "4.8"');
  }
  return { caps: strings(condition.caps, place), arches: strings(condition.arches, place), minKernel };
}

function asObject(value: unknown, place: Place): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(place, 'is not an object');
  return value as JsonObject;
}

function list(value: unknown, place: Place): unknown[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) fail(place, 'is not a list');
  return value;
}

function strings(value: unknown, place: Place): string[] {
  return list(value, place).map((item) => {
    if (typeof item !== 'string') fail(place, 'holds something that is not a string');
    return item;
  });
}

function oneOf(value: unknown, known: ReadonlySet<string>, place: Place): string {
  if (typeof value !== 'string' || !known.has(value)) fail(place, `is unknown: ${JSON.stringify(value)}`);
  return value;
}

function optionalNumber(value: unknown, maximum: number, place: Place): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > maximum) {
    fail(place, `holds ${JSON.stringify(value)}, not a number of 0..${maximum}`);
  }
  return value;
}

function optionalText<Name extends 'listenerPath' | 'listenerMetadata'>(
  profile: JsonObject,
  name: Name,
  path: string,
): { [key in Name]?: string } {
  const value = profile[name];
  if (value === undefined || value === '') return {};
  if (typeof value !== 'string') fail({ path, at: name }, 'is not a string');
  return { [name]: value } as { [key in Name]?: string };
}
