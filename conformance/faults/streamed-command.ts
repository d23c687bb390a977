/** A client of the URLs that Exec and Attach give, over a WebSocket (subprotocol v5 of `channel.k8s.io`). */
import type { FaultBed } from './bed.ts';

const channels = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4 } as const;
/** A message of this number says that the channel which it names has ended. */
const endOfChannel = 255;
const defaultDeadlineMs = 60_000;
const resizeMs = 100;

export interface Conversation {
  /** What is typed at once; then the standard input ends, unless it is a terminal's. */
  readonly input?: string;
  /** Of a terminal, in characters. */
  readonly size?: { readonly Width: number; readonly Height: number };
  /** When enough has been heard of a process that does not end: then the client leaves. */
  readonly isEnough?: (output: string) => boolean;
  readonly hasTerminal?: boolean;
}

/** Talks to the process behind the URL, to its end. Rejects as `FaultBed.call`, and when the process failed. */
export function converse(bed: FaultBed, what: string, url: string, talk: Conversation): Promise<string> {
  return bed.guard(what, () => session(what, url, talk, bed.deadlineMs ?? defaultDeadlineMs));
}

function session(
  what: string,
  url: string,
  { input, size, isEnough, hasTerminal = false }: Conversation,
  deadlineMs: number,
): Promise<string> {
  const socket = new WebSocket(url, ['v5.channel.k8s.io']);
  socket.binaryType = 'arraybuffer';
  let repeat: NodeJS.Timeout | undefined;
  const heard: Record<number, string> = {};
  const send = (channel: number, payload: string) =>
    socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(payload)]));
  return new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`${what}: DEADLINE_EXCEEDED, the client waited ${deadlineMs} ms`));
      socket.close();
    }, deadlineMs);
    socket.onopen = () => {
      // Nothing tells whether it came to anything.
      if (size) {
        const resize = () => send(channels.resize, JSON.stringify(size));
        resize();
        repeat = setInterval(resize, resizeMs);
      }
      if (input !== undefined) send(channels.stdin, input);
      if (input !== undefined && !hasTerminal) socket.send(Buffer.of(endOfChannel, channels.stdin));
    };
    socket.onmessage = ({ data }) => {
      const message = Buffer.from(data as ArrayBuffer);
      const channel = message[0]!;
      heard[channel] = (heard[channel] ?? '') + message.subarray(1).toString();
      if (isEnough?.(heard[channels.stdout] ?? '') !== true) return;
      resolve(heard[channels.stdout]!);
      socket.close();
    };
    socket.onclose = () => {
      clearTimeout(timer);
      clearInterval(repeat);
      const status = heard[channels.status];
      const output = heard[channels.stdout] ?? '';
      if (status === undefined) reject(new Error(`${what}: ECONNRESET, the connection ended`));
      else if ((JSON.parse(status) as { status?: string }).status === 'Success') resolve(output);
      else reject(new Error(`${what}: ${status}`));
    };
    socket.onerror = () => {}; // `onclose` follows
  });
}
