/**
 * A scenario takes one pod of examples/ through its life and asserts what an operator would see. It starts when the file
 * lies in the static pod folder and ends with an exception if anything is not as the example promises. Scenarios run side
 * by side, so none may touch what is not its own; the runner removes the pod.
 */
import { readFileSync } from 'node:fs';
import type { Bed } from '../bed.ts';
import type { TestPod } from '../pod.ts';

export interface Scenario {
  /** Unless `example` says otherwise, also the example's name. */
  readonly name: string;
  /** The promise, as a claim about the pod. */
  readonly shows: string;
  readonly example?: string;
  /** Replacements in the example's text, for what differs from machine to machine. */
  edits?(bed: Bed): Readonly<Record<string, string>>;
  /** Why it cannot work on this machine or without an API server; undefined if it can. */
  whyNot?(bed: Bed): string | undefined | Promise<string | undefined>;
  /** True for what restarts programs under all pods: it runs when nothing else does. */
  readonly isAlone?: boolean;
  /** For the whole of it; 5 minutes unless given. */
  readonly limitMs?: number;
  run(pod: TestPod, bed: Bed): Promise<void>;
}

/** Process id of a running container of the pod, as the runtime's verbose status gives it. */
export async function pidOf(pod: TestPod, container: string): Promise<number> {
  const id = await containerIdOf(pod, container);
  return Number(await pod.bed.crictl('inspect', '-o', 'go-template', '--template', '{{.info.pid}}', id));
}

/** The id without the runtime's name before it. */
export async function containerIdOf(pod: TestPod, container: string): Promise<string> {
  const { containerID } = await pod.container(container);
  if (containerID === undefined) throw new Error(`${pod.name}/${container} has no id yet`);
  return containerID.slice(containerID.indexOf('://') + 3);
}

/** A file of a controller in the cgroup of a running container. */
export async function readCgroupFile(
  pod: TestPod,
  container: string,
  controller: string,
  file: string,
): Promise<string> {
  const membership = readFileSync(`/proc/${await pidOf(pod, container)}/cgroup`, 'utf8')
    .trim()
    .split('\n');
  const isMine = (line: string): boolean => {
    const names = (line.split(':')[1] ?? '').split(',');
    return pod.bed.cgroup.isUnified ? names[0] === '' : names.includes(controller);
  };
  const path = membership.find(isMine)?.split(':').slice(2).join(':');
  if (path === undefined) throw new Error(`${controller} is no controller of ${membership.join(' ')}`);
  return readFileSync(`${pod.bed.cgroup.folder(controller, path)}/${file}`, 'utf8').trim();
}

/** A pod of one container for one question, not worth an example. */
export function simplePod(name: string, script: string, more = ''): string {
  const command = JSON.stringify(['sh', '-c', script]);
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  terminationGracePeriodSeconds: 1
  ${more}
  containers:
    - { name: main, image: "docker.io/library/busybox:1.36", command: ${command} }
`;
}

/** Identity and restart count of every container of every pod: what a fault must leave as it is. */
export async function identities(bed: Bed): Promise<string[]> {
  const pods = await bed.api.pods();
  return pods
    .flatMap(({ metadata, status }) =>
      (status.containerStatuses ?? []).map(
        (one) => `${metadata.name}/${one.name} ${one.containerID} ${one.restartCount} ${one.ready}`,
      ),
    )
    .toSorted();
}
