/** Pulling: policies, failures, credentials. Collecting garbage is among the faults, because it restarts the kubelet. */
import assert from 'node:assert/strict';
import type { TestPod } from '../pod.ts';
import type { Scenario } from './scenario.ts';

function waitWaiting(pod: TestPod, container: string, reasons: readonly string[]) {
  return pod.waitContainer(container, ({ state }) => {
    assert.ok(reasons.includes(state.waiting?.reason ?? ''), JSON.stringify(state));
  });
}

export const images: readonly Scenario[] = [
  {
    name: 'image-pull',
    shows: 'the three pull policies; what is said of images that cannot be had',
    async run(pod) {
      for (const name of ['always', 'if-not-present'])
        await pod.waitContainer(name, ({ ready, state }) => assert.ok(ready, JSON.stringify(state)));
      const { imageID, image } = await pod.container('always');
      assert.match(imageID, /sha256:[0-9a-f]{64}$/);
      assert.match(image, /busybox/);
      await waitWaiting(pod, 'never', ['ErrImageNeverPull']);
      const first = await waitWaiting(pod, 'missing', ['ErrImagePull', 'ImagePullBackOff']);
      assert.match(first.state.waiting?.message ?? '', /no-such-image/);
      await waitWaiting(pod, 'missing', ['ImagePullBackOff']);
      await waitWaiting(pod, 'bad-name', ['InvalidImageName']);
      const unreachable = await waitWaiting(pod, 'no-registry', [
        'RegistryUnavailable',
        'ErrImagePull',
        'ImagePullBackOff',
      ]);
      assert.match(unreachable.state.waiting?.message ?? '', /registry\.invalid/);
    },
  },
  {
    name: 'private-image',
    shows: 'an image behind a password is pulled with the credentials of the node',
    edits: (bed) => ({ 'registry.example.com': bed.privateRegistry.host }),
    async run(pod, bed) {
      await pod.waitReady();
      assert.equal(await pod.logs('main'), 'not for everyone\n');
      assert.ok(bed.privateRegistry.refusals() > 0, 'the registry never asked for a password');
      await assert.rejects(
        bed.crictl('pull', `${bed.privateRegistry.host}/team/private:1`),
        /401|[Uu]nauthorized|authenticat/,
      );
    },
  },
];
