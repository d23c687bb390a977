/** The daemon's log: JSON lines for machines, text for people on a terminal. */
import pino, { type DestinationStream } from 'pino';
import type { Log } from '#base/log.ts';

export interface LogOptions {
  readonly level: string;
  readonly format: 'auto' | 'json' | 'pretty';
}

/**
 * Writes to stderr, at once and in order: what was logged before a crash is there to be read. The text form is made in
 * this thread by pino-pretty, which is loaded only then; where it is not installed, JSON is written.
 */
export async function createLog(options: LogOptions): Promise<Log> {
  const wantsPretty = options.format === 'pretty' || (options.format === 'auto' && process.stderr.isTTY);
  const pretty = wantsPretty ? await prettyStream() : undefined;
  const base = pretty === undefined ? { pid: process.pid } : null;
  const log = pino(
    { level: options.level, base, timestamp: pino.stdTimeFunctions.isoTime },
    pretty ?? pino.destination({ fd: 2, sync: true }),
  );
  if (wantsPretty && pretty === undefined) log.warn('pino-pretty is not installed: logging JSON');
  return log;
}

async function prettyStream(): Promise<DestinationStream | undefined> {
  try {
    const { default: build } = await import('pino-pretty');
    return build({ destination: 2, sync: true, colorize: process.stderr.isTTY, translateTime: 'HH:MM:ss.l' });
  } catch {
    return undefined; // not installed: it is no dependency of a packaged daemon
  }
}
