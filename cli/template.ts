/** The part of docker's `--format` templates that scripts use: `{{.Name}}`, `{{json .path}}`, `{{.Label "x"}}`, \t and \n. */
import { UsageError } from './command.ts';

/** `\t` and `\n` as people type them in quotes. A leading `table ` is docker's; rows come without a title here. */
export function unescapeTemplate(text: string): string {
  return text
    .replace(/^table /, '')
    .replaceAll('\\t', '\t')
    .replaceAll('\\n', '\n');
}

/** Puts fields in their places. Throws UsageError for one that is not known. */
export function expandTemplate(
  template: string,
  fields: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): string {
  return expand(template, (action) => {
    const label = /^\.Label "([^"]*)"$/.exec(action)?.[1];
    if (label !== undefined) return labels[label] ?? '';
    const [, isJson, name] = /^(json )?\.(\w*)$/.exec(action) ?? [];
    if (name === '' && isJson) return JSON.stringify(fields);
    const value = name !== undefined && Object.hasOwn(fields, name) ? fields[name]! : undefined;
    if (value === undefined)
      throw new UsageError(
        `--format: {{${action}}} is not known`,
        `Known are ${Object.keys(fields)
          .map((key) => `{{.${key}}}`)
          .join(', ')} and {{.Label "NAME"}}.`,
      );
    return isJson ? JSON.stringify(value) : value;
  });
}

/** Puts values at paths such as `.info.info.pid` in their places; objects as JSON. Throws UsageError for a path to nothing. */
export function expandPaths(template: string, value: unknown): string {
  return expand(template, (action) => {
    const [, isJson, path] = /^(json )?((?:\.[\w-]+)+|\.)$/.exec(action) ?? [];
    if (path === undefined)
      throw new UsageError(
        `--format: {{${action}}} is not known`,
        'It is a path such as {{.state}}, or {{json .labels}}.',
      );
    const found = path
      .split('.')
      .filter((key) => key !== '')
      .reduce<unknown>(
        (inner, key) =>
          typeof inner === 'object' && inner !== null && Object.hasOwn(inner, key)
            ? (inner as Record<string, unknown>)[key]
            : undefined,
        value,
      );
    if (found === undefined)
      throw new UsageError(`--format: there is nothing at ${path}`, 'Without --format all paths are shown.');
    return isJson || typeof found === 'object' ? JSON.stringify(found, exact) : String(found);
  });
}

function expand(template: string, replace: (action: string) => string): string {
  return template.replaceAll(/\{\{\s*(.*?)\s*\}\}/g, (_, action: string) => replace(action));
}

function exact(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
