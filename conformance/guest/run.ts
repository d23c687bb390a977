/**
 * Conformance where this host cannot show it: in a guest with cgroup v2, systemd as init and AppArmor (`make guest-conformance`).
 *
 *   node conformance/guest/run.ts [options]
 *     --driver systemd|cgroupfs    who makes cgroups (systemd)
 *     --focus RE / --skip RE       choose specs of critest; each may be repeated
 *     --tests FILE                 a test file of ours to run in the guest after critest; may be repeated
 *     --no-suite                   those only
 *     --seed N                     order of the specs (random; printed)
 *     --memory MIB                 of the guest (2560)
 *     --timeout MIN                after which the guest is stopped (120)
 *
 * The log, critest's report and the daemon's log are in `.cache/guest/DRIVER/`. The last line is the verdict.
 */
import { createWriteStream, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir } from '../cache.ts';
import { ensurePackages } from '../setup.ts';
import { ensureGuestDisk, guestHostPackages } from './disk.ts';
import { runGuest } from './machine.ts';
import { makePayload } from './payload.ts';

const { values } = parseArgs({
  allowNegative: true,
  options: {
    driver: { type: 'string', default: 'systemd' },
    focus: { type: 'string', multiple: true, default: [] },
    skip: { type: 'string', multiple: true, default: [] },
    tests: { type: 'string', multiple: true, default: [] },
    suite: { type: 'boolean', default: true },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    memory: { type: 'string', default: '2560' },
    timeout: { type: 'string', default: '120' },
    name: { type: 'string' },
  },
});
const { driver } = values;
if (driver !== 'systemd' && driver !== 'cgroupfs')
  throw new Error(`--driver is systemd or cgroupfs, not ${driver}`);

const name = values.name ?? driver;
const dir = cacheDir('guest');
const resultsDir = join(dir, name);
mkdirSync(resultsDir, { recursive: true });
const log = createWriteStream(join(dir, `${name}.log`));
function show(text: string | Buffer): void {
  process.stdout.write(text);
  log.write(text);
}

await ensurePackages(guestHostPackages);
const guest = await ensureGuestDisk();
const projectDisk = join(dir, `project-${process.pid}.raw`);
const startMs = Date.now();
const { focus, skip, tests, seed, suite: hasSuite } = values;
let status: number | undefined;
try {
  await makePayload({ driver, hasSuite, focus, skip, tests, seed }, projectDisk);
  show(`guest: Debian 13, cgroup driver ${driver}; ${new Date(startMs).toISOString()}\n`);
  status = await runGuest(guest, {
    projectDisk,
    resultsDir,
    memoryMib: Number(values.memory),
    timeoutMs: Number(values.timeout) * 60_000,
    onOutput: show,
  });
} finally {
  rmSync(projectDisk, { force: true });
}
const minutes = ((Date.now() - startMs) / 60_000).toFixed(0);
const verdict =
  status === 0 ? 'good' : status === undefined ? 'NOT GOOD: the guest ended without a result' : 'NOT GOOD';
show(`guest ${driver}: ${verdict}, in ${minutes} min of this host; logs in ${resultsDir}\n`);
await new Promise((resolve) => log.end(resolve));
process.exitCode = status === 0 ? 0 : 1;
