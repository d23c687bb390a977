/** What a CNI plugin says when it fails, as our error (CNI SPEC, section Error). No other file reads a plugin's words. */
import { type ErrorKind, isRuntimeError, RuntimeError } from '#base/errors.ts';
import { describeStatus, type ExitStatus } from '#host/launch.ts';

interface CodeMeaning {
  readonly meaning: string;
  readonly kind: ErrorKind;
}

/** CNI SPEC, section Error: codes 1-99 are the specification's, 100 and up the plugin's own. */
export const errorCodes: Readonly<Record<number, CodeMeaning>> = {
  1: { meaning: 'incompatible CNI version', kind: 'FailedPrecondition' },
  2: { meaning: 'unsupported field in the configuration', kind: 'FailedPrecondition' },
  3: { meaning: 'unknown container', kind: 'NotFound' },
  4: { meaning: 'invalid environment', kind: 'Internal' },
  5: { meaning: 'input or output failed', kind: 'Internal' },
  6: { meaning: 'content could not be decoded', kind: 'Internal' },
  7: { meaning: 'invalid configuration', kind: 'FailedPrecondition' },
  8: { meaning: 'invalid network namespace', kind: 'FailedPrecondition' },
  11: { meaning: 'try again later', kind: 'Unavailable' },
  50: { meaning: 'plugin not available', kind: 'Unavailable' },
  51: { meaning: 'plugin not available, connectivity limited', kind: 'Unavailable' },
  999: { meaning: 'internal error', kind: 'Internal' },
};

export interface PluginFailure {
  readonly plugin: string;
  readonly command: string;
  readonly status: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

interface ErrorReport {
  readonly code: number;
  readonly msg: string;
  readonly details: string;
}

function parseReport(stdout: string): ErrorReport | undefined {
  try {
    const parsed: unknown = JSON.parse(stdout);
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    const { code, msg, details } = parsed as Record<string, unknown>;
    if (typeof msg !== 'string' && typeof code !== 'number') return undefined;
    return {
      code: typeof code === 'number' ? code : 0,
      msg: typeof msg === 'string' ? msg : '',
      details: typeof details === 'string' ? details : '',
    };
  } catch {
    return undefined; // not JSON: a crash or a plain message, which the caller quotes
  }
}

const quoteLimit = 2000;

/** The error for a plugin that ended badly: the code's kind, the plugin's own words; details carry plugin, command and code. */
export function makePluginError(failure: PluginFailure): RuntimeError {
  const attempted = `CNI plugin ${failure.plugin} ${failure.command}`;
  const report = parseReport(failure.stdout);
  const details = { plugin: failure.plugin, command: failure.command };
  if (!report) {
    const said = (failure.stderr.trim() || failure.stdout.trim() || 'no output').slice(0, quoteLimit);
    return new RuntimeError('Internal', `${attempted}: ${describeStatus(failure.status)}: ${said}`, {
      details,
    });
  }
  const known = errorCodes[report.code];
  const words = [known?.meaning ?? `code ${report.code}`, report.msg, report.details].filter(
    (word) => word !== '',
  );
  return new RuntimeError(
    known?.kind ?? 'Internal',
    `${attempted}: ${words.join(': ')}`.slice(0, quoteLimit),
    {
      details: { ...details, code: report.code, said: `${report.msg} ${report.details}` },
    },
  );
}

/** The error for a plugin whose program is in none of the folders. */
export function makeMissingPluginError(plugin: string, dirs: readonly string[]): RuntimeError {
  return new RuntimeError(
    'FailedPrecondition',
    `CNI plugin ${plugin} is not in ${dirs.join(':')}; install it there (Debian: containernetworking-plugins)`,
    { details: { plugin, isMissingProgram: true } },
  );
}

/** Whether `error` says that a plugin's program could not be found. */
export function isMissingPlugin(error: unknown): boolean {
  return isRuntimeError(error) && error.details.isMissingProgram === true;
}

// What plugins of the reference project say about a namespace, link or reservation that is no longer there.
const goneWords = /no such file or directory|not found|does not exist|no such device|no such process/i;
// The same words about a program are a failure: the plugin did not do its work.
const missingProgramWords = /executable file not found|failed to find plugin/i;

/**
 * Whether a failed DEL found nothing to delete, which is success. The code for an unknown container always says so; words
 * are believed only when the namespace is gone, when old plugins fail for want of it.
 */
export function isAlreadyGone(error: unknown, isNamespaceGone: boolean): boolean {
  if (!isRuntimeError(error)) return false;
  if (error.details.code === 3) return true;
  const said = error.details.said;
  if (!isNamespaceGone || typeof said !== 'string') return false;
  return goneWords.test(said) && !missingProgramWords.test(said);
}
