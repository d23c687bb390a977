/**
 * Spans: named pieces of work with a beginning and an end, one inside another: a call of the CRI, its steps, the programs
 * that a step runs. Metrics and traces watch them. Without a watcher a span is a plain call.
 */

/** `rpc`: a call; `step`: see step.ts; `cni`: one run of a plugin; `oci-runtime`: one run of crun or runc. */
const spanKinds = ['rpc', 'step', 'cni', 'oci-runtime'] as const;
export type SpanKind = (typeof spanKinds)[number];

export interface Span {
  readonly kind: SpanKind;
  /** One of few: it names a series of metrics. */
  readonly name: string;
  /** What tells this one from others of its name. Never secret. */
  readonly attributes: Readonly<Record<string, string | number>>;
}

/** Runs `work` once and settles as it does. */
export interface SpanWatcher {
  <T>(span: Span, work: () => Promise<T>): Promise<T>;
  /** Kinds that it does not watch: of none if absent. */
  readonly ignored?: readonly SpanKind[];
}

const none: Span['attributes'] = {};
const watchers = new Map<SpanKind, SpanWatcher>();

/** Sets who watches every span, the first one outermost. Nobody: spans are plain calls again. */
export function watchSpans(...all: readonly SpanWatcher[]): void {
  watchers.clear();
  for (const kind of spanKinds) {
    const [first, ...rest] = all.filter(({ ignored }) => !ignored?.includes(kind));
    if (first) watchers.set(kind, rest.reduce(nest, first));
  }
}

function nest(outer: SpanWatcher, inner: SpanWatcher): SpanWatcher {
  return (span, work) => outer(span, () => inner(span, work));
}

/** Whether making attributes is worth the while. */
export function areSpansWatched(kind: SpanKind): boolean {
  return watchers.has(kind);
}

/** Runs one span and returns what its work returns. */
export async function span<T>(
  kind: SpanKind,
  name: string,
  work: () => Promise<T> | T,
  attributes: Span['attributes'] = none,
): Promise<T> {
  const watcher = watchers.get(kind);
  return watcher === undefined ? work() : watcher({ kind, name, attributes }, async () => work());
}

/** What a span is called where people read it: `CNI ADD bridge`, `crun start`. */
export function spanTitle({ kind, name, attributes }: Span): string {
  if (kind === 'cni') return `CNI ${name} ${attributes.plugin}`;
  return kind === 'oci-runtime' ? `${attributes.handler} ${name}` : name;
}
