/** Names and numbers of signals (signal(7)), for stopping containers. */
import { constants } from 'node:os';
import { RuntimeError } from '#base/errors.ts';

const lowestRealtime = 34;
const highestRealtime = 64;

/** Names that Node does not list, or lists under another name only. */
const otherNumbers: Readonly<Record<string, number>> = {
  SIGCLD: constants.signals.SIGCHLD,
  SIGRTMIN: lowestRealtime,
  SIGRTMAX: highestRealtime,
};

/**
 * The name of the signal that stops a container: the request's, else the image's, else SIGTERM. Throws InvalidArgument for
 * a request that names no signal; what an image says wrongly is passed over, for it must be possible to stop it.
 */
export function resolveStopSignal(configSignal: string, imageStopSignal: string): string {
  if (configSignal !== '' && configSignal !== 'RUNTIME_DEFAULT') return canonicalName(configSignal);
  if (imageStopSignal !== '' && findNumber(imageStopSignal) !== undefined)
    return canonicalName(imageStopSignal);
  return 'SIGTERM';
}

/**
 * The number of a signal on Linux. Takes `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3`, `RTMAX-2` and the CRI's `SIGRTMINPLUS3`
 * and `SIGRTMAXMINUS2`, in any case. Throws InvalidArgument for anything else.
 */
export function signalNumber(name: string): number {
  const number = findNumber(name);
  if (number === undefined) {
    throw new RuntimeError(
      'InvalidArgument',
      `${JSON.stringify(name)} is not the name or number of a signal`,
    );
  }
  return number;
}

function canonicalName(name: string): string {
  const number = signalNumber(name);
  if (number === lowestRealtime) return 'SIGRTMIN';
  if (number === highestRealtime) return 'SIGRTMAX';
  if (number > lowestRealtime) {
    const middle = lowestRealtime + 15;
    return number <= middle ? `SIGRTMIN+${number - lowestRealtime}` : `SIGRTMAX-${highestRealtime - number}`;
  }
  const known = Object.entries(constants.signals).find(([, value]) => value === number);
  // 32 and 33 belong to the C library and have no name.
  return known?.[0] ?? String(number);
}

function findNumber(text: string): number | undefined {
  if (/^\d{1,3}$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= highestRealtime ? number : undefined;
  }
  const upper = text.toUpperCase();
  const name = upper.startsWith('SIG') ? upper : `SIG${upper}`;
  const realtime = /^SIGRT(?:MIN(?:\+|PLUS)|MAX(-|MINUS))(\d{1,2})$/.exec(name);
  if (realtime !== null) {
    const distance = Number(realtime[2]);
    if (distance > highestRealtime - lowestRealtime) return undefined;
    return realtime[1] === undefined ? lowestRealtime + distance : highestRealtime - distance;
  }
  const listed: Readonly<Record<string, number>> = constants.signals;
  return Object.hasOwn(listed, name) ? listed[name] : otherNumbers[name];
}
