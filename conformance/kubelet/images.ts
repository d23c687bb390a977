/** Images of the examples that the conformance suite does not have. */
import { createCipheriv } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type Image, type Layer, makeImage, makeLayer } from '../fixtures/image.ts';
import type { Catalogue } from '../fixtures/images.ts';

/** What removing the image that nobody runs gives back to the disk, at least. */
export const unusedImageBytes = 40 << 20;

export const privateImage = 'registry.example.com/team/private:1';

/** `fixtures` are those of the suite; `health` is the program that module/health is built to. */
export function exampleImages(fixtures: Catalogue, health: string): Catalogue {
  const busybox = fixtures.get('docker.io/library/busybox:latest');
  if (busybox === undefined) throw new Error('the fixtures have no busybox image');
  const agnhost = makeImage({
    layers: [makeLayer([{ path: 'agnhost', type: 'file', mode: 0o755, content: readFileSync(health) }])],
    config: { Entrypoint: ['/agnhost'] },
  });
  const secret = makeLayer([{ path: 'private', type: 'file', mode: 0o644, content: 'not for everyone\n' }]);
  // Of a size that a disk notices: bytes that no packing makes fewer, and always the same.
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(
    Buffer.alloc(unusedImageBytes),
  );
  const unused = makeLayer([{ path: 'unused', type: 'file', mode: 0o644, content: noise }]);
  return new Map([
    ['docker.io/library/busybox:1.36', busybox],
    ['registry.k8s.io/e2e-test-images/agnhost:2.53', agnhost],
    [privateImage, makeImage({ layers: [...layersOf(busybox), secret], config: { Cmd: ['sh'] } })],
    [
      'docker.io/library/unused:1',
      makeImage({ layers: [...layersOf(busybox), unused], config: { Cmd: ['sh'] } }),
    ],
  ]);
}

/** The layers of an image made here, to put more on top. */
function layersOf(image: Image): Layer[] {
  const [config, ...layers] = image.blobs;
  const { rootfs } = JSON.parse(String(config?.bytes)) as { rootfs: { diff_ids: string[] } };
  return layers.map(({ bytes, digest }, index) => ({ bytes, digest, diffId: rootfs.diff_ids[index] ?? '' }));
}
