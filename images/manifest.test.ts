import { describe, expect, it } from 'vitest';
import { chainIdsOf, digestOf, isDigest } from './digest.ts';
import {
  chooseEntries,
  hostPlatform,
  type ImageIndex,
  normalizePlatform,
  parseManifest,
} from './manifest.ts';

const descriptor = (name: string) => ({ mediaType: 'x', digest: digestOf(name), size: 3 });
const body = (value: unknown) => Buffer.from(JSON.stringify(value));

function index(...platforms: (Record<string, string> | undefined)[]): ImageIndex {
  const manifests = platforms.map((platform, i) => ({ ...descriptor(String(i)), platform }));
  return parseManifest(body({ schemaVersion: 2, manifests }), '', 'test') as ImageIndex;
}

const choose = (list: ImageIndex, os: string, architecture: string, variant = '') =>
  chooseEntries(list, normalizePlatform({ os, architecture, variant }), 'x').map((entry) =>
    list.entries.indexOf(entry),
  );

describe('manifests', () => {
  it('reads OCI and Docker manifests and lists', () => {
    const image = parseManifest(
      body({ schemaVersion: 2, config: descriptor('c'), layers: [descriptor('l')] }),
      '',
      'x',
    );
    expect(image).toMatchObject({ type: 'image', layers: [{ digest: digestOf('l'), sizeBytes: 3 }] });
    expect(index({ os: 'linux', architecture: 'amd64' }).entries).toHaveLength(1);
  });

  it.each([
    ['schema 1', { schemaVersion: 1, fsLayers: [] }, /schema 1/],
    ['no JSON object', [], /not a JSON object/],
    ['a bad digest', { config: { digest: 'sha256:../../x', size: 1 } }, /no sha256/],
    ['a negative size', { config: { ...descriptor('c'), size: -1 } }, /no proper size/],
    ['something else', { hello: 1 }, /neither/],
  ])('refuses %s', (_what, value, text) => {
    expect(() => parseManifest(body(value), '', 'x')).toThrow(text);
  });
});

describe('platform choice', () => {
  it('takes the best variant, then entries that name no platform, never attestations', () => {
    const list = index(
      { os: 'unknown', architecture: 'unknown' },
      undefined,
      { os: 'linux', architecture: 'arm', variant: 'v5' },
      { os: 'linux', architecture: 'arm', variant: 'v6' },
      { os: 'linux', architecture: 'arm64', variant: 'v8' },
      { os: 'linux', architecture: 'amd64' },
    );
    expect(choose(list, 'linux', 'arm', 'v7')).toEqual([3, 2, 1]);
    expect(choose(list, 'linux', 'arm64')).toEqual([4, 1]);
    expect(choose(list, 'linux', 'amd64')).toEqual([5, 1]);
    expect(choose(list, 'linux', 's390x')).toEqual([1]);
    expect(hostPlatform('x64').architecture).toBe('amd64');
  });

  it('does not take a newer instruction set than the machine has, and says what there is', () => {
    const list = index(
      { os: 'linux', architecture: 'amd64', variant: 'v3' },
      { os: 'linux', architecture: 'arm', variant: 'v6' },
    );
    expect(() => choose(list, 'linux', 'amd64')).toThrow(
      'no image for platform linux/amd64, only for linux/amd64/v3, linux/arm/v6',
    );
  });
});

describe('digests', () => {
  it('computes chain IDs', () => {
    const [a, b] = [digestOf('a'), digestOf('b')];
    expect(chainIdsOf([a, b])).toEqual([a, digestOf(`${a} ${b}`)]);
    expect(isDigest(`sha512:${'0'.repeat(128)}`)).toBe(true);
    expect(isDigest(`sha256:${'0'.repeat(128)}`)).toBe(false);
  });
});
