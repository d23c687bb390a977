/** A wall clock that a test sets, as an administrator or a time server would; the monotonic one is left alone. See preload.ts. */
import { readFileSync } from 'node:fs';

/** From now on Date.now() of this process is off by what `file` says, in milliseconds; not at all while there is no such file. */
export function followClock(file: string): void {
  const realNow = Date.now;
  Date.now = () => {
    try {
      return realNow() + Number(readFileSync(file, 'latin1'));
    } catch {
      return realNow(); // nobody has set it
    }
  };
}
