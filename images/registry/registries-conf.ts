/**
 * The registry configuration of the containers projects (containers-registries.conf(5), version 2): `registries.conf` and
 * the files of `registries.conf.d` beside it, later ones over earlier ones. What it says about mirrors, blocked and insecure
 * registries and short names is kept here as values; pull-hosts.ts and short-names.ts act on it.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { errnoOf, messageOf, RuntimeError } from '#base/errors.ts';

export const shortNameModes = ['enforcing', 'permissive', 'disabled'] as const;
export type ShortNameMode = (typeof shortNameModes)[number];
const mirrorUses = ['all', 'digest-only', 'tag-only'] as const;

/** A place that serves images: a host and what comes before the rest of the repository's name. */
export interface RegistryLocation {
  /** `host[:port][/path]`; '' for the place that the reference itself names. */
  readonly location: string;
  /** Plain HTTP and unverified certificates are allowed. */
  readonly isInsecure: boolean;
}

export interface RegistryMirror extends RegistryLocation {
  readonly use: (typeof mirrorUses)[number];
}

/** One `[[registry]]` table. */
export interface RegistryRule extends RegistryLocation {
  /** `host[:port][/path]` or `*.domain[/path]`: which names it is for. */
  readonly prefix: string;
  readonly isBlocked: boolean;
  readonly mirrors: readonly RegistryMirror[];
  /** The file that says so, for messages. */
  readonly file: string;
}

export interface RegistriesConf {
  /** Registries that an image named without one may come from, in order. */
  readonly searchRegistries: readonly string[];
  readonly shortNameMode: ShortNameMode;
  /** By prefix. */
  readonly rules: ReadonlyMap<string, RegistryRule>;
  /** Complete names (without tag) by short name. */
  readonly aliases: ReadonlyMap<string, string>;
}

/** What holds when nothing is configured. */
export const noRegistriesConf: RegistriesConf = {
  searchRegistries: [],
  shortNameMode: 'permissive',
  rules: new Map(),
  aliases: new Map(),
};

type Table = Record<string, unknown>;

function refuse(file: string, why: string, cause?: unknown): RuntimeError {
  return new RuntimeError('Unknown', `registry configuration ${file}: ${why}`, { cause });
}

function stringOf(value: unknown, file: string, key: string): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') throw refuse(file, `${key} must be a string`);
  return value;
}

function booleanOf(value: unknown, file: string, key: string): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw refuse(file, `${key} must be true or false`);
  return value === true;
}

function tablesOf(value: unknown, file: string, key: string): Table[] {
  if (value === undefined) return [];
  const list: unknown[] = Array.isArray(value) ? value : [value];
  for (const item of list)
    if (typeof item !== 'object' || item === null) throw refuse(file, `[[${key}]] must be a table`);
  return list as Table[];
}

function wordOf<W extends string>(value: unknown, words: readonly W[], file: string, key: string): W {
  const word = words.find((candidate) => candidate === value);
  if (word === undefined)
    throw refuse(file, `${key} must be one of ${words.join(', ')}, not ${JSON.stringify(value)}`);
  return word;
}

