import { describe, expect, it } from 'vitest';
import { formatReference, parseReference } from './reference.ts';

const digest = `sha256:${'ab'.repeat(32)}`;

describe('references', () => {
  it.each([
    ['busybox', 'docker.io/library/busybox:latest'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36'],
    ['index.docker.io/busybox', 'docker.io/library/busybox:latest'],
    ['foo/bar', 'docker.io/foo/bar:latest'],
    ['localhost/bar', 'localhost/bar:latest'],
    ['Host/bar', 'Host/bar:latest'],
    ['localhost:5000/bar', 'localhost:5000/bar:latest'],
    ['127.0.0.1:5000/a/b/c:v1', '127.0.0.1:5000/a/b/c:v1'],
    ['[::1]:5000/a', '[::1]:5000/a:latest'],
    ['registry.k8s.io/e2e-test-images/agnhost:2.53', 'registry.k8s.io/e2e-test-images/agnhost:2.53'],
    [`busybox:1@${digest}`, `docker.io/library/busybox@${digest}`],
    [`gcr.io/x@${digest}`, `gcr.io/x@${digest}`],
    ['a__b/c---d.e_f', 'docker.io/a__b/c---d.e_f:latest'],
  ])('completes %s to %s', (written, whole) => {
    const parsed = parseReference(written);
    expect(formatReference(parsed)).toBe(whole);
    expect(parseReference(whole)).toEqual(parsed);
  });

  it.each([
    '',
    'Busybox',
    'a//b',
    'a b',
    '/a',
    'a/',
    'a:',
    'a:-x',
    'a@sha256:abc',
    'a@md5:0123',
    'ab'.repeat(32),
    'http://x/y',
    `x/${'a'.repeat(260)}`,
    '../etc/passwd',
    'host:5000/../x',
  ])('refuses %j', (written) => {
    expect(() => parseReference(written)).toThrow(expect.objectContaining({ kind: 'InvalidArgument' }));
  });
});
