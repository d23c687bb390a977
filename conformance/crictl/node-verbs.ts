/** The verbs about the node and its images. */
import { require } from './verb-table.ts';
import { busybox, pause, type Walk } from './walk.ts';

interface Info {
  readonly status: { readonly conditions: readonly { readonly type: string; readonly status: boolean }[] };
  readonly runtimeHandlers: readonly { readonly name?: string }[];
  readonly config: unknown;
}

interface Images {
  readonly images: readonly {
    readonly id: string;
    readonly repoTags: readonly string[];
    readonly repoDigests: readonly string[];
    readonly size: string;
  }[];
}

export async function checkNode({ crictl, table }: Walk): Promise<void> {
  await table.check('version', 'names the runtime and CRI v1', async () => {
    const text = await crictl.ok(['version']);
    require(/RuntimeName:\s+berth/.test(text) && /RuntimeApiVersion:\s+v1\b/.test(text), 'it says', text);
  });
  await table.check('info', 'runtime and network are ready, handlers are listed', async () => {
    const info = await crictl.json<Info>('info');
    const ready = info.status.conditions.filter(({ status }) => status).map(({ type }) => type);
    require(ready.includes('RuntimeReady') && ready.includes('NetworkReady'), 'ready are', ready);
    const names = info.runtimeHandlers.map(({ name }) => name ?? '');
    require(['', 'crun', 'runc'].every((name) => names.includes(name)), 'handlers are', names);
    require(info.config !== undefined, 'no config in the verbose part');
  });
  await table.check('runtime-config', 'tells the cgroup driver', async () => {
    const text = await crictl.ok(['runtime-config']);
    require(/^cgroup driver:\s+(CGROUPFS|SYSTEMD)\s*$/.test(text), 'it says', text);
  });
  await table.check('update-runtime-config', 'takes a pod CIDR, refuses what is none', async () => {
    await crictl.ok(['update-runtime-config', '--pod-cidr', '10.244.3.0/24']);
    await crictl.fails(['update-runtime-config', '--pod-cidr', '10.244.3.0/64'], /InvalidArgument/);
  });
  await table.check('config', 'reads its own file; no call', async () => {
    require(/unix:/.test(await crictl.ok(['config', '--get', 'runtime-endpoint'])), 'no endpoint');
  });
  await table.check('completion', 'prints a shell script; no call', async () => {
    require((await crictl.ok(['completion', 'bash'])).includes('crictl'), 'no script');
  });
}

export async function checkImages(walk: Walk): Promise<void> {
  const { crictl, table } = walk;
  let digest = '';
  let id = '';
  await table.check('pull', 'by tag, and again', async () => {
    for (const reference of [busybox, pause, busybox]) {
      const text = await crictl.ok(['pull', reference]);
      require(text.startsWith('Image is up to date for sha256:'), 'it says', text);
    }
  });
  await table.check('images', 'as a table, as JSON, ids alone, by name', async () => {
    const { images } = await crictl.json<Images>('images');
    const found = images.find(({ repoTags }) => repoTags.includes(busybox));
    require(found !== undefined && Number(found.size) > 0, 'busybox is not listed with a size', images);
    digest = found.repoDigests[0] ?? '';
    id = found.id;
    require(/^docker\.io\/library\/busybox\s+latest\s/m.test(await crictl.ok(['images'])), 'no such row');
    require((await crictl.ok(['images', '-q'])).split('\n').includes(id), 'the id is missing');
    require((await crictl.ok(['images', '-q', 'busybox'])).trim() === id, 'the short name finds another');
    require((await crictl.ok(['images', '-v', '--digests'])).includes(digest), 'no digest');
  });
  await table.check('inspecti', 'by tag, digest, id and prefix, with the OCI config', async () => {
    for (const reference of [busybox, digest, id, id.slice(7, 20)]) {
      const { status, info } = await crictl.json<{
        status: { id: string };
        info: { imageSpec?: { config?: { Cmd?: string[] } } };
      }>('inspecti', reference);
      require(status.id === id && info.imageSpec?.config?.Cmd?.[0] === 'sh', `for ${reference}`, {
        status,
        info,
      });
    }
    await crictl.fails(['inspecti', 'docker.io/library/absent:1'], /no such image|not.found/i);
  });
  await table.check('pull', 'by digest; an image that is not there fails and says why', async () => {
    await crictl.ok(['pull', digest]);
    await crictl.fails(['pull', 'docker.io/library/absent:1'], /absent:1.*(not found|no such)/is);
    await crictl.fails(['pull', 'Not A Reference'], /InvalidArgument|invalid/i);
  });
  await table.check('imagefsinfo', 'counts bytes', async () => {
    const text = await crictl.ok(['imagefsinfo', '--output', 'json']);
    require(/"usedBytes":\s*\{\s*"value":\s*"[1-9]/.test(text), 'it says', text);
  });
}

/** Last, when no container needs the images any more. */
export async function checkImageRemoval({ crictl, table }: Walk): Promise<void> {
  await table.check('rmi', 'by tag, twice, and those that nothing uses', async () => {
    await crictl.ok(['rmi', pause]);
    await crictl.fails(['inspecti', pause], /no such image|not.found/i);
    await crictl.ok(['rmi', '--prune']);
    require((await crictl.ok(['images', '-q'])).trim() === '', 'an image is left');
  });
}