/** `host[:port][/path]` without what would make it a URL or a reference. */
function placeOf(value: unknown, file: string, key: string): string {
  const text = stringOf(value, file, key).replace(/\/+$/, '');
  if (/^[a-z]+:\/\//i.test(text))
    throw refuse(file, `${key} ${JSON.stringify(text)} must be a host and path, not a URL`);
  if (text.includes('@') || /\/.*:/.test(text))
    throw refuse(file, `${key} ${JSON.stringify(text)}: a tag or digest is not supported here`);
  if (/\s/.test(text)) throw refuse(file, `${key} ${JSON.stringify(text)} is no host and path`);
  return text;
}

function parseMirror(table: Table, isByDigestOnly: boolean, file: string): RegistryMirror {
  const location = placeOf(table.location, file, 'mirror location');
  if (location === '') throw refuse(file, 'a [[registry.mirror]] has no location');
  const given = table['pull-from-mirror'];
  if (given !== undefined && isByDigestOnly)
    throw refuse(file, 'pull-from-mirror cannot be set where mirror-by-digest-only is');
  return {
    location,
    isInsecure: booleanOf(table.insecure, file, 'insecure'),
    use:
      given === undefined
        ? isByDigestOnly
          ? 'digest-only'
          : 'all'
        : wordOf(given, mirrorUses, file, 'pull-from-mirror'),
  };
}

function parseRule(table: Table, file: string): RegistryRule {
  const location = placeOf(table.location, file, 'location');
  const prefix = placeOf(table.prefix, file, 'prefix') || location;
  if (prefix === '') throw refuse(file, 'a [[registry]] has neither prefix nor location');
  if (prefix.includes('*') && !/^\*\.[^*]+$/.test(prefix))
    throw refuse(
      file,
      `prefix ${JSON.stringify(prefix)}: a star may only stand for the first part of a host`,
    );
  if (location === '' && !prefix.startsWith('*.'))
    throw refuse(file, `the [[registry]] of prefix ${JSON.stringify(prefix)} has no location`);
  const isByDigestOnly = booleanOf(table['mirror-by-digest-only'], file, 'mirror-by-digest-only');
  return {
    prefix,
    location,
    isInsecure: booleanOf(table.insecure, file, 'insecure'),
    isBlocked: booleanOf(table.blocked, file, 'blocked'),
    mirrors: tablesOf(table.mirror, file, 'registry.mirror').map((mirror) =>
      parseMirror(mirror, isByDigestOnly, file),
    ),
    file,
  };
}

/** `base` with what one file says over it: tables of the same prefix replace, lists replace, aliases add up. Throws Unknown. */
export function mergeRegistriesConf(base: RegistriesConf, toml: string, file: string): RegistriesConf {
  let root: Table;
  try {
    root = parse(toml) as Table;
  } catch (cause) {
    throw refuse(file, messageOf(cause).split('\n')[0] ?? '', cause);
  }
  if (root.registries !== undefined)
    throw refuse(file, 'version 1 of this format ([registries.search] and the like) is not supported');
  const search = root['unqualified-search-registries'];
  if (search !== undefined && !Array.isArray(search))
    throw refuse(file, 'unqualified-search-registries must be a list');
  const mode = root['short-name-mode'];
  const rules = new Map(base.rules);
  for (const table of tablesOf(root.registry, file, 'registry')) {
    const rule = parseRule(table, file);
    rules.set(rule.prefix, rule);
  }
  const aliases = new Map(base.aliases);
  for (const [name, value] of Object.entries((root.aliases ?? {}) as Table)) {
    const full = placeOf(value, file, `alias ${name}`);
    // An empty one takes back what an earlier file said.
    if (full === '') aliases.delete(name);
    else if (full.includes('/')) aliases.set(name, full);
    else throw refuse(file, `alias ${name}: ${JSON.stringify(full)} names no registry and repository`);
  }
  const searched = search?.map((item) => placeOf(item, file, 'unqualified-search-registries'));
  for (const name of [...(searched ?? []), ...aliases.values()])
    if (!/^([^/]*[.:]|localhost(\/|$))/.test(name))
      throw refuse(file, `${JSON.stringify(name)} names no registry: a host has a dot or a port`);
  return {
    searchRegistries: searched ?? base.searchRegistries,
    shortNameMode:
      mode === undefined || mode === ''
        ? base.shortNameMode
        : wordOf(mode, shortNameModes, file, 'short-name-mode'),
    rules,
    aliases,
  };
}

/** The files on the disk, read again when one of them changed. */
export class RegistriesConfFile {
  readonly #path: string;
  #signature = '';
  #conf = noRegistriesConf;

  /** `path` may be missing, or '' for none; drop-ins are `*.conf` in `PATH.d`. */
  constructor(path: string) {
    this.#path = path;
  }

  /** What the files say now. Throws Unknown naming the file, for one that is wrong: an ignored line could send a pull elsewhere. */
  load(): RegistriesConf {
    if (this.#path === '') return noRegistriesConf;
    const files = [this.#path, ...dropIns(`${this.#path}.d`)].flatMap((file) => {
      const stat = statSync(file, { throwIfNoEntry: false });
      return stat ? [{ file, mark: `${file} ${stat.ino} ${stat.mtimeMs} ${stat.size}` }] : [];
    });
    const signature = files.map(({ mark }) => mark).join('\n');
    if (signature !== this.#signature) {
      this.#conf = files.reduce(
        (conf, { file }) => mergeRegistriesConf(conf, read(file), file),
        noRegistriesConf,
      );
      this.#signature = signature;
    }
    return this.#conf;
  }
}

function dropIns(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith('.conf'))
      .sort()
      .map((name) => join(directory, name));
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return [];
    throw refuse(directory, messageOf(cause), cause);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw refuse(file, messageOf(cause), cause);
  }
}

/** Length of the part of `name` that `prefix` matches; undefined if it is another's. A port belongs to the host. */
function matchedLength(prefix: string, name: string): number | undefined {
  let length = prefix.length;
  if (prefix.startsWith('*.')) {
    const slash = prefix.indexOf('/');
    const suffix = slash < 0 ? prefix.slice(1) : prefix.slice(1, slash);
    const host = name.slice(0, name.indexOf('/'));
    if (!host.endsWith(suffix) || host.length === suffix.length) return undefined;
    const path = slash < 0 ? '' : prefix.slice(slash);
    if (!name.startsWith(path, host.length)) return undefined;
    length = host.length + path.length;
  } else if (!name.startsWith(prefix)) return undefined;
  return length === name.length || name[length] === '/' ? length : undefined;
}

/** The rule for an image's name (`docker.io/library/busybox`): that with the longest prefix, with what the prefix leaves of the name. Pure. */
export function findRule(
  conf: RegistriesConf,
  name: string,
): { rule: RegistryRule; rest: string } | undefined {
  let best: { rule: RegistryRule; rest: string } | undefined;
  for (const rule of conf.rules.values()) {
    const length = matchedLength(rule.prefix, name);
    if (length === undefined || (best && best.rule.prefix.length >= rule.prefix.length)) continue;
    best = { rule, rest: name.slice(length) };
  }
  return best;
}
