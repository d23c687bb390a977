/**
 * Filters of the list RPCs as predicates on records. All parts must hold; an id may be a prefix, and one that nothing has
 * gives an empty list. An absent filter lets everything pass.
 */
import type { ContainerFilter, PodSandboxFilter } from '#proto/generated/cri.ts';
import type { ContainerRecord } from '#runtime/container/record.ts';
import type { SandboxRecord } from '#runtime/sandbox/record.ts';
import { containerState } from './container-status.ts';
import { sandboxState } from './sandbox-status.ts';

type StringMap = Readonly<Record<string, string>>;

function hasLabels(labels: StringMap, selector: readonly (readonly [string, string])[]): boolean {
  return selector.every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

function keepAll(): boolean {
  return true;
}

/** Sandboxes that a filter lets pass. */
export function sandboxFilter(filter: PodSandboxFilter | undefined): (record: SandboxRecord) => boolean {
  if (filter === undefined) return keepAll;
  const selector = Object.entries(filter.label_selector);
  const state = filter.state?.state;
  if (filter.id === '' && state === undefined && selector.length === 0) return keepAll;
  return (record) =>
    record.id.startsWith(filter.id) &&
    (state === undefined || sandboxState(record) === state) &&
    hasLabels(record.config.labels, selector);
}

/** Containers that a filter lets pass. One that is still being created is in no list. */
export function containerFilter(filter: ContainerFilter | undefined): (record: ContainerRecord) => boolean {
  if (filter === undefined) return (record) => record.state !== 'creating';
  const selector = Object.entries(filter.label_selector);
  const state = filter.state?.state;
  return (record) =>
    record.state !== 'creating' &&
    record.id.startsWith(filter.id) &&
    record.sandboxId.startsWith(filter.pod_sandbox_id) &&
    (state === undefined || containerState(record) === state) &&
    hasLabels(record.config.labels, selector);
}
