/** Spans in the JSON form of OTLP 1.x (opentelemetry-proto, trace/v1/trace.proto; ids are hexadecimal, 64-bit numbers are text). */

export interface EndedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** '' for the first of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  /** `server` for calls, `internal` for what they do. */
  readonly kind: 'server' | 'internal';
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Undefined for success. */
  readonly error: string | undefined;
}

export interface TraceResource {
  readonly version: string;
  readonly hostName: string;
}

const kinds = { internal: 1, server: 2 } as const;
const statusError = 2;

function anyValue(value: string | number): object {
  if (typeof value === 'string') return { stringValue: value };
  return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

function attributesOf(values: Readonly<Record<string, string | number>>): object[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: anyValue(value) }));
}

/** The body of a POST to `/v1/traces`. */
export function encodeSpans(spans: readonly EndedSpan[], { version, hostName }: TraceResource): string {
  return JSON.stringify({
    resourceSpans: [
      {
        resource: {
          attributes: attributesOf({
            'service.name': 'berthd',
            'service.version': version,
            'host.name': hostName,
          }),
        },
        scopeSpans: [
          {
            scope: { name: 'berth', version },
            spans: spans.map((span) => ({
              traceId: span.traceId,
              spanId: span.spanId,
              ...(span.parentSpanId === '' ? {} : { parentSpanId: span.parentSpanId }),
              name: span.name,
              kind: kinds[span.kind],
              startTimeUnixNano: span.startNs.toString(),
              endTimeUnixNano: span.endNs.toString(),
              attributes: attributesOf(span.attributes),
              ...(span.error === undefined ? {} : { status: { code: statusError, message: span.error } }),
            })),
          },
        ],
      },
    ],
  });
}
