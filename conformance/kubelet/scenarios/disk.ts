/** The disk of the images: over the collector's threshold, under the eviction threshold, full. Each runs alone. */
import assert from 'node:assert/strict';
import { existsSync, rmSync, statfsSync } from 'node:fs';
import { runCommand } from '../../command.ts';
import type { Bed } from '../bed.ts';
import { unusedImageBytes } from '../images.ts';
import { TestPod } from '../pod.ts';
import { tail } from '../service-process.ts';
import { pause, until } from '../wait.ts';
import { identities, type Scenario, simplePod } from './scenario.ts';

const unusedImage = 'docker.io/library/unused:1';

interface Room {
  readonly capacity: number;
  readonly available: number;
  readonly usedPercent: number;
}

/** As the kubelet reckons it. */
function room(bed: Bed): Room {
  const { blocks, bavail, bsize } = statfsSync(bed.imageDisk);
  const [capacity, available] = [blocks * bsize, bavail * bsize];
  return { capacity, available, usedPercent: 100 - Math.floor((available * 100) / capacity) };
}

/** Takes room on the disk of images until `leaveBytes` are available. */
async function fill(bed: Bed, leaveBytes: number): Promise<void> {
  const bytes = room(bed).available - leaveBytes;
  if (bytes <= 0) return;
  const file = `${bed.imageDisk}/ballast`;
  assert.ok(!existsSync(file), 'the disk is filled once');
  await runCommand('fallocate', ['-l', String(bytes), file]);
}

function empty(bed: Bed): void {
  rmSync(`${bed.imageDisk}/ballast`, { force: true });
  rmSync(`${bed.imageDisk}/dregs`, { force: true });
}

async function imageNames(bed: Bed): Promise<string> {
  return bed.crictl('images', '-o', 'json');
}

export const disk: readonly Scenario[] = [
  {
    name: 'disk-pressure',
    example: 'two-containers',
    shows:
      'with less room on the image disk than `imagefs.available` asks for, the kubelet removes the images that no pod uses; pods go on',
    isAlone: true,
    async run(pod, bed) {
      await pod.waitReady();
      const before = await identities(bed);
      for (const image of [unusedImage, 'registry.k8s.io/e2e-test-images/agnhost:2.53'])
        await bed.crictl('pull', image);
      assert.match(await imageNames(bed), /library\/unused/);
      const { available } = room(bed);
      // More than there is by less than the two images hold.
      const wanted = `${Math.ceil(available / 1024) + 4096}Ki`;
      await bed.kubelet.stop();
      await bed.startKubelet({ evictionHard: { 'imagefs.available': wanted }, imageMinimumGCAge: '1s' });
      await until('the unused images are gone', 60_000, async () =>
        assert.doesNotMatch(await imageNames(bed), /unused|agnhost/),
      );
      await until('their room is free again', 20_000, () =>
        assert.ok(room(bed).available >= available + unusedImageBytes, JSON.stringify(room(bed))),
      );
      assert.match(await imageNames(bed), /busybox/);
      await pause(12_000);
      assert.equal((await pod.waitReady()).status.phase, 'Running');
      assert.deepEqual(await identities(bed), before);
      await bed.kubelet.stop();
      await bed.startKubelet();
      await pod.waitReady();
      await bed.crictl('pull', unusedImage);
    },
  },
  {
    name: 'image-gc',
    example: 'two-containers',
    shows:
      "over imageGCHighThresholdPercent the kubelet's next collection removes unused images down to imageGCLowThresholdPercent; pods go on, and a new one starts",
    isAlone: true,
    // The collector looks every five minutes, and what it sees for the first time is too young.
    limitMs: 480_000,
    async run(pod, bed) {
      await pod.waitReady();
      await bed.crictl('pull', unusedImage);
      const before = await identities(bed);
      const { capacity } = room(bed);
      await fill(bed, Math.floor(capacity * 0.095));
      const { usedPercent, available } = room(bed);
      assert.equal(usedPercent, 91);
      try {
        await bed.kubelet.stop();
        await bed.startKubelet({
          imageGCHighThresholdPercent: 90,
          imageGCLowThresholdPercent: 88,
          imageMinimumGCAge: '1s',
        });
        await until('images are collected', 330_000, () => {
          const now = room(bed);
          assert.ok(
            now.usedPercent <= 88 && now.available > available,
            `${now.usedPercent} % of the disk used`,
          );
        });
        assert.match(await imageNames(bed), /busybox/);
        assert.deepEqual(await identities(bed), before);
        bed.placeText('late', simplePod('late', 'sleep 1000'));
        const late = new TestPod(bed, 'late');
        await late.waitReady();
        await late.remove();
        const metrics = await bed.api.get('/metrics');
        assert.match(metrics, /^kubelet_image_garbage_collected_total\{reason="space"\} [1-9]/m);
      } finally {
        empty(bed);
        await bed.kubelet.stop();
        await bed.startKubelet();
      }
      await pod.waitReady();
    },
  },
  {
    name: 'disk-full',
    example: 'probes',
    shows:
      'with not a byte left on the image disk pods run, probes pass and exec works, also after berthd was killed; a pull says why it fails; with room again, waiting pods start',
    isAlone: true,
    async run(pod, bed) {
      await pod.waitReady();
      const before = await identities(bed);
      await bed.crictl('rmi', unusedImage).catch(() => '');
      // Without thresholds, for the kubelet would make room at once.
      await bed.kubelet.stop();
      await bed.startKubelet({ evictionHard: { 'memory.available': '1Mi' } });
      await pod.waitReady();
      try {
        await fill(bed, 1 << 20);
        // What no large write finds room for, small ones do.
        const dregs = `dd if=/dev/zero bs=4k of='${bed.imageDisk}/dregs' oflag=append conv=notrunc,fsync 2>&1`;
        await runCommand('sh', ['-c', `${dregs} || ${dregs} || sync`]);
        assert.ok(room(bed).available < 1 << 15, JSON.stringify(room(bed)));
        await assert.rejects(bed.crictl('pull', unusedImage), /no space|ENOSPC/i);
        bed.placeText('waits', simplePod('waits', 'sleep 1000').replace('busybox:1.36', 'unused:1'));
        const waits = new TestPod(bed, 'waits');
        // A sandbox has records on that disk, too.
        await until('the kubelet was told', 30_000, () =>
          assert.match(tail(bed.kubelet.logFile, 100), /waits.*(no space|disk is full|disk of)/i),
        );
        assert.equal(await pod.sh('exec', 'echo here'), 'here');
        await bed.berthd.stop('SIGKILL');
        await bed.startBerthd();
        // The kubelet connects anew when its pause after a refusal is over.
        await until('exec works again', 20_000, async () =>
          assert.equal(await pod.sh('exec', 'echo here'), 'here'),
        );
        // Longer than the probes' periods and thresholds together.
        await pause(8000);
        const after = (await identities(bed)).filter((line) => !line.startsWith('waits'));
        assert.deepEqual(after, before);
        empty(bed);
        await waits.waitReady(90_000);
        await waits.remove();
      } finally {
        empty(bed);
        await bed.kubelet.stop();
        await bed.startKubelet();
      }
      await pod.waitReady();
      assert.deepEqual(await identities(bed), before);
    },
  },
];
