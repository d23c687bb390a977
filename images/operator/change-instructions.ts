/**
 * Changes of an image's config in the words of a Dockerfile (`CMD`, `ENV`, ...), for commit. Pure. The config keeps whatever
 * else it has.
 */
import { RuntimeError } from '#base/errors.ts';

type Json = Record<string, unknown>;

function refuse(line: string, why: string): never {
  throw new RuntimeError('InvalidArgument', `change ${JSON.stringify(line.slice(0, 200))}: ${why}`);
}

/** `["a", "b"]`, or words for a shell. */
function command(line: string, rest: string): string[] {
  if (!rest.startsWith('[')) return ['/bin/sh', '-c', rest];
  let value: unknown;
  try {
    value = JSON.parse(rest);
  } catch {
    refuse(line, 'its list is not JSON');
  }
  if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
    refuse(line, 'its list is not one of strings');
  return value as string[];
}

/** Words split at blanks, quotes taken off, as in `A="x y" B=z`. */
function words(text: string): string[] {
  return [...text.matchAll(/(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s"'])+/g)].map(([word]) =>
    word.replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_all, double?: string, single?: string) =>
      double === undefined ? (single ?? '') : double.replaceAll(/\\(.)/g, '$1'),
    ),
  );
}

/** `A=b C=d`, or `A b c` as one. */
function pairs(line: string, rest: string): (readonly [string, string])[] {
  const first = /^\S*/.exec(rest)![0];
  if (!first.includes('=')) {
    const space = rest.search(/\s/);
    if (space < 0) refuse(line, 'it is to be NAME=VALUE');
    return [[rest.slice(0, space), rest.slice(space).trim()]];
  }
  return words(rest).map((word) => {
    const at = word.indexOf('=');
    if (at < 1) refuse(line, 'it is to be NAME=VALUE');
    return [word.slice(0, at), word.slice(at + 1)];
  });
}

const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};

const appliers: Readonly<Record<string, (config: Json, rest: string, line: string) => Json>> = {
  CMD: (config, rest, line) => ({ ...config, Cmd: command(line, rest) }),
  // As docker build: a new entrypoint leaves the old one's arguments.
  ENTRYPOINT: (config, rest, line) => ({ ...config, Entrypoint: command(line, rest) }),
  ENV: (config, rest, line) => {
    const added = pairs(line, rest);
    const names = new Set(added.map(([name]) => name));
    const kept = (Array.isArray(config.Env) ? (config.Env as string[]) : []).filter(
      (entry) => !names.has(entry.split('=')[0]!),
    );
    return { ...config, Env: [...kept, ...added.map(([name, value]) => `${name}=${value}`)] };
  },
  LABEL: (config, rest, line) => ({
    ...config,
    Labels: { ...object(config.Labels), ...Object.fromEntries(pairs(line, rest)) },
  }),
  EXPOSE: (config, rest, line) => {
    const ports = words(rest).map((port) => {
      if (!/^\d{1,5}(-\d{1,5})?(\/(tcp|udp|sctp))?$/.test(port)) refuse(line, `${port} is no port`);
      return [port.includes('/') ? port : `${port}/tcp`, {}];
    });
    return { ...config, ExposedPorts: { ...object(config.ExposedPorts), ...Object.fromEntries(ports) } };
  },
  VOLUME: (config, rest, line) => {
    const paths = rest.startsWith('[') ? command(line, rest) : words(rest);
    const volumes = Object.fromEntries(paths.map((path) => [path, {}]));
    return { ...config, Volumes: { ...object(config.Volumes), ...volumes } };
  },
  USER: (config, rest) => ({ ...config, User: rest }),
  WORKDIR: (config, rest, line) => {
    const before =
      typeof config.WorkingDir === 'string' && config.WorkingDir !== '' ? config.WorkingDir : '/';
    if (rest.includes('\0')) refuse(line, 'no path');
    return { ...config, WorkingDir: rest.startsWith('/') ? rest : `${before.replace(/\/$/, '')}/${rest}` };
  },
  STOPSIGNAL: (config, rest) => ({ ...config, StopSignal: rest }),
};

/** The `config` of an image config after these lines. Throws InvalidArgument naming the line. */
export function applyChanges(config: unknown, lines: readonly string[]): Json {
  let changed = object(config);
  for (const line of lines) {
    const [, name, rest] = /^\s*([A-Za-z]+)[\s=]+([\s\S]*\S)\s*$/.exec(line) ?? [];
    const apply = name === undefined ? undefined : appliers[name.toUpperCase()];
    if (!apply) refuse(line, `it is to begin with one of ${Object.keys(appliers).join(', ')}`);
    changed = apply(changed, rest!, line);
  }
  return changed;
}
