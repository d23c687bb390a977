/**
 * What an audit reports: something on the machine that no record names, something that a record names and that is not there, or
 * records that contradict each other.
 */
export interface Finding {
  /** `leak`: there and nobody's. `missing`: a record counts on it. `conflict`: several records claim it. */
  readonly kind: 'leak' | 'missing' | 'conflict';
  /** What it is: mount, namespace, process, cgroup, address, ... */
  readonly what: string;
  /** The sandbox, container or other object it belongs or belonged to; '' if that cannot be told. */
  readonly id: string;
  /** Where it is: a path, a pid, an address, a device, a name. */
  readonly path: string;
  /** What a person would do about it. */
  readonly mend: string;
}

/** One line for people. */
export function formatFinding({ kind, what, id, path, mend }: Finding): string {
  return `${kind} ${what} ${path}${id === '' ? '' : ` (${id.slice(0, 12)})`}: ${mend}`;
}
