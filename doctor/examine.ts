/**
 * The doctor: looks at a machine and says what is wrong for Berth, what that breaks and what mends it. It changes nothing
 * and needs no daemon.
 */
import { messageOf } from '#base/errors.ts';
import type { Diagnosis, DoctorConfig, Readers, Severity, Subject } from './area.ts';
import { areas } from './areas.ts';
import { findHolder } from './lock-holder.ts';
import type { Machine } from './machine.ts';

export interface Examination {
  readonly machine: Machine;
  readonly config: DoctorConfig;
  readonly configProblems: readonly string[];
  readonly readers: Readers;
}

const order: readonly Severity[] = ['error', 'warning', 'note'];

/** Everything that was found: errors first, else in the order of the areas. Never rejects for what is wrong with the machine. */
export async function examine({
  machine,
  config,
  configProblems,
  readers,
}: Examination): Promise<Diagnosis[]> {
  const subject: Subject = {
    machine,
    config,
    configProblems,
    readers,
    daemonPid: findHolder(machine, `${config.daemon.stateDir}/berthd.lock`),
    isSystemd: machine.stat('/run/systemd/system') !== undefined,
  };
  const found = await Promise.all(
    areas.map(async (area) => {
      try {
        return await area.look(subject);
      } catch (error) {
        return [brokenCheck(area.name, error)];
      }
    }),
  );
  return found.flat().toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

/** A mistake of ours in one area must not hide what the others found. */
function brokenCheck(name: string, error: unknown): Diagnosis {
  return {
    id: `${name}/not-examined`,
    severity: 'warning',
    what: `${name} could not be examined: ${messageOf(error)}`,
    breaks: 'this examination: faults of that area are not found',
    mend: 'report it with this line',
  };
}

/** What scripts are told: 0 nothing but notes, 10 warnings, 20 errors. Other statuses are mistakes of the command line. */
export function exitStatusOf(diagnoses: readonly Diagnosis[]): number {
  if (diagnoses.some(({ severity }) => severity === 'error')) return 20;
  return diagnoses.some(({ severity }) => severity === 'warning') ? 10 : 0;
}

const colours: Readonly<Record<Severity, number>> = { error: 31, warning: 33, note: 36 };

/** For people: a block for each diagnosis and a last line that counts them. */
export function formatDiagnoses(diagnoses: readonly Diagnosis[], hasColour: boolean): string {
  const paint = (text: string, colour: number): string =>
    hasColour ? `\x1b[${colour}m${text}\x1b[0m` : text;
  const blocks = diagnoses.map(
    ({ id, severity, what, breaks, mend }) =>
      `${paint(severity, colours[severity])}  ${what}\n  breaks  ${breaks}\n  mend    ${paint(mend, 1)}\n  id      ${id}\n`,
  );
  const count = (severity: Severity): string => {
    const number = diagnoses.filter((diagnosis) => diagnosis.severity === severity).length;
    return `${number} ${severity}${number === 1 ? '' : 's'}`;
  };
  const sum =
    diagnoses.length === 0
      ? `nothing wrong in ${areas.length} areas`
      : `${count('error')}, ${count('warning')}, ${count('note')}`;
  return [...blocks, `${sum}\n`].join('\n');
}
