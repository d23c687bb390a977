/**
 * One hook of a hooks folder: which program, at which stages, for which containers (oci-hooks(5), 1.0.0 Hook Schema).
 * Pure: text in, decision out.
 */
import { isHookStage, type StagedHook } from '../spec/hooks.ts';
import type { OciHook } from '../spec/oci-spec.ts';
import { posixExpression } from './posix-expression.ts';

export interface HookDefinition {
  readonly hooks: readonly StagedHook[];
  /** Whether a container gets the hook: all the conditions that the file sets must hold. */
  readonly matches: (container: HookSubject) => boolean;
}

/** What conditions look at. */
export interface HookSubject {
  readonly annotations: Readonly<Record<string, string>>;
  /** The first word of the command line. */
  readonly command: string;
  /** Whether the client asked for a mount of a path of the host. */
  readonly hasBindMounts: boolean;
}

type Condition = (container: HookSubject) => boolean;

/** Throws an Error that names the first field that is wrong. Fields that the schema does not have are ignored. */
export function parseHookDefinition(text: string): HookDefinition {
  const file = objectOf(JSON.parse(text), 'the file');
  if (file.version !== '1.0.0')
    throw new Error(`version ${JSON.stringify(file.version ?? '')} is not supported, only "1.0.0" is`);
  const hook = parseHook(objectOf(file.hook, 'hook'));
  const stages = textsOf(file.stages, 'stages');
  if (stages.length === 0) throw new Error('stages is empty');
  const conditions = parseConditions(objectOf(file.when, 'when'));
  return {
    hooks: stages.map((stage) => {
      if (!isHookStage(stage))
        throw new Error(`stages holds ${JSON.stringify(stage)}, which is no stage of OCI`);
      return { stage, hook };
    }),
    matches: (container) => conditions.every((condition) => condition(container)),
  };
}

function parseConditions(when: Readonly<Record<string, unknown>>): readonly Condition[] {
  const conditions: Condition[] = [];
  // A condition that is there but false holds for no container: the schema only says when `true` matches.
  const { always, hasBindMounts } = when;
  if (always !== undefined) {
    const isAlways = booleanOf(always, 'when.always');
    conditions.push(() => isAlways);
  }
  if (hasBindMounts !== undefined) {
    const isWanted = booleanOf(hasBindMounts, 'when.hasBindMounts');
    conditions.push((container) => isWanted && container.hasBindMounts);
  }
  if (when.annotations !== undefined) {
    for (const [key, value] of Object.entries(objectOf(when.annotations, 'when.annotations'))) {
      const matchesKey = posixExpression(key);
      const matchesValue = posixExpression(textOf(value, `when.annotations[${JSON.stringify(key)}]`));
      conditions.push(({ annotations }) =>
        Object.entries(annotations).some(([name, text]) => matchesKey(name) && matchesValue(text)),
      );
    }
  }
  if (when.commands !== undefined) {
    const commands = textsOf(when.commands, 'when.commands').map(posixExpression);
    conditions.push(({ command }) => commands.some((matches) => matches(command)));
  }
  if (conditions.length === 0) throw new Error('when has no condition');
  return conditions;
}

function parseHook(hook: Readonly<Record<string, unknown>>): OciHook {
  const path = textOf(hook.path, 'hook.path');
  if (!path.startsWith('/')) throw new Error(`hook.path is not an absolute path: ${JSON.stringify(path)}`);
  const args = hook.args === undefined ? [] : textsOf(hook.args, 'hook.args');
  const env = hook.env === undefined ? [] : textsOf(hook.env, 'hook.env');
  const badEntry = env.find((entry) => entry.indexOf('=') <= 0);
  if (badEntry !== undefined) throw new Error(`hook.env holds ${JSON.stringify(badEntry)}, not NAME=value`);
  const { timeout } = hook;
  if (timeout !== undefined && !(typeof timeout === 'number' && Number.isInteger(timeout) && timeout > 0))
    throw new Error('hook.timeout is not a number of seconds greater than 0');
  return {
    path,
    ...(args.length > 0 ? { args } : {}),
    ...(env.length > 0 ? { env } : {}),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

function objectOf(value: unknown, where: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${where} is ${value === undefined ? 'missing' : 'not an object'}`);
  return value as Readonly<Record<string, unknown>>;
}

function textOf(value: unknown, where: string): string {
  if (typeof value !== 'string' || value.includes('\0')) throw new Error(`${where} is not text`);
  return value;
}

function textsOf(value: unknown, where: string): string[] {
  if (!Array.isArray(value)) throw new Error(`${where} is not a list`);
  return value.map((entry, index) => textOf(entry, `${where}[${index}]`));
}

function booleanOf(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') throw new Error(`${where} is neither true nor false`);
  return value;
}
