/**
 * The 99th percentile of the event-loop delay in milliseconds, out of Prometheus text: a metric whose name says event loop,
 * in seconds, either with `p99` in its name or with a quantile label. undefined when the text has none.
 */
export function readEventLoopDelayMs(text: string | undefined): number | undefined {
  const line =
    /^\w*event_?loop\w*(?:_p99_seconds|_seconds\{[^}]*quantile="0\.99"[^}]*\}|_p99_seconds\{[^}]*\}) (\S+)$/im.exec(
      text ?? '',
    );
  const seconds = Number(line?.[1]);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}
