/** The path of docs/images.md: built by buildah, loaded, and in a pod, without a registry. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviourBed } from '#conformance/behaviour/bed.ts';
import { Berth } from './testing/berth.ts';

let bed: BehaviourBed;
let berth: Berth;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'bb-'));
  bed = await BehaviourBed.start({ images: [] });
  berth = new Berth(join(bed.dir, 'berth.sock'));
});
afterAll(async () => {
  rmSync(dir, { recursive: true, force: true });
  await bed?.close();
});

/** buildah with its store in the test's folder, on what every machine has. */
function buildah(...args: readonly string[]): void {
  const store = ['--root', join(dir, 'store'), '--runroot', join(dir, 'run'), '--storage-driver', 'vfs'];
  execFileSync('buildah', [...store, ...args], { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
}

test('an image that buildah built runs in a pod, by either form of archive', async () => {
  copyFileSync('/bin/busybox', join(dir, 'busybox'));
  writeFileSync(
    join(dir, 'Containerfile'),
    [
      'FROM scratch',
      'COPY busybox /bin/busybox',
      'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
      'RUN echo built > /hello && rm /bin/wget',
      'ENV WHO=buildah',
      'CMD ["sh", "-c", "cat /hello; echo by $WHO; sleep 1000"]',
    ].join('\n'),
  );
  buildah('bud', '--isolation', 'chroot', '--layers', '--tag', 'localhost/app:1', '.');
  const archives = [
    ['oci-archive', join(dir, 'oci.tar')],
    ['docker-archive', join(dir, 'docker.tar')],
  ] as const;
  for (const [transport, file] of archives) {
    buildah('push', 'localhost/app:1', `${transport}:${file}:localhost/app:1`);
    expect(await berth.ok('load', '-i', file)).toBe('loaded localhost/app:1\n');
    // As a kubelet with imagePullPolicy Never or IfNotPresent would.
    const pod = await bed.runPod();
    const id = await bed.run(pod, 'app', { image: { image: 'localhost/app:1' }, command: [] });
    await expect
      .poll(() => bed.logText(pod, 'app').replaceAll(/^\S+ stdout F /gm, ''), { timeout: 10_000 })
      .toBe('built\nby buildah\n');
    expect(await bed.sh(id, 'ls /bin/wget 2>&1 || true')).toContain('No such file');
    await bed.removePod(pod);
    expect(await berth.ok('rmi', 'localhost/app:1')).toMatch(/^untagged localhost\/app:1\ndeleted sha256:/);
  }
  expect(await berth.ok('images', '-q')).toBe('');
});
