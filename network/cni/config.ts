/** CNI network configurations: parsed and validated (CNI SPEC, section 1). */
import { RuntimeError } from '#base/errors.ts';
import { compareVersions, isAtLeast, newestCniVersion } from './version.ts';

export interface PluginConfig {
  readonly type: string;
  /** Capabilities that the plugin asks for in `runtimeConfig`. */
  readonly capabilities: ReadonlySet<string>;
  /** The object as written. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/** A list of plugins that together make one network. */
export interface NetworkList {
  readonly name: string;
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGc: boolean;
  /** At least one. */
  readonly plugins: readonly PluginConfig[];
  /** The list as JSON text; parsing it again gives this list. */
  readonly text: string;
}

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Whether `name` may name a CNI network or be a container id (CNI SPEC: both have this form). */
export function isCniName(name: string): boolean {
  return namePattern.test(name);
}

function invalid(source: string, problem: string, cause?: unknown): RuntimeError {
  return new RuntimeError('InvalidArgument', `CNI configuration ${source}: ${problem}`, { cause });
}

function asObject(value: unknown, source: string, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(source, `${what} is not an object`);
  }
  return value as Record<string, unknown>;
}

function parseJson(text: string, source: string): Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw invalid(source, 'not valid JSON', cause);
  }
  return asObject(parsed, source, 'the content');
}

function parseFlag(raw: Record<string, unknown>, key: string): boolean {
  // Early versions of the specification wrote this flag as a string.
  return raw[key] === true || raw[key] === 'true';
}

function chooseVersion(raw: Record<string, unknown>, source: string): string {
  const single = raw.cniVersion ?? '0.1.0';
  const several = raw.cniVersions ?? [];
  if (typeof single !== 'string' || !Array.isArray(several))
    throw invalid(source, 'cniVersion is not a string');
  const offered = [single, ...several.filter((entry) => typeof entry === 'string')];
  const known = offered.filter((version) => isAtLeast(newestCniVersion, version));
  known.sort((one, other) => compareVersions(other, one) ?? 0);
  if (known[0] === undefined) {
    throw invalid(
      source,
      `cniVersion ${offered.join(', ')} is not supported; the newest known is ${newestCniVersion}`,
    );
  }
  return known[0];
}

function parsePlugin(value: unknown, source: string, index: number): PluginConfig {
  const raw = asObject(value, source, `plugin ${index}`);
  const type = raw.type;
  if (typeof type !== 'string' || type === '') throw invalid(source, `plugin ${index} has no type`);
  if (/[/\\\s\0]/.test(type) || type === '.' || type === '..')
    throw invalid(source, `plugin ${index}: type ${JSON.stringify(type)} is not a file name`);
  const declared = raw.capabilities ?? {};
  const capabilities = asObject(declared, source, `capabilities of plugin ${type}`);
  const wanted = Object.keys(capabilities).filter((name) => capabilities[name] === true);
  return { type, capabilities: new Set(wanted), raw };
}

/**
 * Parses a list (`*.conflist`). `source` names it in errors. A list may offer several versions (`cniVersions`): the newest
 * known one is used. Throws InvalidArgument.
 */
export function parseNetworkList(text: string, source: string): NetworkList {
  const raw = parseJson(text, source);
  const name = raw.name;
  if (typeof name !== 'string' || !isCniName(name)) {
    const shown = typeof name === 'string' ? JSON.stringify(name.slice(0, 100)) : `of type ${typeof name}`;
    throw invalid(source, `name ${shown} does not match ${namePattern.source}`);
  }
  const plugins = raw.plugins;
  if (!Array.isArray(plugins) || plugins.length === 0) throw invalid(source, 'no plugins in the list');
  return {
    name,
    cniVersion: chooseVersion(raw, source),
    disableCheck: parseFlag(raw, 'disableCheck'),
    disableGc: parseFlag(raw, 'disableGC'),
    plugins: plugins.map((plugin, index) => parsePlugin(plugin, source, index)),
    text,
  };
}

/** Parses a single plugin's configuration (`*.conf`, `*.json`) and wraps it as a list of one. Throws InvalidArgument. */
export function parseSinglePlugin(text: string, source: string): NetworkList {
  const raw = parseJson(text, source);
  if (raw.plugins !== undefined && raw.type === undefined) {
    throw invalid(source, 'this is a list of plugins; rename the file to *.conflist');
  }
  const { name, cniVersion = '0.1.0' } = raw;
  return parseNetworkList(JSON.stringify({ cniVersion, name, plugins: [raw] }), source);
}
