/** The audit of pods' attachments: what the plugins say of them, asked by the program itself, whether a daemon runs or not. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Finding } from '#base/finding.ts';
import { managedByLabel, networkAnnotation } from '#base/managed-pod.ts';
import { FaultBed, imageName } from '#conformance/faults/bed.ts';
import { PodWalk } from '#conformance/faults/pod-walk.ts';

const run = promisify(execFile);
const projectRoot = join(import.meta.dirname, '..');

let bed: FaultBed;
let sandboxId: string;
let netnsPath: string;

beforeAll(async () => {
  bed = await FaultBed.prepare();
  await bed.start();
  await bed.call('PullImage', { image: { image: imageName } });
  const walk = new PodWalk(bed, { name: 'checked', tries: 1 });
  await walk.run();
  sandboxId = (await bed.call('ListPodSandbox', {})).items[0]!.id;
  netnsPath = join(bed.config.network.netnsDir, `berth-${sandboxId.slice(0, 24)}`);
});

afterAll(async () => {
  await bed.close();
});

async function audit(...flags: string[]): Promise<{ status: number; findings: Finding[] }> {
  const words = ['daemon/audit-main.ts', '--config', bed.configFile, '--json', ...flags];
  const text = await run(process.execPath, words, { cwd: projectRoot }).then(
    ({ stdout }) => ({ status: 0, stdout }),
    (error: { code: number; stdout: string }) => ({ status: error.code, stdout: error.stdout }),
  );
  const lines = text.stdout.split('\n').filter((line) => line !== '');
  return { status: text.status, findings: lines.map((line) => JSON.parse(line) as Finding) };
}

/** Runs `ip` in the pod's network namespace. */
async function ip(...words: string[]): Promise<string> {
  const { stdout } = await run('nsenter', [`--net=${netnsPath}`, 'ip', ...words]);
  return stdout;
}

test('an attachment that is as it was made is no finding, with a daemon or without', async () => {
  expect(await audit('--cni-check')).toEqual({ status: 0, findings: [] });
  await bed.stop();
  expect(await audit('--cni-check')).toEqual({ status: 0, findings: [] });
});

test('a pod that has lost its address is told in the words of the plugin, to those who ask for that', async () => {
  const [{ addr_info: addresses }] = JSON.parse(await ip('-j', '-4', 'addr', 'show', 'eth0'));
  const address = `${addresses[0].local}/${addresses[0].prefixlen}`;
  await ip('addr', 'del', address, 'dev', 'eth0');
  expect(await audit()).toEqual({ status: 0, findings: [] });
  const { status, findings } = await audit('--cni-check');
  expect(status).toBe(1);
  expect(findings).toEqual([
    expect.objectContaining({ kind: 'missing', what: 'network attachment', id: sandboxId }),
  ]);
  expect(findings[0]!.path).toContain('CNI plugin bridge CHECK');
  await ip('addr', 'add', address, 'dev', 'eth0');
  expect((await audit('--cni-check')).findings).toEqual([]);
});

test('a pod that is attached to no network lacks nothing', async () => {
  await bed.start();
  const { pod_sandbox_id } = await bed.call('RunPodSandbox', {
    config: {
      metadata: { name: 'lonely', uid: 'lonely', namespace: 'berth', attempt: 0 },
      labels: { [managedByLabel]: 'berth-cli' },
      annotations: { [networkAnnotation]: 'none' },
      linux: { cgroup_parent: bed.cgroupParent },
    },
  });
  expect(await audit('--cni-check')).toEqual({ status: 0, findings: [] });
  await bed.call('RemovePodSandbox', { pod_sandbox_id });
});
