/** Reads the daemon's log of a run: every warning and error in it must be one that the suite is known to provoke. */
import { existsSync, readFileSync } from 'node:fs';

/** A line of pino's log; levels are 40 for a warning, 50 for an error, 60 for the end. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly rpc?: string;
  /** With `protocol`: a streaming session begins. */
  readonly transport?: string;
  readonly protocol?: string;
}

export interface Explanation {
  fits(line: LogLine): boolean;
  readonly reason: string;
}

const explanations: readonly Explanation[] = [
  {
    fits: ({ rpc, msg }) => rpc === 'PullImage' && msg.includes("the client's deadline has passed"),
    reason: 'the suite pulls with a deadline of one millisecond',
  },
  {
    fits: ({ rpc, msg }) => rpc === 'ExecSync' && /no end within \d+ ms, killed$/.test(msg),
    reason: 'the suite runs a command that outlasts its timeout',
  },
];

export interface LogReview {
  /** Text and number of warnings and errors that nothing explains; ids and numbers in the text are left out. */
  readonly unexplained: ReadonlyMap<string, number>;
  /** The reasons of the others, with how often each was met. */
  readonly explained: ReadonlyMap<string, number>;
  /** How often a streaming session spoke which protocol, such as `websocket v5.channel.k8s.io`. */
  readonly sessions: ReadonlyMap<string, number>;
}

/** Reviews the log from its first line; `known` are the explanations, the suite's unless given. A line that is not JSON was written past the logger and counts as unexplained. */
export function reviewLog(file: string, known: readonly Explanation[] = explanations): LogReview {
  const unexplained = new Map<string, number>();
  const explained = new Map<string, number>();
  const sessions = new Map<string, number>();
  const count = (map: Map<string, number>, text: string): void => {
    map.set(text, (map.get(text) ?? 0) + 1);
  };
  for (const text of existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []) {
    if (text === '') continue;
    const line = parseLine(text);
    if (line === undefined) count(unexplained, `no log line: ${text.slice(0, 200)}`);
    else if (line.protocol !== undefined) count(sessions, `${line.transport} ${line.protocol}`);
    else if (line.level >= 40) {
      const match = known.find(({ fits }) => fits(line));
      if (match !== undefined) count(explained, match.reason);
      else count(unexplained, `${line.level >= 50 ? 'error' : 'warning'}: ${generalise(line.msg)}`);
    }
  }
  return { unexplained, explained, sessions };
}

/** A line per kind of warning that nothing explains; empty when there is none. */
export function formatReview({ unexplained }: LogReview): string[] {
  return [...unexplained].map(([text, times]) => `${times} times ${text}`);
}

function parseLine(text: string): LogLine | undefined {
  try {
    const line = JSON.parse(text) as Partial<LogLine>;
    return typeof line.level === 'number' ? { ...line, level: line.level, msg: line.msg ?? '' } : undefined;
  } catch {
    return undefined;
  }
}

function generalise(message: string): string {
  return message
    .replace(/\b[0-9a-f]{12,}\b/g, 'ID')
    .replace(/\d+(\.\d+)?/g, 'N')
    .slice(0, 400);
}
