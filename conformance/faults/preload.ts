/**
 * Faults for tests: loaded into berthd with `node --import conformance/faults/preload.ts`, so that the daemon itself has no
 * switch that could be found in production. BERTH_FAULT says what happens, as a comma-separated list of
 *
 *   OPERATION/STEP:PHASE=ACTION[@N]
 *
 * PHASE is before or after the step's effect; ACTION is error (the step throws), hang (it does not end) or kill (SIGKILL to
 * the daemon); N is the first pass at which it happens, 1 by default, and it happens once.
 *
 * BERTH_FAULT_FILE names a file that may hold such a list. It is looked at before and after every step, and a fault is taken
 * out of it as it happens: so a test plans the next one while the daemon runs, and a restart after a kill meets it no more. Passes
 * count from when it was planned.
 * A planned hang makes the file `FILE.hanging`, and ends when that is removed.
 */
import { existsSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RuntimeError } from '#base/errors.ts';
import { observeSteps, type StepName, stepNames } from '#base/step.ts';
import { followClock } from './clock.ts';
import { watchEffects } from './effects.ts';
import { keepPulse } from './pulse.ts';

interface Fault {
  readonly name: StepName;
  readonly phase: 'before' | 'after';
  readonly action: 'error' | 'hang' | 'kill';
  readonly pass: number;
}

const form = /^([a-z-]+\/[a-z-]+):(before|after)=(error|hang|kill)(?:@(\d+))?$/;

function parseFault(text: string): Fault {
  const match = form.exec(text.trim());
  const name = stepNames.find((known) => known === match?.[1]);
  if (!match || name === undefined) throw new Error(`BERTH_FAULT: ${text} names no fault`);
  return {
    name,
    phase: match[2] as Fault['phase'],
    action: match[3] as Fault['action'],
    pass: Number(match[4] ?? 1),
  };
}

function parseFaults(text: string): Fault[] {
  return text
    .split(',')
    .filter((entry) => entry.trim() !== '')
    .map(parseFault);
}

const faults = parseFaults(process.env.BERTH_FAULT ?? '');
const file = process.env.BERTH_FAULT_FILE ?? '';
const passes = new Map<string, number>();

/** Takes the planned fault for this point out of the file, if there is one and this is its pass. */
function takePlanned(name: StepName, phase: Fault['phase']): Fault | undefined {
  if (file === '') return undefined;
  let texts: string[];
  try {
    texts = readFileSync(file, 'utf8').split(',');
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined; // nothing is planned
    throw error;
  }
  const index = texts.findIndex((text) => text.trim().startsWith(`${name}:${phase}=`));
  if (index < 0) return undefined;
  const fault = parseFault(texts[index]!);
  // At a later pass: this one is counted in the file.
  if (fault.pass > 1) texts[index] = `${name}:${phase}=${fault.action}@${fault.pass - 1}`;
  else texts.splice(index, 1);
  if (texts.length === 0) unlinkSync(file);
  else writeFileSync(file, texts.join(','));
  return fault.pass > 1 ? undefined : fault;
}

function fire(name: StepName, phase: Fault['phase']): Promise<void> | void {
  const key = `${name}:${phase}`;
  const pass = (passes.get(key) ?? 0) + 1;
  passes.set(key, pass);
  const fault =
    takePlanned(name, phase) ??
    faults.find((entry) => entry.name === name && entry.phase === phase && entry.pass === pass);
  if (!fault) return;
  process.stderr.write(`fault: ${key} ${fault.action}\n`);
  if (fault.action === 'error') throw new RuntimeError('Internal', `fault injected at ${key}`);
  if (fault.action === 'kill') process.kill(process.pid, 'SIGKILL');
  return hang(key);
}

const liftLookMs = 10;

/** Never ends by itself; with a file of faults it ends when the test removes the file that tells of it. */
function hang(key: string): Promise<void> {
  if (file === '') return new Promise(() => {});
  const marker = `${file}.hanging`;
  writeFileSync(marker, key);
  return new Promise((resolve) => {
    const look = setInterval(() => {
      if (existsSync(marker)) return;
      clearInterval(look);
      resolve();
    }, liftLookMs);
  });
}

/** BERTH_CLOCK_FILE: see clock.ts. */
const clockFile = process.env.BERTH_CLOCK_FILE ?? '';
if (clockFile !== '') followClock(clockFile);

/** BERTH_EFFECTS_FILE: see effects.ts. */
const effectsFile = process.env.BERTH_EFFECTS_FILE ?? '';
const effects = effectsFile === '' ? undefined : watchEffects(effectsFile);

/** BERTH_PULSE_FILE: see pulse.ts. */
const pulseFile = process.env.BERTH_PULSE_FILE ?? '';
if (pulseFile !== '') keepPulse(pulseFile);

/** On SIGUSR2 all garbage goes, and malloc's free pieces, so that a test can tell memory in use from memory not yet given back.
 * `FILE.collected` tells when that is done. */
process.on('SIGUSR2', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  setFlagsFromString('--no-expose-gc');
  collect({ type: 'major', flavor: 'last-resort' });
  // Not before: calls of FFI are watched only in modules that are loaded after effects.ts has done its work.
  const { releaseMemory } = await import('#host/memory.ts');
  releaseMemory();
  if (file !== '') writeFileSync(`${file}.collected`, '');
});

if (faults.length > 0 || file !== '' || effects)
  observeSteps({
    before: (name) => fire(name, 'before'),
    after: (name, _durationMs, error) => (error === undefined ? fire(name, 'after') : undefined),
    ...(effects && { within: effects.within }),
  });
