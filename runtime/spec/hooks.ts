/** Hooks of a spec: programs of the host that the OCI runtime runs at points of a container's life (OCI config.md, POSIX-platform Hooks). */
import type { OciHook, OciSpec } from './oci-spec.ts';

export const hookStages = [
  'prestart',
  'createRuntime',
  'createContainer',
  'startContainer',
  'poststart',
  'poststop',
] as const;
export type HookStage = (typeof hookStages)[number];

export interface StagedHook {
  readonly stage: HookStage;
  readonly hook: OciHook;
}

/** Whether a word names a stage. */
export function isHookStage(word: string): word is HookStage {
  return (hookStages as readonly string[]).includes(word);
}

/** The spec with hooks behind those it has, in order. */
export function withHooks(spec: OciSpec, added: readonly StagedHook[]): OciSpec {
  if (added.length === 0) return spec;
  const hooks = { ...spec.hooks };
  for (const { stage, hook } of added) hooks[stage] = [...(hooks[stage] ?? []), hook];
  return { ...spec, hooks };
}
