import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../contract.ts';
import { digestOf } from '../digest.ts';
import { parseReference } from '../reference.ts';
import { RegistryClient } from '../registry/client.ts';
import { defaultHost } from '../registry/hosts.ts';
import { defaultTransferLimits } from '../registry/transport.ts';
import { ScriptedRegistry } from '../testing/scripted-registry.ts';
import { putSignatures, type TestSignature } from '../testing/sign-image.ts';
import { requirementsFor, scopesOf } from './policy.ts';
import { verifySignatures } from './verify.ts';

const { signal } = new AbortController();
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }).toString();
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');
const digest = digestOf('manifest');

let root: string;
let registry: ScriptedRegistry;
let client: RegistryClient;
beforeAll(async () => {
  registry = await ScriptedRegistry.start();
  client = new RegistryClient({
    domain: registry.host,
    repository: 'team/app',
    hosts: [defaultHost(registry.host)],
    secretFor: () => undefined,
    limits: { ...defaultTransferLimits, retryDelayMs: 5, attempts: 1 },
    proxy: {},
    userAgent: 'berth-test',
    now: Date.now,
  });
});
afterAll(async () => {
  client.close();
  await registry.stop();
});
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'policy-'));
});
afterEach(() => {
  registry.manifests.clear();
  registry.intercept = () => false;
  rmSync(root, { recursive: true });
});

