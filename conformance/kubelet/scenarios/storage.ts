/** Volumes of all kinds. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { until } from '../wait.ts';
import type { Scenario } from './scenario.ts';

export const storage: readonly Scenario[] = [
  {
    name: 'volumes',
    shows: 'emptyDir on disk and in memory, hostPath, subPath, read-only and downward API volumes',
    async run(pod, bed) {
      await pod.waitReady();
      const sh = (script: string) => pod.sh('main', script);
      assert.equal(await sh('cat /part/file /etc/single'), 'inside\nsingle');
      await sh('echo new > /part/new && echo log > /named/log');
      assert.equal(await pod.sh('other', `cat /disk/part/new /disk/logs/${pod.fullName}/log`), 'new\nlog');
      assert.equal(await sh('stat -f -c %T /memory'), 'tmpfs');
      assert.match(await sh('df -k /memory | tail -1'), /\s8192\s/);
      await sh('echo kept > /memory/note');
      assert.equal(await pod.sh('other', 'cat /memory/note'), 'kept');
      for (const path of ['/disk-ro/x', '/disk-rro/x', '/x'])
        assert.match((await pod.exec('main', ['touch', path])).stderr, /Read-only file system/, path);
      await sh('echo from the pod > /host/note && echo from the pod > /host-file');
      assert.equal(readFileSync(`${bed.hostPath('volumes')}/note`, 'utf8'), 'from the pod\n');
      assert.equal(readFileSync(bed.hostPath('volumes-file'), 'utf8'), 'from the pod\n');
      assert.ok(statSync(bed.hostPath('volumes-unset-type')).isDirectory());
      assert.equal(await sh('cat /about/labels /about/note'), 'tier="storage"seen through the downward API');
      // A restarted container finds its volumes as they were.
      await pod.exec('other', ['kill', '-TERM', '1']);
      await pod.waitContainer('other', ({ restartCount, ready }) =>
        assert.ok(restartCount === 1 && ready, 'not restarted'),
      );
      assert.equal(await pod.sh('other', 'cat /memory/note /disk/part/new'), 'kept\nnew');
    },
  },
  {
    name: 'mount-propagation',
    shows: 'a mount made in a Bidirectional volume reaches the host and HostToContainer mounts alone',
    async run(pod, bed) {
      await pod.waitReady();
      const onHost = bed.hostPath('propagation/t/file');
      await until('the mount is on the host', 10_000, () =>
        assert.equal(readFileSync(onHost, 'utf8'), 'here\n'),
      );
      // The loner may have started after the mount was made: then its private copy holds it, and only later ones not.
      mkdirSync(bed.hostPath('propagation/later'), { recursive: true });
      await pod.sh('mounter', 'mount -t tmpfs later /shared/later && echo later > /shared/later/file');
      assert.equal(await pod.sh('follower', 'cat /shared/later/file'), 'later');
      assert.equal((await pod.exec('loner', ['cat', '/shared/later/file'])).code, 1);
      await pod.sh('mounter', 'umount /shared/later');
      assert.equal((await pod.exec('follower', ['cat', '/shared/later/file'])).code, 1);
      await pod.remove();
      assert.ok(!existsSync(onHost), 'the mount stayed on the host');
    },
  },
  {
    name: 'image-volume',
    shows: "an image's files as a read-only volume",
    async run(pod) {
      await pod.waitReady();
      assert.match(await pod.sh('main', 'cat /content/htdocs/index.html'), /httpd fixture/);
      assert.match(await pod.sh('main', 'cat /pages/index.html'), /httpd fixture/);
      assert.match((await pod.exec('main', ['touch', '/content/x'])).stderr, /Read-only file system/);
    },
  },
  {
    name: 'log-rotation',
    shows: 'the kubelet rotates logs without losing a line',
    async run(pod, bed) {
      await pod.waitReady();
      const lines: string[] = [];
      let text = '';
      const stop = await bed.api.followLog(`${pod.path('containerLogs', 'main')}?follow=true`, (part) => {
        text += part;
      });
      const { metadata } = await pod.get();
      const dir = `${bed.paths.logs}/default_${pod.fullName}_${metadata.uid}/main`;
      const { readdirSync } = await import('node:fs');
      await until('two rotations', 60_000, () => {
        const names = readdirSync(dir).filter((name) => name.startsWith('0.log.'));
        assert.ok(names.length >= 2 && names.some((name) => name.endsWith('.gz')), names.join(' '));
      });
      stop();
      lines.push(...text.trimEnd().split('\n'));
      const numbers = lines.slice(0, -1).map((line) => Number(/^line (\d+) of/.exec(line)?.[1]));
      for (const [index, number] of numbers.entries())
        assert.equal(number, (numbers[0] ?? 0) + index, `line ${index} of the followed log`);
      assert.ok(numbers.length > 200, `${numbers.length} lines followed`);
      writeFileSync(`${bed.options.outDir}/log-rotation.txt`, text);
    },
  },
];
