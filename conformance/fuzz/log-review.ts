/** Reads the daemon's log for what only a bug of ours writes. */
import { closeSync, openSync, readSync } from 'node:fs';

const bugTypes = new Set(['TypeError', 'ReferenceError', 'RangeError', 'AssertionError']);

interface LoggedError {
  readonly type?: string;
  readonly message?: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

/** The type of the first programming error among an error and its causes. */
function bugOf(error: LoggedError | undefined): LoggedError | undefined {
  if (!error) return undefined;
  return bugTypes.has(error.type ?? '') ? error : bugOf(error.cause);
}

function* linesOf(path: string): Generator<string> {
  const fd = openSync(path, 'r');
  const chunk = Buffer.alloc(1 << 20);
  let rest: Buffer = Buffer.alloc(0);
  try {
    for (let length = readSync(fd, chunk); length > 0; length = readSync(fd, chunk)) {
      rest = Buffer.concat([rest, chunk.subarray(0, length)]);
      let start = 0;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, start)) {
        yield rest.toString('utf8', start, end);
        start = end + 1;
      }
      rest = rest.subarray(start);
    }
  } finally {
    closeSync(fd);
  }
}

/** What is wrong with the log, each kind once. */
export function reviewLog(path: string): string[] {
  const found = new Map<string, string>();
  for (const line of linesOf(path)) {
    if (!line.startsWith('{')) {
      if (line.trim() !== '' && !/^(\s|fault: |\(node:|\(Use `node)/.test(line))
        found.set(`text ${line.slice(0, 40)}`, line);
      continue;
    }
    if (!line.includes('Error') && !line.includes('"level":60')) continue;
    const entry = JSON.parse(line) as { level?: number; msg?: string; err?: LoggedError };
    const bug = bugOf(entry.err);
    if (bug)
      found.set(`${bug.type} ${bug.stack?.split('\n')[1]}`, `${entry.msg}: ${bug.stack ?? bug.message}`);
    else if ((entry.level ?? 0) >= 60) found.set(entry.msg ?? line, entry.msg ?? line);
  }
  return [...found.values()].map((words) => words.slice(0, 600));
}
