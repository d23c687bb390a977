import { type Config, camelCase, optionRows } from './options.ts';

export interface ConfigChange {
  /** `images.pinned`; for handlers, `handlers`. */
  readonly name: string;
  readonly isReloadable: boolean;
}

/** The options whose values differ. */
export function changedOptions(before: Config, after: Config): ConfigChange[] {
  const textOf = (config: Config, section: string, key: string): string =>
    JSON.stringify((config as unknown as Record<string, Record<string, unknown>>)[section]?.[camelCase(key)]);
  const changes: ConfigChange[] = optionRows()
    .filter(({ section, key }) => textOf(before, section, key) !== textOf(after, section, key))
    .map(({ name, option }) => ({ name, isReloadable: option.isReloadable }));
  if (JSON.stringify(before.handlers) !== JSON.stringify(after.handlers)) {
    changes.push({ name: 'handlers', isReloadable: false });
  }
  return changes;
}

/** `before` with the reloadable options of `after`. */
export function withReloadable(before: Config, after: Config): Config {
  const merged = structuredClone(before) as unknown as Record<string, Record<string, unknown>>;
  for (const { section, key, option } of optionRows()) {
    if (!option.isReloadable) continue;
    merged[section]![camelCase(key)] = (after as unknown as typeof merged)[section]![camelCase(key)];
  }
  return merged as unknown as Config;
}
