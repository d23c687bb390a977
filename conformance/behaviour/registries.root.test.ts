/** What operators configure about registries, and artifacts, seen through the socket. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { RealRegistry } from '#images/testing/real-registry.ts';
import { publishArtifact } from '#images/testing/test-artifact.ts';
import { BehaviourBed } from './bed.ts';

let bed: BehaviourBed;
let registry: RealRegistry;

beforeAll(async () => {
  registry = await RealRegistry.start();
  bed = await BehaviourBed.start({
    config: (dir) => {
      const policy = {
        default: [{ type: 'insecureAcceptAnything' }],
        transports: { docker: { [`${registry.host}/untrusted`]: [{ type: 'reject' }] } },
      };
      writeFileSync(join(dir, 'policy.json'), JSON.stringify(policy));
      writeFileSync(
        join(dir, 'registries.conf'),
        `[[registry]]
location = "r.example"
[[registry.mirror]]
location = "${registry.host}"
[[registry]]
location = "bad.example"
blocked = true
[aliases]
model = "r.example/model"
`,
      );
      return {
        images: {
          registry_config_dirs: [join(dir, 'hosts')],
          registries_conf: join(dir, 'registries.conf'),
          signature_policy: join(dir, 'policy.json'),
          auth_files: [],
        },
      };
    },
  });
});
afterAll(async () => {
  await bed.close();
  await registry.stop();
});

test('an artifact is mounted as an image volume, by its short name, and refuses to be run', async () => {
  const content = Buffer.alloc(1 << 20, 'weights ');
  const files = [
    { content, title: 'deep/weights.bin' },
    { content: Buffer.from('hello\n'), title: 'README' },
  ];
  const type = { artifactType: 'application/vnd.example.model' };
  const { digest, sizeBytes } = await publishArtifact(registry, 'model', 'v1', files, type);
  const { image_ref: id } = await bed.call('PullImage', { image: { image: 'model:v1' } });
  expect(id).toBe(digest);
  const { image } = await bed.call('ImageStatus', { image: { image: 'model:v1' } });
  expect(image).toMatchObject({ id, repo_tags: ['r.example/model:v1'], size: BigInt(sizeBytes) });
  const { images } = await bed.call('ListImages', {});
  expect(images.map((one) => one.id)).toContain(id);
  const pod = await bed.runPod();
  const container = await bed.run(pod, 'reader', {
    mounts: [
      { container_path: '/model', image: { image: id } },
      { container_path: '/deep', image: { image: id }, image_sub_path: 'deep' },
    ],
  });
  expect(await bed.sh(container, 'cat /model/README; wc -c < /deep/weights.bin')).toBe(
    `hello\n${content.length}\n`,
  );
  expect((await bed.exec(container, ['touch', '/model/README'])).exit_code).not.toBe(0);
  await expect(bed.create(pod, 'runner', { image: { image: id } })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringMatching(
      /artifact of type application\/vnd.example.model, with nothing in it to run/,
    ),
  });
  await bed.removePod(pod);
  await bed.call('RemoveImage', { image: { image: id } });
  expect((await bed.call('ImageStatus', { image: { image: id } })).image).toBeUndefined();
});

test('what is blocked, untrusted or not there says so in words that the kubelet knows', async () => {
  const pull = (image: string) => bed.call('PullImage', { image: { image } });
  await expect(pull('bad.example/app')).rejects.toMatchObject({
    code: 'UNKNOWN',
    message: expect.stringMatching(/bad.example is blocked in .*registries.conf/),
  });
  await expect(pull(`${registry.host}/untrusted/app`)).rejects.toMatchObject({
    code: 'UNKNOWN',
    message: expect.stringMatching(
      /^PullImage: 2 UNKNOWN: SignatureValidationFailed: image .*policy rejects it/,
    ),
  });
  await expect(pull('127.0.0.1:1/app')).rejects.toMatchObject({
    code: 'UNKNOWN',
    message: expect.stringMatching(/^PullImage: 2 UNKNOWN: RegistryUnavailable: /),
  });
  const told = readFileSync(bed.logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes('127.0.0.1:1/app') && /"level":(4|5)0/.test(line));
  expect(told).toHaveLength(1);
});
