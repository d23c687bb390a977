/** What operators and vendors put into folders: CDI specifications and OCI hooks, and what tools read off a container's spec. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BehaviourBed, until } from './bed.ts';
import { imageNames } from './images.ts';

let bed: BehaviourBed;
const place = (...names: string[]) => join(bed.dir, ...names);

beforeAll(async () => {
  bed = await BehaviourBed.start({
    config: (dir) => ({
      runtime: {
        cdi_spec_dirs: [join(dir, 'cdi-etc'), join(dir, 'cdi-run')],
        hooks_dirs: [join(dir, 'hooks')],
      },
    }),
  });
});
afterAll(() => bed.close());

async function loadStatus(kind: 'CDI' | 'OCIHooks'): Promise<string> {
  const { info } = await bed.call('Status', { verbose: true });
  return info[`last${kind}LoadStatus`] ?? '';
}

const loggedWith = (words: string) =>
  readFileSync(bed.logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes(words) && line.includes('passed over'));

test('a device is there for a container as soon as its file is written; a broken file is told when it appears', async () => {
  const pod = await bed.runPod();
  mkdirSync(place('cdi-run'));
  for (let round = 0; round < 5; round += 1) {
    const device = { name: 'one', containerEdits: { env: [`ROUND=${round}`] } };
    const content = { cdiVersion: '0.6.0', kind: 'vendor.example/device', devices: [device] };
    writeFileSync(place('cdi-run', 'vendor.json'), JSON.stringify(content));
    const id = await bed.run(pod, `user-${round}`, { CDI_devices: [{ name: 'vendor.example/device=one' }] });
    expect(await bed.sh(id, 'echo $ROUND')).toBe(`${round}\n`);
  }
  expect(await loadStatus('CDI')).toBe('OK');
  mkdirSync(place('cdi-etc'));
  writeFileSync(place('cdi-etc', 'torn.yaml'), 'cdiVersion: [');
  const told = async () => ((await loadStatus('CDI')).includes('torn.yaml') ? true : undefined);
  await until(told, 5000, 'the broken specification in the status');
  await bed.run(pod, 'beside-it', { CDI_devices: [{ name: 'vendor.example/device=one' }] });
  expect(loggedWith('torn.yaml')).toHaveLength(1);
  rmSync(place('cdi-etc', 'torn.yaml'));
  await until(async () => (await loadStatus('CDI')) === 'OK' || undefined, 5000, 'the status without it');
  await bed.removePod(pod);
});

test('hooks of the node run for the containers that they are for; a broken one is told when it appears', async () => {
  mkdirSync(place('hooks'));
  const program = place('hook.sh');
  // Whatever the stage: of that before the start and of that after it one line each.
  writeFileSync(program, `#!/bin/sh\ncat >> ${place('state-seen')}\necho >> ${place('state-seen')}\n`);
  chmodSync(program, 0o755);
  const definition = {
    version: '1.0.0',
    hook: { path: program },
    when: { annotations: { '^example/hook$': '^yes$' } },
    stages: ['createRuntime', 'poststart'],
  };
  writeFileSync(place('hooks', '10-state.json'), JSON.stringify(definition));
  const pod = await bed.runPod();
  await bed.run(pod, 'without');
  expect(existsSync(place('state-seen'))).toBe(false);
  const id = await bed.run(pod, 'with', { annotations: { 'example/hook': 'yes' } });
  const seen = readFileSync(place('state-seen'), 'utf8')
    .trim()
    .split(/\n(?=\{)/);
  expect(seen.map((text) => JSON.parse(text))).toMatchObject([
    { id, status: 'created', annotations: { 'io.kubernetes.cri.container-name': 'with' } },
    { id, status: 'running' },
  ]);
  writeFileSync(place('hooks', '20-torn.json'), '{"version": "9"');
  const told = async () => ((await loadStatus('OCIHooks')).includes('20-torn.json') ? true : undefined);
  await until(told, 5000, 'the broken definition in the status');
  expect(loggedWith('20-torn.json')).toHaveLength(1);
  await bed.removePod(pod);
});

test('tools that read a spec find whose it is under the names that they know', async () => {
  const pod = await bed.runPod();
  const id = await bed.run(pod, 'main');
  const { runtimeSpec } = (await bed.info(id)) as unknown as {
    runtimeSpec: { annotations: Record<string, string> };
  };
  const { name, uid, namespace } = pod.config.metadata!;
  expect(runtimeSpec.annotations).toMatchObject({
    'io.kubernetes.cri.container-type': 'container',
    'io.kubernetes.cri.container-name': 'main',
    'io.kubernetes.cri.image-name': imageNames.busybox,
    'io.kubernetes.cri.sandbox-id': pod.id,
    'io.kubernetes.cri.sandbox-name': name,
    'io.kubernetes.cri.sandbox-uid': uid,
    'io.kubernetes.cri.sandbox-namespace': namespace,
    'io.kubernetes.cri.sandbox-log-directory': pod.logDir,
  });
  await bed.removePod(pod);
});
