import { describe, expect, it } from 'vitest';
import { artifactFiles, fileId } from './artifact.ts';
import { digestOf } from './digest.ts';

const blob = (title?: string, mediaType = 'application/octet-stream') => ({
  mediaType,
  digest: digestOf('x'),
  sizeBytes: 1,
  urls: [],
  ...(title !== undefined && { annotations: { 'org.opencontainers.image.title': title } }),
});
const names = (...titles: (string | undefined)[]) =>
  artifactFiles(
    titles.map((title) => blob(title)),
    'artifact a',
  ).map(({ name }) => name);

describe('files of an artifact', () => {
  it('are called by their titles, else by their digests; empty blobs are none', () => {
    expect(names('model.bin', './deep/er/x', undefined, '')).toEqual([
      'model.bin',
      'deep/er/x',
      digestOf('x').replace(':', '-'),
      digestOf('x').replace(':', '-'),
    ]);
    expect(artifactFiles([blob(undefined, 'application/vnd.oci.empty.v1+json')], 'a')).toEqual([]);
  });

  it.each(['../x', '/etc/passwd', 'a/../../x', 'a//b', 'a/', '..', '.', 'x'.repeat(256), 'a\0b', 'a\nb'])(
    'cannot be called %j',
    (title) => {
      expect(() => names(title)).toThrow(/^artifact a: .* cannot be a file's name/);
    },
  );

  it('differ by name and by content', () => {
    const [a, b] = artifactFiles([blob('a'), blob('b')], 'x');
    expect(fileId(a!)).not.toBe(fileId(b!));
    expect(fileId(a!)).toBe(fileId({ ...a! }));
  });
});
