/** The images of the behaviour tests: Debian's static busybox, alone and with what a test needs on top. */
import { readFileSync } from 'node:fs';
import { type Image, makeImage, makeLayer } from '../fixtures/image.ts';
import type { Catalogue } from '../fixtures/images.ts';
import { listApplets, makeBusyboxLayer } from '../fixtures/images.ts';

export const imageNames = {
  busybox: 'docker.io/library/busybox:latest',
  /** Declares volumes: /data with content, /scratch without, /made that the image does not have. */
  volumes: 'docker.io/library/volumes:latest',
  /** Asks to be stopped with SIGRTMIN+3. */
  stopSignal: 'docker.io/library/stop-signal:latest',
  /** For image volumes: a tree, and links that lead out of it. */
  tree: 'docker.io/library/tree:latest',
} as const;

const busyboxPath = '/bin/busybox';

/** Those of the images that are wanted, by name. */
export async function behaviourImages(wanted: readonly string[]): Promise<Catalogue> {
  const base = makeBusyboxLayer(readFileSync(busyboxPath), await listApplets(busyboxPath));
  const all: Record<string, () => Image> = {
    [imageNames.busybox]: () => makeImage({ layers: [base], config: { Cmd: ['sh'] } }),
    [imageNames.volumes]: () =>
      makeImage({
        layers: [base, dataLayer()],
        config: { Cmd: ['sh'], Volumes: { '/data': {}, '/scratch/': {}, '/made/here': {} } },
      }),
    [imageNames.stopSignal]: () =>
      makeImage({ layers: [base], config: { Cmd: ['sh'], StopSignal: 'SIGRTMIN+3' } }),
    [imageNames.tree]: () => makeImage({ layers: [treeLayer()], config: {} }),
  };
  return new Map(wanted.map((name) => [name, all[name]!()]));
}

function dataLayer() {
  return makeLayer([
    { path: 'data', type: 'directory', mode: 0o2750, uid: 1000, gid: 1001 },
    { path: 'data/plain', type: 'file', content: 'from the image\n', mode: 0o640, uid: 1002, gid: 1003 },
    { path: 'data/setuid', type: 'file', content: '', mode: 0o4755 },
    { path: 'data/hard', type: 'hardlink', target: 'data/plain' },
    { path: 'data/soft', type: 'symlink', target: '/etc/passwd' },
    { path: 'data/sub', type: 'directory', mode: 0o1777 },
    { path: 'scratch', type: 'directory', mode: 0o1777 },
  ]);
}

function treeLayer() {
  return makeLayer([
    { path: 'top', type: 'file', content: 'top\n' },
    { path: 'dir', type: 'directory' },
    { path: 'dir/leaf', type: 'file', content: 'leaf\n' },
    { path: 'inside', type: 'symlink', target: '/dir' },
    { path: 'etc', type: 'directory' },
    { path: 'etc/own', type: 'file', content: 'of the image\n' },
    { path: 'absolute', type: 'symlink', target: '/etc' },
    { path: 'upwards', type: 'symlink', target: '../../../../../../../../etc' },
    { path: 'process', type: 'symlink', target: '/proc/self/root' },
  ]);
}