function policy(content: unknown): { path: string; mayBeMissing: boolean } {
  const path = join(root, 'policy.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return { path, mayBeMissing: true };
}
const signedBy = (key: KeyObject, signedIdentity?: object) => ({
  type: 'sigstoreSigned',
  keyData: Buffer.from(pem(key)).toString('base64'),
  ...(signedIdentity && { signedIdentity }),
});
async function check(
  requirements: readonly object[],
  reference = `${registry.host}/team/app:v1`,
  digests: Digest[] = [digest],
): Promise<string> {
  const parsed = parseReference(reference);
  try {
    const needed = requirementsFor(policy({ default: requirements }), parsed);
    await verifySignatures(needed, { reference: parsed, digests }, client, signal);
    return 'accepted';
  } catch (error) {
    return (error as Error).message;
  }
}
const sign = (...signatures: TestSignature[]) => putSignatures(registry, 'team/app', digest, signatures);

describe('the signature policy', () => {
  it('is looked up by the narrowest scope', () => {
    expect(scopesOf(parseReference('r.a.example:5000/team/app:v1'))).toEqual([
      'r.a.example:5000/team/app:v1',
      'r.a.example:5000/team/app',
      'r.a.example:5000/team',
      'r.a.example:5000',
      '*.a.example:5000',
      '*.example:5000',
      '',
    ]);
    const location = policy({
      default: [{ type: 'reject' }],
      transports: {
        docker: {
          'r.example/open': [{ type: 'insecureAcceptAnything' }],
          'r.example/open/closed': [{ type: 'reject' }],
          '*.free.example': [{ type: 'insecureAcceptAnything' }],
        },
        'docker-daemon': { '': [{ type: 'insecureAcceptAnything' }] },
      },
    });
    const types = (name: string) => requirementsFor(location, parseReference(name)).map(({ type }) => type);
    expect(types('r.example/open/x')).toEqual(['insecureAcceptAnything']);
    expect(types('r.example/open/closed')).toEqual(['reject']);
    expect(types('r.example/opener')).toEqual(['reject']);
    expect(types('a.b.free.example/x')).toEqual(['insecureAcceptAnything']);
    expect(types('busybox')).toEqual(['reject']);
  });

  it('accepts everything where there is none, unless one was asked for', () => {
    const path = join(root, 'gone.json');
    const reference = parseReference('busybox');
    expect(requirementsFor({ path, mayBeMissing: true }, reference)).toEqual([
      { type: 'insecureAcceptAnything' },
    ]);
    expect(() => requirementsFor({ path, mayBeMissing: false }, reference)).toThrow(
      /^SignatureValidationFailed: policy .*gone.json: ENOENT/,
    );
  });

  it.each([
    ['{', /policy.json: /],
    [{}, /no default/],
    [{ default: [] }, /default: no requirements/],
    [{ default: [{ type: 'signedBy', keyType: 'GPGKeys' }] }, /signedBy \(GPG\) is not supported/],
    [{ default: [{ type: 'wishful' }] }, /unknown requirement "wishful"/],
    [{ default: [{ type: 'sigstoreSigned' }] }, /one of keyPath/],
    [{ default: [{ type: 'sigstoreSigned', keyPath: '/k', fulcio: {} }] }, /fulcio is not supported/],
    [{ default: [{ type: 'sigstoreSigned', keyPath: '/k', typo: 1 }] }, /no key "typo"/],
    [{ default: [{ type: 'sigstoreSigned', keyPath: '/k', signedIdentity: { type: 'any' } }] }, /"any"/],
    [{ defaults: [] }, /unknown key "defaults"/],
  ])('lets nothing in when it is not understood: %j', (content, text) => {
    const read = () => requirementsFor(policy(content), parseReference('busybox'));
    expect(read).toThrow(text);
    expect(read).toThrow(/^SignatureValidationFailed: /);
  });
});

describe('signatures', () => {
  it.each([
    ['ECDSA', ec],
    ['RSA', rsa],
    ['Ed25519', ed],
  ])('of kind %s are verified', async (_kind, { privateKey, publicKey }) => {
    await sign({ key: privateKey, name: `${registry.host}/team/app:v1` });
    expect(await check([signedBy(publicKey)])).toBe('accepted');
  });

  it('are needed, by the right key, over the right digest, and all requirements must be met', async () => {
    const name = `${registry.host}/team/app:v1`;
    expect(await check([signedBy(ec.publicKey)])).toMatch(
      /^SignatureValidationFailed: image .*team\/app:v1: no signature for sha256:/,
    );
    await sign({ key: rsa.privateKey, name });
    expect(await check([signedBy(ec.publicKey)])).toMatch(/^SignatureValidationFailed: .*by no key of/);
    await sign({ key: ec.privateKey, name, signedDigest: digestOf('other') });
    expect(await check([signedBy(ec.publicKey)])).toMatch(/signature of another image/);
    await sign({ key: ec.privateKey, name, type: 'atomic container signature' });
    expect(await check([signedBy(ec.publicKey)])).toMatch(/payload is of type/);
    await sign({ key: ec.privateKey, name }, { key: ed.privateKey, name });
    expect(await check([signedBy(ec.publicKey), signedBy(ed.publicKey)])).toBe('accepted');
    expect(await check([signedBy(ec.publicKey), signedBy(rsa.publicKey)])).toMatch(/by no key of/);
    expect(await check([signedBy(ec.publicKey), { type: 'reject' }])).toMatch(/policy rejects it/);
    expect(await check([{ type: 'insecureAcceptAnything' }])).toBe('accepted');
  });

  it('count for an index and for the manifest chosen from it', async () => {
    await sign({ key: ec.privateKey, name: `${registry.host}/team/app:v1` });
    const other = digestOf('the other of the two');
    for (const digests of [
      [digest, other],
      [other, digest],
    ])
      expect(await check([signedBy(ec.publicKey)], undefined, digests)).toBe('accepted');
  });

  it('must name the image as signedIdentity says', async () => {
    const repository = `${registry.host}/team/app`;
    const outcome = async (name: string, identity?: object, reference?: string) => {
      await sign({ key: ec.privateKey, name });
      return (await check([signedBy(ec.publicKey, identity)], reference)) === 'accepted';
    };
    const byDigest = `${repository}@${digest}`;
    expect(await outcome(repository)).toBe(false);
    expect(await check([signedBy(ec.publicKey)])).toMatch(/cosign signs without a tag: use matchRepository/);
    expect(await outcome(repository, undefined, byDigest)).toBe(true);
    expect(await outcome(`${repository}:v2`)).toBe(false);
    expect(await outcome(`${repository}:v2`, undefined, byDigest)).toBe(true);
    expect(await outcome(`${repository}:v1`, { type: 'matchExact' })).toBe(true);
    expect(await outcome(repository, { type: 'matchRepository' })).toBe(true);
    expect(await outcome(`${registry.host}/team/other`, { type: 'matchRepository' })).toBe(false);
    expect(await outcome('app', { type: 'matchRepository' })).toBe(false);
    const exact = { type: 'exactReference', dockerReference: 'vendor.example/app:1' };
    expect(await outcome('vendor.example/app:1', exact)).toBe(true);
    expect(await outcome('vendor.example/app:2', exact)).toBe(false);
    const exactRepository = { type: 'exactRepository', dockerRepository: 'vendor.example/app' };
    expect(await outcome('vendor.example/app:2', exactRepository)).toBe(true);
    const remap = { type: 'remapIdentity', prefix: registry.host, signedPrefix: 'vendor.example' };
    expect(await outcome('vendor.example/team/app:v1', remap)).toBe(true);
    expect(await outcome(`${repository}:v1`, remap)).toBe(false);
  });

  it('that cannot be asked for are the registry’s failure, keys that cannot be read the policy’s', async () => {
    expect(await check([{ type: 'sigstoreSigned', keyPath: '/nonexistent' }])).toMatch(
      /^SignatureValidationFailed: .*no signature|key \/nonexistent/,
    );
    writeFileSync(join(root, 'private.pem'), ec.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect(await check([{ type: 'sigstoreSigned', keyPath: join(root, 'private.pem') }])).toMatch(
      /^SignatureValidationFailed: .*private.pem: not a public key/,
    );
    registry.intercept = (_request, response) => {
      response.writeHead(503).end();
      return true;
    };
    expect(await check([signedBy(ec.publicKey)])).toMatch(/^RegistryUnavailable: /);
  });
});
