/** Volumes that images declare, requested mounts, image volumes and devices. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bindMount, listMounts, MS_PRIVATE, MS_SHARED, setPropagation, unmountAll } from '#host/mount.ts';
import { ContainerState, type DeviceInit, type MountInit, MountPropagation } from '#proto/generated/cri.ts';
import { BehaviourBed, type Pod } from './bed.ts';
import { imageNames } from './images.ts';

let bed: BehaviourBed;
let pod: Pod;
let hostDir: string;

beforeAll(async () => {
  bed = await BehaviourBed.start({ images: [imageNames.busybox, imageNames.volumes, imageNames.tree] });
  pod = await bed.runPod();
  hostDir = join(bed.dir, 'host');
  mkdirSync(hostDir);
});
afterAll(() => bed.close());

const volumesImage = { image: { image: imageNames.volumes } };
const mounts = (...list: MountInit[]) => ({ mounts: list });

test('a declared volume begins with the image’s content, owners, modes and links', async () => {
  const id = await bed.run(pod, 'copied', volumesImage);
  const listing = await bed.sh(
    id,
    'cd /data; stat -c "%n %u:%g %a" . plain setuid sub; readlink soft; cat plain; stat -c %h plain hard; stat -c "%a" /scratch /made/here',
  );
  expect(listing.split('\n').slice(0, -1)).toEqual([
    '. 1000:1001 2750',
    'plain 1002:1003 640',
    'setuid 0:0 4755',
    'sub 0:0 1777',
    '/etc/passwd',
    'from the image',
    '2',
    '2',
    '1777',
    '755',
  ]);
  await bed.sh(id, 'echo mine > /data/new; echo mine > /scratch/new; echo mine > /made/here/new');
  const volumes = join(bed.dir, 'lib', 'volumes', id);
  expect(readdirSync(volumes)).toHaveLength(3);
  // Not in the writable layer, and nobody else's.
  const other = await bed.run(pod, 'another', volumesImage);
  expect((await bed.exec(other, ['ls', '/data/new'])).exit_code).not.toBe(0);
  await bed.call('RemoveContainer', { container_id: id });
  expect(existsSync(volumes)).toBe(false);
});

test('volumes are not among the mounts of the status, and a requested mount takes the place of one', async () => {
  const source = join(hostDir, 'instead');
  mkdirSync(source);
  writeFileSync(join(source, 'host'), 'host\n');
  const id = await bed.run(pod, 'instead', {
    ...volumesImage,
    ...mounts({ container_path: '/data/', host_path: source }),
  });
  expect(await bed.sh(id, 'ls /data')).toBe('host\n');
  expect(readdirSync(join(bed.dir, 'lib', 'volumes', id))).toHaveLength(2);
  expect((await bed.status(id)).mounts).toMatchObject([{ container_path: '/data/', host_path: source }]);
});

test('a missing host path is made, links of it are followed, files are files', async () => {
  const file = join(hostDir, 'file');
  const link = join(hostDir, 'link');
  writeFileSync(file, 'content\n');
  symlinkSync(file, link);
  const missing = join(hostDir, 'not', 'yet');
  const id = await bed.run(
    pod,
    'paths',
    mounts({ container_path: '/new', host_path: missing }, { container_path: '/x/y/file', host_path: link }),
  );
  expect(await bed.sh(id, 'echo written > /new/here; cat /x/y/file')).toBe('content\n');
  expect(readFileSync(join(missing, 'here'), 'utf8')).toBe('written\n');
  expect(statSync(missing).mode & 0o777).toBe(0o755);
  await expect(
    bed.create(pod, 'below-file', mounts({ container_path: '/a', host_path: join(file, 'below') })),
  ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('read-only is read-only, and all the way down where that is asked', async () => {
  const source = join(hostDir, 'ro');
  mkdirSync(join(source, 'inner'), { recursive: true });
  bindMount(join(source, 'inner'), join(source, 'inner'));
  try {
    const id = await bed.run(
      pod,
      'read-only',
      mounts(
        { container_path: '/ro', host_path: source, readonly: true },
        { container_path: '/rro', host_path: source, readonly: true, recursive_read_only: true },
      ),
    );
    const canWrite = async (path: string) => (await bed.exec(id, ['touch', `${path}/t`])).exit_code === 0;
    expect(await Promise.all(['/ro', '/rro', '/ro/inner', '/rro/inner'].map(canWrite))).toEqual([
      false,
      false,
      true,
      false,
    ]);
    await bed.call('RemoveContainer', { container_id: id });
  } finally {
    unmountAll(join(source, 'inner'));
  }
  const requests: MountInit[] = [
    { recursive_read_only: true },
    {
      readonly: true,
      recursive_read_only: true,
      propagation: MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
    },
  ];
  for (const request of requests)
    await expect(
      bed.create(pod, 'refused', mounts({ container_path: '/a', host_path: source, ...request })),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('mounts are passed on as the propagation says, and refused where the host’s mount cannot', async () => {
  const source = join(hostDir, 'shared');
  mkdirSync(join(source, 'sub'), { recursive: true });
  bindMount(source, source);
  const mountAt = (propagation: MountPropagation) =>
    mounts({ container_path: '/p', host_path: source, propagation });
  try {
    setPropagation(source, MS_PRIVATE);
    for (const propagation of [
      MountPropagation.PROPAGATION_BIDIRECTIONAL,
      MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
    ])
      await expect(bed.create(pod, 'no-peer', mountAt(propagation))).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining('make-rshared'),
      });
    setPropagation(source, MS_SHARED);
    const ids = await Promise.all([
      bed.run(pod, 'private', mountAt(MountPropagation.PROPAGATION_PRIVATE)),
      bed.run(pod, 'slave', mountAt(MountPropagation.PROPAGATION_HOST_TO_CONTAINER)),
      bed.run(pod, 'peer', mountAt(MountPropagation.PROPAGATION_BIDIRECTIONAL)),
    ]);
    writeFileSync(join(hostDir, 'seen'), '');
    bindMount(hostDir, join(source, 'sub'));
    const sees = async (id: string) => (await bed.exec(id, ['ls', '/p/sub/seen'])).exit_code === 0;
    expect(await Promise.all(ids.map(sees))).toEqual([false, true, true]);
    await Promise.all(ids.map((id) => bed.call('RemoveContainer', { container_id: id })));
  } finally {
    unmountAll(join(source, 'sub'));
    unmountAll(source);
  }
});

const imageMount = (container_path: string, image_sub_path = ''): MountInit => ({
  container_path,
  image: { image: imageNames.tree },
  image_sub_path,
});

test('an image can be mounted, whole or a folder of it, once per pod and until the pod stops', async () => {
  const own = await bed.runPod();
  const [whole, part] = await Promise.all([
    bed.run(own, 'whole', mounts(imageMount('/tree'))),
    bed.run(own, 'part', mounts(imageMount('/leaf', 'dir'), imageMount('/via-link', 'inside'))),
  ]);
  expect(await bed.sh(whole, 'cat /tree/top /tree/dir/leaf')).toBe('top\nleaf\n');
  expect(await bed.sh(part, 'ls /leaf /via-link')).toBe('/leaf:\nleaf\n\n/via-link:\nleaf\n');
  expect((await bed.exec(whole, ['touch', '/tree/new'])).exit_code).not.toBe(0);
  const ofPod = () => listMounts().filter(({ mountPoint }) => mountPoint.includes(`${own.id}/images/`));
  expect(ofPod()).toHaveLength(1);
  const { image } = await bed.call('ImageStatus', { image: { image: imageNames.tree } });
  const [digest] = image!.repo_digests;
  expect(digest).toMatch(/@sha256:[0-9a-f]{64}$/);
  expect((await bed.status(part)).mounts).toMatchObject([
    {
      container_path: '/leaf',
      host_path: '',
      image: { image: imageNames.tree, image_ref: digest },
      image_sub_path: 'dir',
    },
    { container_path: '/via-link', image_sub_path: 'inside' },
  ]);
  await bed.call('StopPodSandbox', { pod_sandbox_id: own.id });
  expect(ofPod()).toEqual([]);
  await bed.removePod(own);
});

test('a folder of an image is looked for inside the image only', async () => {
  // Links that lead out of the image end at its own root: /etc there is the image's.
  const inside = await bed.run(
    pod,
    'confined',
    mounts(imageMount('/a', 'absolute'), imageMount('/b', 'upwards')),
  );
  expect(await bed.sh(inside, 'cat /a/own /b/own')).toBe('of the image\nof the image\n');
  for (const path of ['no-such', 'top', 'process'])
    await expect(bed.create(pod, 'lost', mounts(imageMount('/a', path)))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: expect.stringMatching(/^ImageVolumeMountFailed/),
    });
  for (const path of ['../etc', 'dir/../../etc', '/etc'])
    await expect(bed.create(pod, 'hostile', mounts(imageMount('/a', path)))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  await expect(
    bed.create(
      pod,
      'unknown',
      mounts({ container_path: '/a', image: { image: 'docker.io/library/absent' } }),
    ),
  ).rejects.toMatchObject({ code: 'NOT_FOUND', details: expect.stringMatching(/^ImageVolumeMountFailed/) });
});

const devices = (...list: DeviceInit[]) => ({ devices: list });

test('devices: one, one under another name, all of a folder, with just the asked access', async () => {
  const id = await bed.run(
    pod,
    'devices',
    devices(
      { host_path: '/dev/zero', container_path: '/dev/my/zero', permissions: 'rw' },
      { host_path: '/dev/net/', container_path: '/dev/my/net', permissions: 'rwm' },
      { host_path: '/dev/fuse', permissions: 'r' },
    ),
  );
  expect(await bed.sh(id, 'head -c 4 /dev/my/zero | wc -c; stat -c %F /dev/my/net/tun /dev/fuse')).toBe(
    '4\ncharacter special file\ncharacter special file\n',
  );
  const status = await bed.exec(id, ['sh', '-c', 'exec < /dev/fuse; echo > /dev/fuse']);
  expect(status.stderr.toString()).toMatch(/not permitted/);
  expect((await bed.exec(id, ['ls', '/dev/kmsg'])).exit_code).not.toBe(0);
  for (const host_path of ['/etc/passwd', '/dev/no-such'])
    await expect(bed.create(pod, 'no-device', devices({ host_path }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
});

test('a container has the privileges of its sandbox at most', async () => {
  const privileged = { linux: { security_context: { privileged: true } } };
  await expect(bed.create(pod, 'privileged', privileged)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  const strong = await bed.runPod({
    linux: {
      cgroup_parent: bed.cgroupParent,
      security_context: { privileged: true, namespace_options: { pid: 1 } },
    },
  });
  const [id, plain] = await Promise.all([bed.run(strong, 'strong', privileged), bed.run(strong, 'plain')]);
  const effective = async (container: string) =>
    BigInt(`0x${(await bed.sh(container, 'grep CapEff /proc/self/status')).split('\t')[1]!.trim()}`);
  expect(await effective(id)).toBeGreaterThan(await effective(plain));
  expect(await bed.sh(id, 'ls /dev/kmsg; mkdir /m; mount -t tmpfs none /m; echo $?')).toBe('/dev/kmsg\n0\n');
  expect((await bed.exec(plain, ['ls', '/dev/kmsg'])).exit_code).not.toBe(0);
  await bed.removePod(strong);
});

test('a create that fails half-way leaves nothing and its name free', async () => {
  const secret = join(hostDir, 'socket-folder');
  mkdirSync(secret);
  chmodSync(secret, 0);
  const before = readdirSync(join(bed.dir, 'run', 'bundles'));
  await expect(
    bed.create(pod, 'half', {
      ...volumesImage,
      ...mounts(imageMount('/tree'), { container_path: '/', host_path: secret }),
    }),
  ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(bed.create(pod, 'half', { ...volumesImage, command: ['/no/such/program'] })).rejects.toThrow(
    /no\/such\/program/,
  );
  expect(readdirSync(join(bed.dir, 'run', 'bundles'))).toEqual(before);
  const id = await bed.run(pod, 'half', volumesImage);
  expect((await bed.status(id)).state).toBe(ContainerState.CONTAINER_RUNNING);
});
