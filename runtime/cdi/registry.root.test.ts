import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OciHookFolders } from '../oci-hooks/hook-folders.ts';
import { buildContainerSpec } from '../spec/container-spec.ts';
import { type LiveBundle, makeLiveBundle } from '../spec/testing/live-bundle.ts';
import { podNamespaces, type SampleVariation } from '../spec/testing/sample-input.ts';
import { CdiRegistry } from './registry.ts';

const name = 'vendor.com/toy=0';
const log = pino({ level: 'silent' });
let live: LiveBundle;
let registry: CdiRegistry;
let hookFolders: OciHookFolders;
let trace: string;

beforeAll(() => {
  live = makeLiveBundle();
  const path = (...parts: string[]) => join(live.directory, ...parts);
  for (const folder of ['cdi', 'hooks.d', 'driver']) mkdirSync(path(folder));
  trace = path('trace');
  writeFileSync(path('driver/version'), 'driver 7\n');
  writeFileSync(path('hook'), `#!/bin/sh\necho "$1 $WHO $(cat | grep -c '"pid"')" >> ${trace}\n`, {
    mode: 0o755,
  });
  writeFileSync(
    path('cdi/toy.yaml'),
    `cdiVersion: 0.7.0
kind: vendor.com/toy
containerEdits:
  env: [TOY_DRIVER=7]
  mounts:
  - {hostPath: ${path('driver')}, containerPath: /opt/toy, options: [ro, nosuid, nodev, bind]}
  hooks:
  - {hookName: createRuntime, path: ${path('hook')}, args: [hook, cdi], env: [WHO=vendor, PATH=/bin:/usr/bin]}
devices:
- name: 0
  containerEdits:
    env: [TOY=zero]
    deviceNodes:
    - {path: /dev/toy0, hostPath: /dev/null, fileMode: 0622}
    additionalGids: [4242]
`,
  );
  const hook = { path: path('hook'), args: ['hook', 'folder'], env: ['WHO=operator', 'PATH=/bin:/usr/bin'] };
  const definition = {
    version: '1.0.0',
    hook,
    when: { annotations: { '^toy$': 'yes' } },
    stages: ['poststop'],
  };
  writeFileSync(path('hooks.d/toy.json'), JSON.stringify(definition));
  registry = new CdiRegistry({ folders: [path('cdi'), '/nowhere'], log });
  hookFolders = new OciHookFolders({ folders: ['/nowhere', path('hooks.d')], log });
});
afterAll(() => live[Symbol.dispose]());

async function run(program: string, script: string, variation: SampleVariation = {}): Promise<string> {
  rmSync(trace, { force: true });
  const built = buildContainerSpec(live.input(script, variation));
  const withDevice = await registry.apply(built, [name], false);
  const spec = await hookFolders.apply(withDevice, { mounts: [] }, { annotations: { toy: 'yes' } });
  const { exitCode, stdout, stderr } = live.run(program, spec);
  expect(`${exitCode} ${stderr}`, stdout).toBe('0 ');
  return stdout;
}

describe.each(['crun', 'runc'])('%s', (program) => {
  test('a container has the variables, the device, the mount and the group, and the hooks ran', async () => {
    const out = await run(
      program,
      `echo "$TOY $TOY_DRIVER"; cat /opt/toy/version; touch /opt/toy/x 2>/dev/null || echo read-only
       stat -c '%t:%T %a %F' /dev/toy0; echo gone > /dev/toy0 && echo written; id -G`,
    );
    expect(out.trim().split('\n')).toEqual([
      'zero 7',
      'driver 7',
      'read-only',
      '1:3 622 character special file',
      'written',
      expect.stringMatching(/\b4242\b/),
    ]);
    // The runtime hands each hook the container's state; after the end there is no process in it.
    expect(readFileSync(trace, 'utf8')).toMatch(/^cdi vendor 1\nfolder operator \d\n$/);
    expect(statSync('/dev/null').mode & 0o777).toBe(0o666);
  });

  test('in a user namespace the device is the node of the host', async () => {
    const pod = live.pinUserPod(200_000);
    const ids = [{ hostId: 200_000, containerId: 0, length: 65_536 }];
    const namespaces = { ...podNamespaces, userns: { mode: 'pod' as const, uids: ids, gids: ids } };
    const base = live.input('');
    const out = await run(program, 'echo x > /dev/toy0 && echo written; cat /opt/toy/version', {
      security: { namespaces },
      sandboxSecurity: { namespaces },
      input: { rootfsPath: pod.rootfs, paths: { ...base.paths, ...pod.paths } },
    });
    expect(out).toBe('written\ndriver 7\n');
    expect(existsSync(trace)).toBe(true);
  });
});
