/**
 * Reads the configuration: defaults, then the file, then its drop-ins in order of their names, then the flags. All
 * mistakes are found in one go, each with its file and line.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { errnoOf, messageOf } from '#base/errors.ts';
import type { CommandLine } from './command-line.ts';
import { ConfigError } from './config-error.ts';
import { keyLines } from './key-lines.ts';
import { nearestName } from './nearest-name.ts';
import {
  type Config,
  camelCase,
  defaultHandlers,
  type HandlerConfig,
  handlerOptions,
  type Option,
  optionRows,
  options,
} from './options.ts';

export const defaultConfigPath = '/etc/berth/config.toml';

type Table = Readonly<Record<string, unknown>>;
/** Where a value stands, for messages. */
type Place = (key: string) => string;

/**
 * The effective configuration. The default file may be absent, a file named on the command line may not.
 * Throws ConfigError with every mistake.
 */
export function loadConfig(
  commandLine: Pick<CommandLine, 'configPath' | 'overrides'>,
  defaultPath = defaultConfigPath,
): Config {
  const draft = new Draft();
  for (const path of configFiles(commandLine.configPath, defaultPath)) draft.addFile(path);
  for (const { row, value, flag } of commandLine.overrides.values())
    draft.setOption(row.name, row.option, value, flag);
  return draft.finish();
}

function configFiles(explicit: string | undefined, defaultPath: string): string[] {
  const main = explicit ?? defaultPath;
  const files: string[] = [];
  try {
    readFileSync(main);
    files.push(main);
  } catch (error) {
    if (explicit !== undefined || errnoOf(error) !== 'ENOENT') {
      throw new ConfigError([`${main}: cannot be read: ${messageOf(error)}`]);
    }
  }
  try {
    const dropIns = readdirSync(`${main}.d`).filter((name) => name.endsWith('.toml'));
    files.push(...dropIns.sort().map((name) => join(`${main}.d`, name)));
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT')
      throw new ConfigError([`${main}.d: cannot be read: ${messageOf(error)}`]);
  }
  return files;
}

class Draft {
  readonly #values = new Map<string, unknown>();
  readonly #handlers = new Map<string, HandlerConfig>(Object.entries(defaultHandlers));
  readonly #problems: string[] = [];
  /** Where default_handler was set, for the check that it exists. */
  #defaultHandlerPlace = 'runtime.default_handler';

  addFile(path: string): void {
    let document: string;
    let table: Table;
    try {
      document = readFileSync(path, 'utf8');
      table = parse(document, { maxDepth: 16 }) as Table;
    } catch (error) {
      const line = error instanceof TomlError ? `:${error.line}` : '';
      this.#problems.push(`${path}${line}: ${messageOf(error).split('\n')[0]}`);
      return;
    }
    const lines = keyLines(document);
    const place: Place = (key) => `${path}:${lines.get(key) ?? 1}: ${key}`;
    for (const [section, content] of Object.entries(table)) this.#addSection(section, content, place);
  }

