/** What /proc says of processes that do not go on, and of the machine around them (proc(5)). */
import { readdirSync, readFileSync } from 'node:fs';
import { listDescendants } from '#host/proc.ts';

const mostFrames = 16;
const mostProcesses = 60;

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch (error) {
    return `(${(error as { code?: string }).code})`;
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // gone
  }
}

const numbersIn = (path: string): number[] => namesIn(path).map(Number).filter(Number.isInteger);

const indented = (text: string): string => text.replace(/^/gm, '      ');

function tellTask(pid: number, task: number): string {
  const dir = `/proc/${pid}/task/${task}`;
  const status = read(`${dir}/status`);
  const field = (name: string) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const switches = `${field('voluntary_ctxt_switches')} + ${field('nonvoluntary_ctxt_switches')}`;
  return [
    `    ${task} ${read(`${dir}/comm`)}: ${field('State')}, in ${read(`${dir}/wchan`)}, switches ${switches}`,
    `      syscall ${read(`${dir}/syscall`)}, schedstat ${read(`${dir}/schedstat`)}`,
    indented(read(`${dir}/stack`).split('\n').slice(0, mostFrames).join('\n')),
  ].join('\n');
}

/** Nothing of its memory is asked for, such as its command line: that would wait with it for the lock of its memory map. */
function tellProcess(pid: number): string {
  const tasks = numbersIn(`/proc/${pid}/task`).map((task) => tellTask(pid, task));
  return `  process ${pid} ${read(`/proc/${pid}/comm`)}\n${tasks.join('\n')}`;
}

/** Processes in uninterruptible sleep: one of them may hold what others wait for. */
function stuckProcesses(): number[] {
  return numbersIn('/proc').filter((pid) => read(`/proc/${pid}/stat`).split(') ').at(-1)?.startsWith('D'));
}

/** Threads, wait channels and kernel stacks of `pid`, its descendants, `others`, and of what stands still elsewhere. */
export function gatherEvidence(pid: number, others: readonly number[]): string {
  const told = new Set<number>();
  const tell = (title: string, pids: readonly number[]): string => {
    const fresh = pids.filter((each) => !told.has(each)).slice(0, mostProcesses);
    for (const each of fresh) told.add(each);
    return `${title}\n${fresh.map(tellProcess).join('\n')}`;
  };
  const machine = [
    `loadavg ${read('/proc/loadavg')}`,
    ...namesIn('/proc/pressure').map((name) => `${name} pressure:\n${read(`/proc/pressure/${name}`)}`),
    read('/proc/meminfo')
      .split('\n')
      .filter((line) => /^(MemFree|MemAvailable|Dirty|Writeback|SwapFree):/.test(line))
      .join('\n'),
    read('/proc/stat')
      .split('\n')
      .filter((line) => /^(cpu|procs_|ctxt|processes)/.test(line))
      .join('\n'),
  ];
  return [
    tell('the daemon:', [pid]),
    tell('what it started:', listDescendants(pid)),
    tell(
      'the controls:',
      others.flatMap((each) => [each, ...listDescendants(each)]),
    ),
    tell('others in uninterruptible sleep:', stuckProcesses()),
    'the machine:',
    indented(machine.join('\n')),
  ].join('\n');
}
