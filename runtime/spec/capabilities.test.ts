import { expect, test } from 'vitest';
import {
  defaultCapabilities,
  knownCapabilities,
  resolveCapabilities,
  ungrantableCapabilities,
} from './capabilities.ts';

const none = { add: [], drop: [], addAmbient: [] };

test('what a container has', () => {
  const cases: [string, Partial<typeof none> & object, string[]][] = [
    ['the default', {}, [...defaultCapabilities]],
    ['drop all, add one', { drop: ['ALL'], add: ['net_raw'] } as never, ['CAP_NET_RAW']],
    [
      'add all, drop one',
      { add: ['all'], drop: ['CAP_SYS_ADMIN'] } as never,
      knownCapabilities.filter((c) => c !== 'CAP_SYS_ADMIN'),
    ],
    ['dropping wins over adding', { drop: ['ALL', 'KILL'], add: ['KILL'] } as never, []],
    ['an unknown drop is nothing', { drop: ['NO_SUCH'] } as never, [...defaultCapabilities]],
  ];
  for (const [name, request, expected] of cases) {
    const sets = resolveCapabilities({ ...none, ...request }, false, knownCapabilities);
    expect(sets.effective, name).toEqual(expected);
    expect([sets.inheritable, sets.ambient], name).toEqual([[], []]);
  }
});

test('an ambient capability is in all five sets, and a dropped one in none', () => {
  const request = { add: [], drop: ['ALL', 'CHOWN'], addAmbient: ['NET_ADMIN', 'CHOWN'] };
  const only = ['CAP_NET_ADMIN'];
  expect(resolveCapabilities(request, false, knownCapabilities)).toEqual({
    bounding: only,
    effective: only,
    permitted: only,
    inheritable: only,
    ambient: only,
  });
});

test('nothing outside the grantable is asked for, not even for privileged', () => {
  const grantable = ['CAP_CHOWN', 'CAP_SYS_ADMIN'];
  expect(resolveCapabilities(none, true, grantable).bounding).toEqual(grantable);
  const request = { ...none, add: ['SYS_RESOURCE', 'SYS_ADMIN'] };
  expect(resolveCapabilities(request, false, grantable).bounding).toEqual(grantable);
  expect(ungrantableCapabilities(request, grantable)).toEqual(['CAP_SYS_RESOURCE']);
});

test('adding an unknown capability is an invalid argument', () => {
  for (const request of [
    { ...none, add: ['NO_SUCH'] },
    { ...none, addAmbient: ['NO_SUCH'] },
  ]) {
    expect(() => resolveCapabilities(request, false, knownCapabilities)).toThrow(
      expect.objectContaining({ kind: 'InvalidArgument' }),
    );
  }
});
