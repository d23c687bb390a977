/**
 * Spans: named pieces of work with a beginning and an end, one inside another: a call of the CRI, its steps, the programs
 * that a step runs. Metrics and traces watch them. Without a watcher a span is a plain call.
 */

/** `rpc`: a call; `step`: see step.ts; `cni`: one run of a plugin; `oci-runtime`: one run of crun or runc. */
export type SpanKind = 'rpc' | 'step' | 'cni' | 'oci-runtime';

export interface Span {
  readonly kind: SpanKind;
  /** One of few: it names a series of metrics. */
  readonly name: string;
  /** What tells this one from others of its name. Never secret. */
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Runs `work` once and settles as it does. */
export type SpanWatcher = <T>(span: Span, work: () => Promise<T>) => Promise<T>;

const none: Span['attributes'] = {};
let watcher: SpanWatcher | undefined;

/** Sets who watches every span, the first one outermost. Nobody: spans are plain calls again. */
export function watchSpans(...watchers: readonly SpanWatcher[]): void {
  const [first, ...rest] = watchers;
  watcher = first && rest.reduce(nest, first);
}

function nest(outer: SpanWatcher, inner: SpanWatcher): SpanWatcher {
  return (span, work) => outer(span, () => inner(span, work));
}

/** Whether making attributes is worth the while. */
export function areSpansWatched(): boolean {
  return watcher !== undefined;
}

/** Runs one span and returns what its work returns. */
export async function span<T>(
  kind: SpanKind,
  name: string,
  work: () => Promise<T> | T,
  attributes: Span['attributes'] = none,
): Promise<T> {
  return watcher === undefined ? work() : watcher({ kind, name, attributes }, async () => work());
}

/** What a span is called where people read it: `CNI ADD bridge`, `crun start`. */
export function spanTitle({ kind, name, attributes }: Span): string {
  if (kind === 'cni') return `CNI ${name} ${attributes.plugin}`;
  return kind === 'oci-runtime' ? `${attributes.handler} ${name}` : name;
}