  #addSection(section: string, content: unknown, place: Place): void {
    const sections = [...Object.keys(options), 'handlers'];
    if (!sections.includes(section)) {
      // A key that was put outside its section is the likeliest mistake.
      const row = optionRows().find((candidate) => candidate.key === section);
      const near = nearestName(section, sections);
      const hint = row ? `: it belongs into [${row.section}]` : near ? `: did you mean [${near}]?` : '';
      this.#problems.push(`${place(section)}: unknown ${isTable(content) ? 'section' : 'key'}${hint}`);
    } else if (!isTable(content)) {
      this.#problems.push(`${place(section)}: must be a section [${section}]`);
    } else if (section === 'handlers') {
      for (const [name, handler] of Object.entries(content)) this.#addHandler(name, handler, place);
    } else {
      const known = options[section as keyof typeof options] as Readonly<Record<string, Option<unknown>>>;
      for (const [key, value] of Object.entries(content)) {
        const option = Object.hasOwn(known, key) ? known[key] : undefined;
        if (option) this.setOption(`${section}.${key}`, option, value, place(`${section}.${key}`));
        else this.#unknownKey(`${section}.${key}`, key, Object.keys(known), place);
      }
    }
  }

  /** `place` names the file, line and key, or the flag. */
  setOption(name: string, option: Option<unknown>, value: unknown, place: string): void {
    try {
      this.#values.set(name, option.type.parse(value));
      if (name === 'runtime.default_handler') this.#defaultHandlerPlace = place;
    } catch (error) {
      this.#problems.push(`${place}: must be ${messageOf(error)}`);
    }
  }

  #addHandler(name: string, content: unknown, place: Place): void {
    const key = `handlers.${name}`;
    if (!isTable(content)) {
      this.#problems.push(`${place(key)}: must be a section [${key}]`);
      return;
    }
    if (!/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name)) {
      this.#problems.push(`${place(key)}: a handler's name must be lower-case letters, digits, '-' and '.'`);
      return;
    }
    const handler: Record<string, unknown> = {
      ...(this.#handlers.get(name) ?? { path: '', type: name === 'runc' ? 'runc' : 'crun' }),
    };
    for (const [member, value] of Object.entries(content)) {
      if (!Object.hasOwn(handlerOptions, member)) {
        this.#unknownKey(`${key}.${member}`, member, Object.keys(handlerOptions), place);
        continue;
      }
      try {
        handler[member] = handlerOptions[member as keyof typeof handlerOptions].type.parse(value);
      } catch (error) {
        this.#problems.push(`${place(`${key}.${member}`)}: must be ${messageOf(error)}`);
      }
    }
    this.#handlers.set(name, handler as unknown as HandlerConfig);
  }

  #unknownKey(name: string, key: string, siblings: readonly string[], place: Place): void {
    const elsewhere = optionRows().find((row) => row.key === key);
    const near =
      elsewhere?.name ??
      nearestName(key, siblings) ??
      nearestName(
        key,
        optionRows().map((row) => row.key),
      );
    this.#problems.push(`${place(name)}: unknown key${near ? `: did you mean ${near}?` : ''}`);
  }

  finish(): Config {
    const config: Record<string, Record<string, unknown>> = {};
    for (const { section, key, name, option } of optionRows()) {
      const value = this.#values.has(name) ? this.#values.get(name) : option.type.parse(option.default);
      config[section] ??= {};
      config[section][camelCase(key)] = value;
    }
    const complete = {
      ...config,
      handlers: Object.fromEntries([...this.#handlers].sort(([a], [b]) => (a < b ? -1 : 1))),
    } as unknown as Config;
    this.#checkTogether(complete);
    if (this.#problems.length > 0) throw new ConfigError(this.#problems);
    return complete;
  }

  /** What no single value shows. */
  #checkTogether(config: Config): void {
    if (!Object.hasOwn(config.handlers, config.runtime.defaultHandler)) {
      const near = nearestName(config.runtime.defaultHandler, Object.keys(config.handlers));
      this.#problems.push(
        `${this.#defaultHandlerPlace}: no [handlers.${config.runtime.defaultHandler}]${near ? `: did you mean ${JSON.stringify(near)}?` : ''}`,
      );
    }
    // sun_path holds 108 bytes, one of them a terminator, and the socket is bound under a name with four more.
    if (Buffer.byteLength(config.server.socket) > 103) {
      this.#problems.push(`server.socket: must be at most 103 bytes long: ${config.server.socket}`);
    }
    if ((config.streaming.tlsCert === '') !== (config.streaming.tlsKey === '')) {
      this.#problems.push('streaming.tls_cert and streaming.tls_key: set both or none');
    }
    if (config.streaming.tlsClientCa !== '' && config.streaming.tlsCert === '') {
      this.#problems.push('streaming.tls_client_ca: needs streaming.tls_cert and streaming.tls_key');
    }
    if (config.daemon.rootDir === config.daemon.stateDir) {
      this.#problems.push('daemon.root_dir and daemon.state_dir: must be two folders');
    }
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
