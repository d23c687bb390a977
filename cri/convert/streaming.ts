/** Checks that Exec, Attach and ExecSync share. */
import { RuntimeError } from '#base/errors.ts';
import type { ContainerRecord } from '#runtime/container/record.ts';
import { toArguments } from './container-config.ts';
import { invalidField } from './field.ts';

/** A command with at least its program. */
export function toCommand(words: readonly string[]): readonly string[] {
  if (words.length === 0 || words[0] === '') throw invalidField('cmd', 'is empty');
  return toArguments(words, 'cmd');
}

interface Streams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** At least one stream; and a terminal has no stream of errors of its own (CRI api.proto, ExecRequest). */
export function toStreams({ stdin, stdout, stderr, tty }: Streams): Streams {
  if (!stdin && !stdout && !stderr) throw invalidField('stdin, stdout and stderr', 'must not all be false');
  if (tty && stderr) throw invalidField('stderr', 'must be false with tty');
  return { stdin, stdout, stderr, tty };
}

/** `record`, which must be running. */
export function requireRunning(record: ContainerRecord, attempted: string): ContainerRecord {
  if (record.state === 'running') return record;
  throw new RuntimeError(
    'FailedPrecondition',
    `${attempted} container ${record.id}: it is ${record.state}, not running`,
  );
}

/** `record`, which must be running, or be about to: whoever starts it may want to see all of its output. */
export function requireAttachable(record: ContainerRecord): ContainerRecord {
  return record.state === 'created' ? record : requireRunning(record, 'attach to');
}
