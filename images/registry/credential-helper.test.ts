import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askHelper } from './credential-helper.ts';
import { findSecret } from './credentials.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'credentials-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function helper(name: string, script: string): void {
  const path = join(directory, `docker-credential-${name}`);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}
function authFile(content: object): string {
  const path = join(directory, 'auth.json');
  writeFileSync(path, JSON.stringify(content));
  return path;
}
const find = (file: string, host: string, repository = 'app') =>
  findSecret([file], host, repository, (name, server, where) =>
    askHelper(
      name,
      server,
      where,
      { directories: ['/nonexistent', directory], environment: { PATH: '/usr/bin:/bin' } },
      new AbortController().signal,
    ),
  );

describe('credential helpers', () => {
  it('are asked by the registry, which they get on their input; all others go to the store', async () => {
    helper('one', `cat > ${directory}/asked; echo '{"Username":"u","Secret":"s:1"}'; echo "$@" >&2`);
    helper('all', `read server; echo "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"t of $server\\"}"`);
    const file = authFile({
      auths: { 'plain.example': { auth: Buffer.from('p:q').toString('base64') } },
      credHelpers: { 'https://r.example:5000': 'one' },
      credsStore: 'all',
    });
    expect(await find(file, 'r.example:5000')).toEqual({ type: 'password', username: 'u', password: 's:1' });
    expect(readFileSync(join(directory, 'asked'), 'utf8').trim()).toBe('r.example:5000');
    expect(await find(file, 'plain.example')).toMatchObject({ username: 'p' });
    expect(await find(file, 'other.example')).toEqual({ type: 'refreshToken', token: 't of other.example' });
    expect(await find(file, 'registry-1.docker.io')).toEqual({
      type: 'refreshToken',
      token: 't of https://index.docker.io/v1/',
    });
  });

  it('may know nothing', async () => {
    helper('none', 'echo "credentials not found in native keychain"; exit 1');
    expect(await find(authFile({ credsStore: 'none' }), 'r.example')).toBeUndefined();
  });

  it.each([
    ['../evil', ''],
    ['gone', ''],
  ])('that are no programs are named: %s', async (name) => {
    await expect(find(authFile({ credsStore: name }), 'r.example')).rejects.toThrow(
      /docker-credential-.*auth.json.*asked for r.example: it is not in/,
    );
  });

  it('that fail are named, and nothing of what they said is', async () => {
    helper('bad', 'echo SECRET; echo SECRET >&2; exit 3');
    helper('text', 'echo SECRET');
    for (const [name, why] of [
      ['bad', /ended with exit status 3/],
      ['text', /not JSON/],
    ] as const) {
      const error: Error = await find(authFile({ credHelpers: { 'r.example': name } }), 'r.example').then(
        () => Promise.reject(new Error('it did not fail')),
        (failure: Error) => failure,
      );
      expect(error.message).toMatch(why);
      expect(JSON.stringify([error.message, String(error.cause), error.stack])).not.toContain('SECRET');
    }
  });
});
