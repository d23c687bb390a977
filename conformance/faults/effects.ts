/**
 * Sees every call by which the daemon changes the machine, and in which named step it is made: so that a step which has no
 * name is found, and a name that no effect stands behind. Loaded before the daemon by preload.ts, which only tests load.
 *
 * Watched are writing functions of node:fs, statements of node:sqlite, and the writing functions of libc that are called
 * through FFI: mounts, processes, signals, netlink. Written to a socket is much that changes nothing; it counts for the step
 * that does it, and is no offence outside of one.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import koffi from 'koffi';
import type { StepName } from '#base/step.ts';

/** What was seen, as it stands in the file. */
export interface SeenEffects {
  /** Number of effects by the step that made them. */
  readonly steps: Readonly<Record<string, number>>;
  /** Effects outside of any step: what, and the places in our source that led to it, innermost first. */
  readonly outside: readonly {
    readonly call: string;
    readonly places: readonly string[];
    readonly count: number;
  }[];
}

const fsFunctions = [
  'appendFile',
  'chmod',
  'chown',
  'copyFile',
  'cp',
  'createWriteStream',
  'fchmod',
  'fchown',
  'ftruncate',
  'lchown',
  'link',
  'lutimes',
  'mkdir',
  'mkdtemp',
  'rename',
  'rm',
  'rmdir',
  'symlink',
  'truncate',
  'unlink',
  'utimes',
  'writeFile',
];

const libcFunctions = new Set([
  'fchown',
  'fsetxattr',
  'futimens',
  'kill',
  'lsetxattr',
  'mkdirat',
  'mknod',
  'mount',
  'posix_spawn',
  'send',
  'umount2',
  'utimensat',
]);

/** System calls by number, x86-64 and arm64 alike: move_mount, mount_setattr. */
const systemCalls = new Map([
  [429, 'move_mount'],
  [442, 'mount_setattr'],
]);

type Call = (...args: unknown[]) => unknown;

/** The steps that a call is within: of one operation that is part of another there are two. */
const current = new AsyncLocalStorage<readonly StepName[]>();
const steps = new Map<StepName, number>();
const outside = new Map<string, { call: string; places: readonly string[]; count: number }>();
/** BERTH_EFFECTS_FROM_START: from the first module on. */
let isOn = process.env.BERTH_EFFECTS_FROM_START !== undefined;

function see(call: string): void {
  if (!isOn) return;
  const within = current.getStore();
  if (within) {
    for (const step of within) steps.set(step, (steps.get(step) ?? 0) + 1);
    return;
  }
  if (call === 'write to a socket') return;
  const places = placesOf(new Error('place').stack ?? '');
  const key = `${call} ${places.join(' ')}`;
  const known = outside.get(key) ?? { call, places, count: 0 };
  known.count += 1;
  outside.set(key, known);
}

const shownPlaces = 6;
const placePattern =
  /at (?:async )?(?:(\S+)[^(\n]* \()?file:\/\/\S*?\/((?:base|host|state|images|network|runtime|cri|daemon)\/\S+?\.ts):(\d+)/g;

function placesOf(stack: string): string[] {
  return [...stack.matchAll(placePattern)]
    .slice(0, shownPlaces)
    .map(([, name, file, line]) => `${file}:${line} ${name ?? ''}`.trim());
}

function watched(call: string, work: Call): Call {
  return function (this: unknown, ...args: unknown[]) {
    see(call);
    return work.apply(this, args);
  };
}

function watchFs(): void {
  const { promises } = fs;
  for (const name of fsFunctions)
    for (const [target, key] of [
      [fs, name],
      [fs, `${name}Sync`],
      [promises, name],
    ] as const) {
      const table = target as unknown as Record<string, Call | undefined>;
      const work = table[key];
      if (work) table[key] = watched(key, work);
    }
  for (const [target, key] of [
    [fs, 'openSync'],
    [fs, 'open'],
    [promises, 'open'],
  ] as const) {
    const table = target as unknown as Record<string, Call>;
    const work = table[key]!;
    table[key] = function (this: unknown, ...args: unknown[]) {
      if (args[0] !== '/dev/null' && isWriting(args[1])) see(key);
      return work.apply(this, args);
    };
  }
  syncBuiltinESMExports();
}

function isWriting(flags: unknown): boolean {
  const { O_WRONLY, O_RDWR } = fs.constants;
  return typeof flags === 'number' ? (flags & (O_WRONLY | O_RDWR)) !== 0 : /[wa+]/.test(String(flags ?? 'r'));
}

function watchLibc(): void {
  const load = koffi.load.bind(koffi) as (...args: unknown[]) => { func: Call };
  const replaced = (...args: unknown[]) => {
    const library = load(...args);
    const func = library.func.bind(library) as (...args: unknown[]) => Call & { async: Call };
    const declare = (...declaration: unknown[]) => {
      const work = func(...declaration);
      const name = /(\w+)\s*\(/.exec(String(declaration[0]))?.[1] ?? String(declaration[1]);
      if (name !== 'syscall' && !libcFunctions.has(name)) return work;
      const report = (args: unknown[]) => {
        const call = name === 'syscall' ? systemCalls.get(Number(args[0])) : name;
        // Signal 0 asks whether a process is there.
        if (call !== undefined && !(call === 'kill' && args[1] === 0)) see(call);
      };
      const call = (...args: unknown[]) => {
        report(args);
        return work(...args);
      };
      return Object.assign(call, {
        async: (...args: unknown[]) => {
          report(args);
          return work.async(...args);
        },
      });
    };
    return new Proxy(library, {
      get: (target, key) => (key === 'func' ? declare : Reflect.get(target, key)),
    });
  };
  (koffi as unknown as { load: unknown }).load = replaced;
}

function watchPrototypes(): void {
  const table = (prototype: object) => prototype as Record<string, Call>;
  const statement = table(StatementSync.prototype);
  statement.run = watched('state record', statement.run!);
  const database = table(DatabaseSync.prototype);
  database.exec = watched('state record', database.exec!);
  const socket = table(Socket.prototype);
  socket.write = watched('write to a socket', socket.write!);
}

/**
 * Begins to watch. The first SIGPWR starts the account, unless it is on from the start; every one writes it to `file`, as it stands. Call before any module
 * of the daemon is loaded.
 */
export function watchEffects(file: string): { within: <T>(name: StepName, work: () => T) => T } {
  const write = fs.writeFileSync;
  const rename = fs.renameSync;
  watchFs();
  watchLibc();
  watchPrototypes();
  process.on('SIGPWR', () => {
    const seen: SeenEffects = { steps: Object.fromEntries(steps), outside: [...outside.values()] };
    write(`${file}.new`, JSON.stringify(seen));
    rename(`${file}.new`, file);
    isOn = true;
  });
  return { within: (name, work) => current.run([...(current.getStore() ?? []), name], work) };
}
