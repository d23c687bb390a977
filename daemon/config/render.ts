/** The sample file, the documentation and the effective configuration, made from the option table. */
import { type Config, camelCase, defaultHandlers, handlerOptions, optionRows } from './options.ts';

function toml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** Breaks `sentence` into lines of at most `width` characters. */
function wrap(sentence: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of sentence.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return line === '' ? lines : [...lines, line];
}

/** packaging/config.toml: every option with its default, commented out. */
export function sampleFile(): string {
  const lines = [
    '# Configuration of berthd. Copy to /etc/berth/config.toml; every value below is the default.',
    '# Files of config.toml.d/ are read after this one, in order of their names.',
    '# `berthd --check-config` finds mistakes, `berthd --dump-config` shows the result.',
  ];
  let section = '';
  for (const row of optionRows()) {
    if (row.section !== section) {
      section = row.section;
      lines.push('', `[${section}]`);
    }
    lines.push('', ...wrap(row.option.doc, 110).map((line) => `# ${line}`));
    lines.push(
      `# (${row.option.type.title}${row.option.isReloadable ? '; SIGHUP applies a new value' : ''})`,
    );
    lines.push(`# ${row.key} = ${toml(row.option.default)}`);
  }
  lines.push(
    '',
    '# OCI runtimes by the name that a RuntimeClass uses; those below exist without being named here.',
  );
  for (const [name, handler] of Object.entries(defaultHandlers)) {
    lines.push('', `# [handlers.${name}]`);
    for (const [key, option] of Object.entries(handlerOptions)) {
      lines.push(`# ${key} = ${toml(handler[key as keyof typeof handler])}  # ${option.doc}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

/** docs/config.md. */
export function documentation(): string {
  const lines = [
    '# Configuration of berthd',
    '',
    'Made from `daemon/config/options.ts` by `make generate`. Do not edit.',
    '',
    'berthd reads `/etc/berth/config.toml` (or the file of `--config`), then `config.toml.d/*.toml` beside it in order of',
    'their names, then its flags; the last one to set a value wins. An unknown key or a bad value is reported with its file',
    'and line, and the daemon does not start (exit status 2). SIGHUP reads everything again: values marked "reload" apply at',
    'once, others are reported in the log as needing a restart, and a configuration with a mistake changes nothing.',
  ];
  let section = '';
  for (const row of optionRows()) {
    if (row.section !== section) {
      section = row.section;
      lines.push(
        '',
        `## [${section}]`,
        '',
        '| key | type | default | flag | |',
        '| --- | --- | --- | --- | --- |',
      );
    }
    const { option } = row;
    const reload = option.isReloadable ? ' *(reload)*' : '';
    lines.push(
      `| \`${row.key}\` | ${cell(option.type.title)} | \`${toml(option.default)}\` | \`--${row.flag}\` | ${cell(option.doc)}${reload} |`,
    );
  }
  lines.push(
    '',
    '## [handlers.NAME]',
    '',
    `An OCI runtime under the name that a RuntimeClass uses. Without any such section there are: ${Object.keys(
      defaultHandlers,
    )
      .map((name) => `\`${name}\``)
      .join(', ')}. A handler whose program is missing is left out, unless it is the default one.`,
    '',
    '| key | type | default | |',
    '| --- | --- | --- | --- |',
    ...Object.entries(handlerOptions).map(
      ([key, option]) =>
        `| \`${key}\` | ${cell(option.type.title)} | \`${toml(option.default)}\` | ${cell(option.doc)} |`,
    ),
  );
  return `${lines.join('\n')}\n`;
}

/** `config` as a TOML document that, read again, gives the same configuration. */
export function dumpConfig(config: Config): string {
  const lines: string[] = [];
  let section = '';
  for (const row of optionRows()) {
    if (row.section !== section) {
      section = row.section;
      lines.push(...(lines.length > 0 ? [''] : []), `[${section}]`);
    }
    const value = (config as unknown as Record<string, Record<string, unknown>>)[row.section]![
      camelCase(row.key)
    ];
    lines.push(
      `${row.key} = ${row.key === 'socket_mode' ? `"0${(value as number).toString(8)}"` : toml(value)}`,
    );
  }
  for (const [name, handler] of Object.entries(config.handlers)) {
    lines.push('', `[handlers.${name}]`, `path = ${toml(handler.path)}`, `type = ${toml(handler.type)}`);
  }
  return `${lines.join('\n')}\n`;
}
