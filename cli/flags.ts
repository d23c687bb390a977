/** Flags that many commands share, so that they read alike everywhere. */
import type { Flag } from './command.ts';

/** Taken by every command, before or after its name. */
export const globalFlags: readonly Flag[] = [
  {
    long: 'address',
    kind: 'string',
    valueName: 'SOCKET',
    help: 'socket of the daemon; BERTH_ADDRESS says the same',
    default: '/run/berth/berth.sock',
    complete: 'file',
  },
  { long: 'no-color', kind: 'boolean', help: 'no colours on a terminal; NO_COLOR says the same' },
  { long: 'debug', kind: 'boolean', help: 'show where an error came from' },
  { long: 'help', short: 'h', kind: 'boolean', help: 'show help' },
];

export const jsonFlag: Flag = { long: 'json', kind: 'boolean', help: 'print JSON' };

export const yesFlag: Flag = { long: 'yes', short: 'y', kind: 'boolean', help: 'do not ask' };

/** Of lists: ids and nothing else. */
export const quietFlag: Flag = { long: 'quiet', short: 'q', kind: 'boolean', help: 'print ids only' };

export const noTruncFlag: Flag = {
  long: 'no-trunc',
  kind: 'boolean',
  help: 'do not shorten ids and commands',
};

/** As docker's: `table` or `json`; `--json` is the short way. */
export const formatFlag: Flag = {
  long: 'format',
  kind: 'string',
  valueName: 'FORMAT',
  help: 'how to print',
  choices: ['table', 'json'],
  default: 'table',
};

/** `--filter` of a list, which may be given again; `names` are what can be asked for. */
export function filterFlag(names: readonly string[]): Flag {
  return {
    long: 'filter',
    short: 'f',
    kind: 'string',
    valueName: 'NAME=VALUE',
    repeatable: true,
    help: 'only those of which this is true',
    complete: names.map((name) => `${name}=`),
  };
}
