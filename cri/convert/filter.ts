/**
 * Filters of the list RPCs as predicates on records. All parts must hold; an id may be a prefix, and one that nothing has
 * gives an empty list. An absent filter lets everything pass. A state that there is none of is InvalidArgument.
 */
import {
  type ContainerFilter,
  ContainerState,
  type PodSandboxFilter,
  PodSandboxState,
} from '#proto/generated/cri.ts';
import type { ContainerRecord } from '#runtime/container/record.ts';
import type { SandboxRecord } from '#runtime/sandbox/record.ts';
import { containerState } from './container-status.ts';
import { invalidField } from './field.ts';
import { sandboxState } from './sandbox-status.ts';

type StringMap = Readonly<Record<string, string>>;

function hasLabels(labels: StringMap, selector: readonly (readonly [string, string])[]): boolean {
  return selector.every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

const sandboxStates: ReadonlySet<number> = new Set(Object.values(PodSandboxState));
const containerStates: ReadonlySet<number> = new Set(Object.values(ContainerState));

/** The state to look for; undefined for any. */
function wantedState(
  value: { readonly state: number } | undefined,
  known: ReadonlySet<number>,
): number | undefined {
  if (value !== undefined && !known.has(value.state))
    throw invalidField('filter.state', `has the unknown value ${value.state}`);
  return value?.state;
}

function keepAll(): boolean {
  return true;
}

/** Sandboxes that a filter lets pass. */
export function sandboxFilter(filter: PodSandboxFilter | undefined): (record: SandboxRecord) => boolean {
  if (filter === undefined) return keepAll;
  const selector = Object.entries(filter.label_selector);
  const state = wantedState(filter.state, sandboxStates);
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
  const state = wantedState(filter.state, containerStates);
  return (record) =>
    record.state !== 'creating' &&
    record.id.startsWith(filter.id) &&
    record.sandboxId.startsWith(filter.pod_sandbox_id) &&
    (state === undefined || containerState(record) === state) &&
    hasLabels(record.config.labels, selector);
}
