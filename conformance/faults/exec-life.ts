/** Commands in the container of an operator's pod: left to themselves, with pipes, with a terminal. */
import { setTimeout as delay } from 'node:timers/promises';
import type { OperatedPod } from './operator-life.ts';
import { type Conversation, converse } from './streamed-command.ts';

const detached = ['sleep', '54321'];
const lookMs = 20;
const settleMs = 10_000;

/** However often it was tried, one command runs in the end: those of tries that failed have ended. */
export async function runDetached(pod: OperatedPod): Promise<void> {
  const { walk, ask } = pod;
  await ask('ExecDetached', { container_id: walk.containerId, cmd: detached });
  const end = performance.now() + settleMs;
  for (let count = await countDetached(pod); count !== 1; count = await countDetached(pod)) {
    if (performance.now() > end) throw new Error(`${count} detached commands run, not one`);
    await delay(lookMs);
  }
}

async function countDetached({ walk, ask }: OperatedPod): Promise<number> {
  const [reply] = await ask('ListProcesses', { container_id: walk.containerId });
  const { processes } = reply as { processes: { command: string[] }[] };
  return processes.filter(({ command }) => command.join(' ') === detached.join(' ')).length;
}

export async function runAttached(pod: OperatedPod): Promise<void> {
  const input = 'there and back\n';
  const said = await exec(pod, { cmd: ['cat'], stdin: true, stdout: true, stderr: true }, { input });
  if (said !== input) throw new Error(`cat said ${JSON.stringify(said)}`);
}

/** The command waits until its terminal has the size that the client asks for. */
export async function runInTerminal(pod: OperatedPod): Promise<void> {
  const script = 'until test "$(stty size 2>/dev/null)" = "33 99"; do usleep 10000; done; echo fits';
  const said = await exec(
    pod,
    { cmd: ['sh', '-c', script], stdin: true, stdout: true, tty: true },
    { size: { Width: 99, Height: 33 }, hasTerminal: true },
  );
  if (said !== 'fits\r\n') throw new Error(`the command said ${JSON.stringify(said)}`);
}

/** The container's own terminal gets the size that a client asks for who joins it; it prints that. */
export async function resizeAttached({ bed, walk, insist }: OperatedPod): Promise<void> {
  await insist('Attach', async () => {
    const request = { container_id: walk.containerId, stdin: false, stdout: true, stderr: false, tty: true };
    const { url } = await bed.call('Attach', request);
    await converse(bed, 'Attach', url, {
      size: { Width: 77, Height: 22 },
      hasTerminal: true,
      isEnough: (output) => output.includes('22 77'),
    });
  });
}

interface ExecWish {
  readonly cmd: string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr?: boolean;
  readonly tty?: boolean;
}

function exec({ bed, walk, insist }: OperatedPod, wish: ExecWish, talk: Conversation): Promise<string> {
  return insist('Exec', async () => {
    const [reply] = await bed.admin('Exec', { container_id: walk.containerId, ...wish });
    return converse(bed, 'Exec', (reply as { url: string }).url, talk);
  });
}
