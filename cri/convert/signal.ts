/** Signals of the CRI, which are numbered by the alphabet and not as the kernel does. */
import { Signal } from '#proto/generated/cri.ts';
import { invalidField } from './field.ts';

/** SIGNAL_SIGRTMINPLUS3 on the wire is SIGRTMIN+3 to people. */
function readable(name: string): string {
  return name.replace('SIGNAL_', '').replace('PLUS', '+').replace('MINUS', '-');
}

const nameByNumber = new Map<number, string>(
  Object.entries(Signal).map(([name, number]) => [number, readable(name)]),
);
const numberByName = new Map<string, number>([...nameByNumber].map(([number, name]) => [name, number]));

/** The name of a requested stop signal; '' for RUNTIME_DEFAULT. Throws InvalidArgument for an unknown number. */
export function signalName(number: number, path: string): string {
  if (number === Signal.SIGNAL_RUNTIME_DEFAULT) return '';
  const name = nameByNumber.get(number);
  if (name === undefined) throw invalidField(path, `has the unknown value ${number}`);
  return name;
}

/** The CRI's number for a name such as SIGTERM or SIGRTMIN+3; RUNTIME_DEFAULT for what it has no number for. */
export function signalNumber(name: string): number {
  return numberByName.get(name) ?? Signal.SIGNAL_RUNTIME_DEFAULT;
}
