import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseCommandLine } from './command-line.ts';
import { changedOptions, withReloadable } from './compare.ts';
import { ConfigError } from './config-error.ts';
import { keyLines } from './key-lines.ts';
import { loadConfig } from './load.ts';
import { dumpConfig, sampleFile } from './render.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'berth-config-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, content: string): string {
  const path = join(dir, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

function load(...args: string[]) {
  return loadConfig(parseCommandLine(args), join(dir, 'absent.toml'));
}

function problemsOf(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('no problem was found');
}

describe('loadConfig', () => {
  test('without any file gives the defaults', () => {
    const config = load();
    expect(config.server.socketMode).toBe(0o660);
    expect(config.handlers).toEqual({ crun: { path: '', type: 'crun' }, runc: { path: '', type: 'runc' } });
  });

  test('drop-ins win over the file in order of their names, flags over both', () => {
    const path = write(
      'config.toml',
      '[log]\nlevel = "debug"\n[images]\npinned = ["a"]\nmax_parallel_downloads = 2\n',
    );
    write('config.toml.d/20-b.toml', '[images]\npinned = ["c"]\n');
    write('config.toml.d/10-a.toml', '[images]\npinned = ["b"]\n');
    write('config.toml.d/30-ignored.txt', 'nonsense');
    const config = load('--config', path, '--images-max-parallel-downloads=9');
    expect(config.log.level).toBe('debug');
    expect(config.images.pinned).toEqual(['c']);
    expect(config.images.maxParallelDownloads).toBe(9);
  });

  test('every mistake is reported, with file, line, key and the nearest known key', () => {
    const path = write(
      'config.toml',
      [
        '[images]',
        'pinned = [',
        '  "level = 1", # not a key',
        ']',
        'max_paralel_downloads = 2',
        '[log]',
        'level = "loud"',
        '[network]',
        'default_subnet_v4 = "10.0.0.0/33"',
        '[netwrok]',
        'x = 1',
        '[handlers.kata]',
        'binary = "/usr/bin/kata"',
      ].join('\n'),
    );
    const problems = problemsOf(() => load('--config', path));
    expect(problems).toEqual([
      `${path}:5: images.max_paralel_downloads: unknown key: did you mean max_parallel_downloads?`,
      `${path}:7: log.level: must be one of "trace", "debug", "info", "warn", "error", not "loud"`,
      `${path}:9: network.default_subnet_v4: must be an IPv4 subnet such as "10.88.0.0/16", "auto" or "", not "10.0.0.0/33"`,
      `${path}:10: netwrok: unknown section: did you mean [network]?`,
      `${path}:13: handlers.kata.binary: unknown key`,
    ]);
  });

  test('a key outside its section, a syntax error, an absent file and an absent handler are explained', () => {
    const path = write('a.toml', 'socket = "/x"\n');
    expect(problemsOf(() => load('--config', path))).toEqual([
      `${path}:1: socket: unknown key: it belongs into [server]`,
    ]);
    const broken = write('b.toml', '[log]\nlevel = \n');
    expect(problemsOf(() => load('--config', broken))[0]).toMatch(`${broken}:2: `);
    expect(problemsOf(() => load('--config', join(dir, 'no.toml')))[0]).toMatch(
      /no\.toml: cannot be read: ENOENT/,
    );
    expect(problemsOf(() => load('--runtime-default-handler', 'run'))).toEqual([
      '--runtime-default-handler: no [handlers.run]: did you mean "crun"?',
    ]);
    expect(problemsOf(() => load('--log-levle', 'info'))).toEqual([
      'unknown flag --log-levle: did you mean --log-level?',
    ]);
    expect(problemsOf(() => load('--streaming-port=http'))).toEqual([
      '--streaming-port: must be a whole number from 0 to 65535, not "http"',
    ]);
  });

  test('a handler section adds to the known ones and changes one by one member', () => {
    const path = write(
      'config.toml',
      '[handlers.crun]\npath = "/opt/crun"\n[handlers.slow]\ntype = "runc"\n',
    );
    expect(load('--config', path).handlers).toEqual({
      crun: { path: '/opt/crun', type: 'crun' },
      runc: { path: '', type: 'runc' },
      slow: { path: '', type: 'runc' },
    });
  });
});

test('the dumped configuration and the uncommented sample load to what they show', () => {
  const config = load('--images-pinned=a,b', '--socket', '/x/y.sock', '--server-socket-mode=0600');
  const dumped = write('dump.toml', dumpConfig(config));
  expect(load('--config', dumped)).toEqual(config);
  const sample = sampleFile()
    .split('\n')
    .filter((line) => /^(\[|# (\[|\w+ = ))/.test(line))
    .map((line) => line.replace(/^# /, ''))
    .join('\n');
  expect(load('--config', write('sample.toml', sample))).toEqual(load());
});

test('a reload tells what applies and what needs a restart', () => {
  const before = load();
  const after = load('--log-level=debug', '--socket=/other.sock');
  expect(changedOptions(before, after)).toEqual([
    { name: 'server.socket', isReloadable: false },
    { name: 'log.level', isReloadable: true },
  ]);
  const merged = withReloadable(before, after);
  expect(merged.log.level).toBe('debug');
  expect(merged.server.socket).toBe(before.server.socket);
});

test('key lines see through strings, lists and inline tables', () => {
  const lines = keyLines('a = """\nb = 1\n"""\nc.d = [ # [x]\n "]", \n]\n["e.f"]\n\'g\' = { h = 1 }\n');
  expect([...lines]).toEqual([
    ['a', 1],
    ['c', 4],
    ['c.d', 4],
    ['e.f', 7],
    ['e.f.g', 8],
  ]);
});
