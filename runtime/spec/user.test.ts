import { expect, test } from 'vitest';
import { resolveUser, type UserRequest } from './user.ts';

const passwd = `root:x:0:0:root:/root:/bin/sh
www:x:33:34:web:/var/www:/bin/false
default:x:1000:1000::/home/default:/bin/sh
1001:x:0:0::/root:/bin/sh
`;
const group = 'root:x:0:\nextra:x:50000:default,www\nweb:x:77:\n';

function resolve(security: Partial<UserRequest['security']>, more: Partial<UserRequest> = {}) {
  return resolveUser({
    security: {
      runAsUser: undefined,
      runAsGroup: undefined,
      runAsUsername: '',
      supplementalGroups: [],
      supplementalGroupsPolicy: 'merge',
      ...security,
    },
    imageUser: '',
    passwd,
    group,
    ...more,
  });
}
const invalid = expect.objectContaining({ kind: 'InvalidArgument' });

test('groups are merged with the image, or strictly those of the request', () => {
  const supplementalGroups = [1234];
  expect(resolve({ runAsUser: 1000, supplementalGroups })).toEqual({
    uid: 1000,
    gid: 1000,
    additionalGids: [1000, 1234, 50000],
    home: '/home/default',
  });
  const strict = resolve({ runAsUser: 1000, supplementalGroups, supplementalGroupsPolicy: 'strict' });
  expect(strict.additionalGids).toEqual([1000, 1234]);
});

test.each([
  ['', { uid: 0, gid: 0, home: '/root' }],
  ['www', { uid: 33, gid: 34, home: '/var/www' }],
  ['www:web', { uid: 33, gid: 77 }],
  ['33:8', { uid: 33, gid: 8 }],
  ['4242', { uid: 4242, gid: 0, home: '/' }],
  [':5', { uid: 0, gid: 5 }],
])('the image user %j', (imageUser, expected) => {
  expect(resolve({}, { imageUser })).toMatchObject(expected);
});

test('the request goes before the image, and its group before the account', () => {
  expect(resolve({ runAsUsername: 'www', runAsUser: 5, runAsGroup: 9 }, { imageUser: '7' })).toMatchObject({
    uid: 33,
    gid: 9,
  });
});

test('a number is an id even where the image has an account of that name', () => {
  expect(resolve({}, { imageUser: '1001' })).toMatchObject({ uid: 1001, gid: 0 });
});

test.each([
  ['a group without a user', { runAsGroup: 5 }, {}],
  ['a name the image lacks', { runAsUsername: 'nobody' }, {}],
  ['a name in an image without /etc/passwd', {}, { imageUser: 'www', passwd: undefined }],
  ['a group the image lacks', {}, { imageUser: 'www:nogroup' }],
  ['an id past 2^31', {}, { imageUser: '4294967296' }],
  ['a negative id', { runAsUser: -1 }, {}],
  ['a line break in a name', { runAsUsername: 'www\nroot' }, {}],
  ['a line break in the image user', {}, { imageUser: 'ww\nw' }],
  ['three parts', {}, { imageUser: 'a:b:c' }],
  ['a vast passwd', {}, { passwd: 'x'.repeat(5 * 1024 * 1024) }],
])('%s is an invalid argument', (_, security, more) => {
  expect(() => resolve(security, more)).toThrow(invalid);
});

test('lines that do not parse are skipped', () => {
  const hostile = `\n:::\nwww\nwww:x:-1:0::/:\nwww:x:99999999999:0::/:\nwww:x:0x0:0::/:\n+::::::\nwww:x:44:45::relative/home:/bin/sh\n`;
  expect(resolve({ runAsUsername: 'www' }, { passwd: hostile, group: ':::\nbad\n' })).toEqual({
    uid: 44,
    gid: 45,
    additionalGids: [45],
    home: '/',
  });
});
