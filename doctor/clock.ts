import { defineArea } from './area.ts';

/** Nothing of Berth existed before. */
const earliestMs = Date.UTC(2025, 0, 1);
const toleranceMs = 5 * 60_000;
const slowSources = new Set(['jiffies', 'refined-jiffies', 'acpi_pm', 'pit']);

/** The node's clock. */
export const clock = defineArea(
  'clock',
  'Clock',
  {
    'in-the-past': {
      severity: 'error',
      what: 'the clock says {now}',
      breaks: 'pulls (no certificate is valid yet), and the kubelet',
      mend: 'apt-get install chrony && chronyc makestep',
    },
    'went-back': {
      severity: 'warning',
      what: '{path} was written {minutes} minutes in the future',
      breaks: 'ages and times of pods and logs; tokens and certificates may not be valid yet',
      mend: 'apt-get install chrony && chronyc makestep',
    },
    unsynchronised: {
      severity: 'warning',
      what: 'the clock is not synchronised with the network',
      breaks: 'certificates and leases, when the clock has drifted far enough',
      mend: 'timedatectl set-ntp true, or apt-get install chrony',
    },
    'slow-source': {
      severity: 'warning',
      what: 'the kernel reads the time from {source}',
      breaks: 'speed: every look at the clock costs a microsecond and more',
      mend: 'echo {better} > /sys/devices/system/clocksource/clocksource0/current_clocksource',
    },
  },
  async ({ machine, config, isSystemd }, report) => {
    const nowMs = machine.nowMs();
    if (nowMs < earliestMs) report('in-the-past', { now: new Date(nowMs).toISOString() });
    const { rootDir } = config.daemon;
    for (const path of [`${rootDir}/state.db`, `${rootDir}/boot-id`]) {
      const aheadMs = (machine.stat(path)?.mtimeMs ?? 0) - nowMs;
      if (aheadMs > toleranceMs) report('went-back', { path, minutes: Math.round(aheadMs / 60_000) });
    }
    const folder = '/sys/devices/system/clocksource/clocksource0';
    const source = (machine.read(`${folder}/current_clocksource`) ?? '').trim();
    if (slowSources.has(source)) {
      const offered = (machine.read(`${folder}/available_clocksource`) ?? '').trim().split(/\s+/);
      report('slow-source', { source, better: offered.find((name) => !slowSources.has(name)) ?? 'tsc' });
    }
    const timedatectl = isSystemd ? machine.findProgram('timedatectl') : undefined;
    if (timedatectl === undefined) return;
    const { stdout } = await machine.run(timedatectl, ['show', '--property=NTPSynchronized', '--value']);
    if (stdout.trim() === 'no') report('unsynchronised');
  },
);
