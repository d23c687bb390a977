/** The command line of berthd, made from the option table. */

import { ConfigError } from './config-error.ts';
import { nearestName } from './nearest-name.ts';
import { type OptionRow, optionRows } from './options.ts';

export type Action = 'serve' | 'help' | 'version' | 'dumpConfig' | 'checkConfig';

export interface CommandLine {
  readonly action: Action;
  /** As given with --config; undefined: the default file, which may be absent. */
  readonly configPath: string | undefined;
  /** Values by option name, in the form that TOML would give. */
  readonly overrides: ReadonlyMap<
    string,
    { readonly row: OptionRow; readonly value: unknown; readonly flag: string }
  >;
}

const actions: Readonly<Record<string, Action>> = {
  help: 'help',
  version: 'version',
  'dump-config': 'dumpConfig',
  'check-config': 'checkConfig',
};

/** Reads the arguments after the program's name. Throws ConfigError. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const byFlag = new Map(optionRows().map((row) => [row.flag, row]));
  const overrides: Map<string, { row: OptionRow; value: unknown; flag: string }> = new Map();
  let action: Action = 'serve';
  let configPath: string | undefined;
  for (let at = 0; at < args.length; at += 1) {
    const match = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(args[at]!);
    if (!match) throw new ConfigError([`unexpected argument ${JSON.stringify(args[at])}: see berthd --help`]);
    const name = match[1] === 'h' ? 'help' : match[1]!;
    if (Object.hasOwn(actions, name)) {
      action = actions[name]!;
      continue;
    }
    const row = byFlag.get(name);
    if (!row && name !== 'config') {
      const near = nearestName(name, [...byFlag.keys(), ...Object.keys(actions), 'config']);
      throw new ConfigError([`unknown flag --${name}${near ? `: did you mean --${near}?` : ''}`]);
    }
    const text = match[2] ?? args[++at];
    if (text === undefined) throw new ConfigError([`flag --${name} needs a value`]);
    if (row) overrides.set(row.name, { row, value: row.option.type.fromFlag(text), flag: `--${name}` });
    else configPath = text;
  }
  return { action, configPath, overrides };
}

/** The text of --help. */
export function helpText(): string {
  const lines = [
    'berthd: a Kubernetes container runtime (CRI v1) over crun, conmon, overlayfs and CNI',
    '',
    'Usage: berthd [flags]',
    '',
    '  --config FILE              configuration file; FILE.d/*.toml are read after it (default /etc/berth/config.toml)',
    '  --check-config             read the configuration, report every mistake, and exit',
    '  --dump-config              print the effective configuration as TOML and exit',
    '  --version                  print the version and exit',
    '  --help                     print this text and exit',
    '',
    'Every option of the configuration file is a flag too, and a flag wins over the file:',
    '',
  ];
  for (const { flag, name, option } of optionRows()) {
    const shown = Array.isArray(option.default) ? option.default.join(',') : String(option.default);
    lines.push(
      `  --${flag.padEnd(32)} ${name} (${option.type.title}; default ${shown === '' ? '""' : shown})`,
    );
  }
  lines.push(
    '',
    'Signals: SIGHUP reads the configuration again; SIGTERM ends the daemon, never a container.',
    '',
  );
  return lines.join('\n');
}
