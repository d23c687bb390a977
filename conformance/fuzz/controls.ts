/**
 * Processes of the fuzzer's own that ask the kernel again and again for what the daemon asks it for, each for one kind of thing. What
 * makes the daemon wait for the machine (a lock in the kernel, a busy disk) makes these wait as long; what is the daemon's own
 * fault does not.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';

/** One turn of each: `$1` is a folder of its own, `$2` a control group. */
const scripts = {
  program: '/bin/true',
  disk: 'dd if=/dev/zero of="$1/draft" bs=4096 count=1 conv=fsync 2>/dev/null; mv "$1/draft" "$1/file"',
  mount: 'mount -t tmpfs control "$1"; umount "$1"',
  network: 'unshare --net ip link add control0 type veth peer name control1',
  'control group': 'mkdir "$2/inner"; sh -c \'echo 0 > "$1/cgroup.procs"\' move "$2/inner"; rmdir "$2/inner"',
} as const;

export type ControlKind = keyof typeof scripts;

/** By the kernel's functions on a stack: what is waited for, the closer first. */
const kindsOfWaits: readonly [RegExp, ControlKind][] = [
  [/cgroup|css_|percpu_rwsem|freezer/, 'control group'],
  [/rtnl|rtnetlink|netlink|net_ns|setup_net|netdev/, 'network'],
  [/ext4|jbd2|xfs|btrfs|fsync|writeback|balance_dirty|folio|blk_|bio_|io_schedule/, 'disk'],
  [/mount|namespace_sem|mnt_|super/, 'mount'],
  [/clone|fork|exec|vfork/, 'program'],
];

/** What a thread with this kernel stack waits for; undefined if none of the controls does the like. */
export function kindOfWait(stack: string): ControlKind | undefined {
  return kindsOfWaits.find(([names]) => names.test(stack))?.[1];
}

const pauseSeconds = 0.2;
/** Shorter turns are as they should be. */
const longTurnMs = 400;

interface Turn {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Of the monotonic clock, which all processes share. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** How much of the time from `fromMs` to `toMs` was within long turns, ms. */
export function timeWithin(turns: readonly Turn[], fromMs: number, toMs: number): number {
  return turns
    .filter((turn) => turn.toMs - turn.fromMs > longTurnMs)
    .reduce((sum, turn) => sum + Math.max(0, Math.min(turn.toMs, toMs) - Math.max(turn.fromMs, fromMs)), 0);
}

class Control {
  readonly #child: ChildProcess;
  readonly #turns: Turn[] = [];
  #turnFromMs: number | undefined;

  constructor(script: string, folder: string, group: string) {
    const loop = `while echo begin; do { ${script}; } 2>/dev/null || :; echo end; sleep ${pauseSeconds}; done`;
    this.#child = spawn('sh', ['-c', loop, 'control', folder, group], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    this.#child.stdout!.setEncoding('latin1');
    this.#child.stdout!.on('data', (text: string) => {
      for (const word of text.split('\n')) this.#hear(word);
    });
  }

  #hear(word: string): void {
    if (word === 'begin') this.#turnFromMs = monotonicMs();
    if (word !== 'end' || this.#turnFromMs === undefined) return;
    const turn = { fromMs: this.#turnFromMs, toMs: monotonicMs() };
    if (turn.toMs - turn.fromMs > longTurnMs) this.#turns.push(turn);
    this.#turnFromMs = undefined;
  }

  waitedMs(fromMs: number, toMs: number): number {
    const now = this.#turnFromMs === undefined ? [] : [{ fromMs: this.#turnFromMs, toMs: monotonicMs() }];
    return Math.round(timeWithin([...this.#turns, ...now], fromMs, toMs));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    // It ends when what it says is not heard any more, so that no turn is left half done.
    this.#child.stdout!.destroy();
    await gone;
  }
}

export class Controls {
  readonly #all: ReadonlyMap<ControlKind, Control>;
  readonly #group: string;

  /** Works in the folder `dir` and in a control group named `name`. */
  constructor(dir: string, name: string) {
    const root = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup';
    this.#group = join(root, `${name}-control`);
    mkdirSync(this.#group, { recursive: true });
    const kinds = Object.entries(scripts) as [ControlKind, string][];
    this.#all = new Map(
      kinds.map(([kind, script]) => {
        const folder = join(dir, 'controls', kind);
        mkdirSync(folder, { recursive: true });
        return [kind, new Control(script, folder, this.#group)];
      }),
    );
  }

  /** By kind: how much of that time the control waited, ms; 0 if its turns were as short as ever. */
  waitedMs(fromMs: number, toMs: number): Record<ControlKind, number> {
    const entries = [...this.#all].map(([kind, control]) => [kind, control.waitedMs(fromMs, toMs)]);
    return Object.fromEntries(entries) as Record<ControlKind, number>;
  }

  get pids(): number[] {
    return [...this.#all.values()].map(({ pid }) => pid);
  }

  async end(): Promise<void> {
    await Promise.all([...this.#all.values()].map((control) => control.end()));
    if (existsSync(this.#group)) rmdirSync(this.#group);
  }
}
