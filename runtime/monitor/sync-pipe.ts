/** conmon's sync pipe: one line of JSON that says whether the OCI runtime made the container (conmon 2.1, src/parent_pipe_fd.c). */
import { Socket } from 'node:net';

export interface MonitorAnswer {
  /** The container's process; -1 if there is none. */
  readonly pid: number;
  /** The OCI runtime's words; '' if it said nothing. */
  readonly message: string;
}

/** conmon passes on what the OCI runtime wrote to stderr, which is not more than some lines. */
const longestAnswerBytes = 1 << 20;
const highestPid = 2 ** 22;

/** Reads the pipe to the first line or its end, or as much as an answer may be, and closes it. Rejects with Node's error. */
export function readAnswer(fd: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd, readable: true, writable: false });
    const chunks: Buffer[] = [];
    let length = 0;
    const finish = (outcome: () => void) => {
      socket.destroy();
      outcome();
    };
    const text = () => Buffer.concat(chunks).toString('utf8');
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (chunk.includes(0x0a) || length >= longestAnswerBytes) finish(() => resolve(text()));
    });
    socket.once('end', () => finish(() => resolve(text())));
    socket.once('error', (error) => finish(() => reject(error)));
  });
}

/**
 * The answer in the first line of `text`; undefined if it is empty. conmon escapes only some control characters, and passes
 * the runtime's bytes raw: what JSON refuses is cleaned first. A line that is no answer is taken for the words of a failure.
 */
export function parseAnswer(text: string): MonitorAnswer | undefined {
  const line = text.split('\n', 1)[0] ?? '';
  if (line.trim() === '') return undefined;
  const failed: MonitorAnswer = { pid: -1, message: line };
  let answer: { pid?: unknown; data?: unknown; message?: unknown } | null;
  try {
    answer = JSON.parse(line.replace(/[\u0000-\u001f]/g, ' ')) as typeof answer;
  } catch {
    return failed; // the words are still the best explanation there is
  }
  if (typeof answer !== 'object' || answer === null) return failed;
  const pid = answer.pid ?? answer.data;
  const isPid = typeof pid === 'number' && Number.isSafeInteger(pid) && pid <= highestPid;
  return { pid: isPid ? pid : -1, message: typeof answer.message === 'string' ? answer.message : '' };
}
