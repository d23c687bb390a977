/** Operations on a whole list of plugins (CNI SPEC, section 3): ADD in order, DEL in reverse, the first failure stops. */
import { RuntimeError } from '#base/errors.ts';
import type { NetworkList, PluginConfig } from './config.ts';
import { isAlreadyGone } from './errors.ts';
import type { Attachment, CniCommand, PluginRunner } from './exec.ts';
import { isAtLeast } from './version.ts';

export interface Limits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const prevResultSince = '0.4.0';
const checkSince = '0.4.0';
const statusSince = '1.1.0';

/** The configuration that one plugin reads (CNI SPEC, section 3, deriving execution configuration). */
export function deriveConfig(
  list: NetworkList,
  plugin: PluginConfig,
  capabilityArgs: Readonly<Record<string, unknown>>,
  prevResult: unknown,
): Record<string, unknown> {
  const config: Record<string, unknown> = { ...plugin.raw, name: list.name, cniVersion: list.cniVersion };
  if (prevResult !== undefined) config.prevResult = prevResult;
  const wanted = Object.entries(capabilityArgs).filter(([name]) => plugin.capabilities.has(name));
  if (wanted.length > 0) config.runtimeConfig = Object.fromEntries(wanted);
  return config;
}

/** What is left of the time for the plugins that are still to run. */
function startDeadline(limits: Limits): () => number {
  const end = performance.now() + limits.timeoutMs;
  return () => end - performance.now();
}

function withVersion(result: unknown, list: NetworkList, plugin: PluginConfig): unknown {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) {
    throw new RuntimeError('Internal', `CNI plugin ${plugin.type} ADD: no result on standard output`);
  }
  return 'cniVersion' in result ? result : { cniVersion: list.cniVersion, ...result };
}

/** Runs ADD through the list and returns the last plugin's result as it gave it. Throws as PluginRunner.call; nothing is undone here. */
export async function addList(
  runner: PluginRunner,
  list: NetworkList,
  attachment: Attachment,
  limits: Limits,
): Promise<unknown> {
  const remaining = startDeadline(limits);
  let result: unknown;
  for (const plugin of list.plugins) {
    const config = deriveConfig(list, plugin, attachment.capabilityArgs, result);
    const answer = await runner.call({
      plugin: plugin.type,
      command: 'ADD',
      attachment,
      config,
      timeoutMs: remaining(),
      signal: limits.signal,
    });
    result = withVersion(answer, list, plugin);
  }
  return result;
}

/**
 * Runs DEL through the list in reverse. `prevResult` is the result of the last ADD, if known. A plugin that finds nothing
 * left has succeeded. Idempotent. Throws as PluginRunner.call at the first plugin that fails: those before it in the list
 * are then left alone, so that an address is not given away while rules still name it.
 */
export async function deleteList(
  runner: PluginRunner,
  list: NetworkList,
  attachment: Attachment,
  prevResult: unknown,
  limits: Limits,
): Promise<void> {
  const remaining = startDeadline(limits);
  const known = isAtLeast(list.cniVersion, prevResultSince) ? prevResult : undefined;
  for (const plugin of [...list.plugins].reverse()) {
    const config = deriveConfig(list, plugin, attachment.capabilityArgs, known);
    try {
      await runner.call({
        plugin: plugin.type,
        command: 'DEL',
        attachment,
        config,
        timeoutMs: remaining(),
        signal: limits.signal,
      });
    } catch (error) {
      if (!isAlreadyGone(error, attachment.netnsPath === '')) throw error;
    }
  }
}

/**
 * Runs CHECK through the list. Returns false if the list is older than CHECK or forbids it.
 * Throws the first plugin's error: the attachment is not as it should be.
 */
export async function checkList(
  runner: PluginRunner,
  list: NetworkList,
  attachment: Attachment,
  prevResult: unknown,
  limits: Limits,
): Promise<boolean> {
  if (list.disableCheck || !isAtLeast(list.cniVersion, checkSince)) return false;
  const remaining = startDeadline(limits);
  for (const plugin of list.plugins) {
    const config = deriveConfig(list, plugin, attachment.capabilityArgs, prevResult);
    await runner.call({
      plugin: plugin.type,
      command: 'CHECK',
      attachment,
      config,
      timeoutMs: remaining(),
      signal: limits.signal,
    });
  }
  return true;
}

async function forEachModernPlugin(
  runner: PluginRunner,
  list: NetworkList,
  command: CniCommand,
  extra: Readonly<Record<string, unknown>>,
  limits: Limits,
): Promise<void> {
  if (!isAtLeast(list.cniVersion, statusSince)) return;
  const remaining = startDeadline(limits);
  for (const plugin of list.plugins) {
    const versions = await runner.listVersions(plugin.type);
    if (!versions.some((version) => isAtLeast(version, statusSince))) continue;
    await runner.call({
      plugin: plugin.type,
      command,
      attachment: undefined,
      config: { ...deriveConfig(list, plugin, {}, undefined), ...extra },
      timeoutMs: remaining(),
      signal: limits.signal,
    });
  }
}

/** Asks every plugin of a 1.1.0 list that knows STATUS whether ADD can work. Throws the first plugin's error if not. */
export function statusOfList(runner: PluginRunner, list: NetworkList, limits: Limits): Promise<void> {
  return forEachModernPlugin(runner, list, 'STATUS', {}, limits);
}

/** Tells every plugin of a 1.1.0 list that knows GC which attachments are valid; it drops what belongs to no other. */
export async function collectGarbageOfList(
  runner: PluginRunner,
  list: NetworkList,
  valid: readonly { readonly containerID: string; readonly ifname: string }[],
  limits: Limits,
): Promise<void> {
  if (list.disableGc) return;
  await forEachModernPlugin(runner, list, 'GC', { 'cni.dev/valid-attachments': valid }, limits);
}
