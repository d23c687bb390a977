import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { defaultProfileName, defaultProfileText, loadDefaultProfile } from './default-apparmor.ts';
import { loadedAppArmorProfiles } from './host-facts.ts';

const parser = ['/usr/sbin/apparmor_parser', '/sbin/apparmor_parser'].find((path) => existsSync(path)) ?? '';
const hasAppArmor = existsSync('/sys/kernel/security/apparmor/profiles');

test('a parser that refuses the profile, or is none, is told with its words', async () => {
  await expect(loadDefaultProfile('/bin/false')).rejects.toMatchObject({
    kind: 'FailedPrecondition',
    message: expect.stringContaining(defaultProfileName),
  });
  await expect(loadDefaultProfile('/no/such/parser')).rejects.toThrow(/parser/);
});

// The package apparmor is needed for it, not the kernel's support.
test.skipIf(parser === '')('the profile is one that the parser of this host takes', () => {
  const { status, stderr } = spawnSync(parser, ['--skip-kernel-load', '--skip-cache'], {
    input: defaultProfileText,
    encoding: 'utf8',
  });
  expect({ status, errors: /syntax|error/i.test(stderr) }).toEqual({ status: 0, errors: false });
});

test.skipIf(parser === '' || !hasAppArmor)('the kernel has it then, however often it is loaded', async () => {
  await loadDefaultProfile(parser);
  await loadDefaultProfile(parser);
  expect(loadedAppArmorProfiles().filter((name) => name === defaultProfileName)).toEqual([
    defaultProfileName,
  ]);
});
