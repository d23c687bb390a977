/**
 * Makes spans of base/span.ts into traces. Which span is inside which follows from the asynchronous context; it is opened by
 * a call that is sampled, so a call that is not costs one look at its header.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { isRuntimeError, messageOf } from '#base/errors.ts';
import { type Span, type SpanWatcher, spanTitle } from '#base/span.ts';
import { nowNs } from '#host/clock.ts';
import type { EndedSpan } from './otlp.ts';
import { parseTraceparent } from './traceparent.ts';

interface Place {
  readonly traceId: string;
  readonly spanId: string;
  /**
   * The call that it belongs to. What a call leaves behind, such as the watch for the end of the container that it made,
   * keeps its context for days; that is not part of it any more.
   */
  readonly call: { isOver: boolean };
}

/** Where a span that is traced goes. */
interface Parent {
  readonly traceId: string;
  readonly parentSpanId: string;
  readonly call: Place['call'];
}

export interface TracerOptions {
  /** The share of calls without a parent that is traced, 0 to 1. What the caller decided is followed. */
  readonly samplingRatio: number;
  readonly onEnd: (span: EndedSpan) => void;
  /** 0 to 1, in tests. */
  readonly random?: () => number;
}

const newId = (bytes: number): string => randomBytes(bytes).toString('hex');

function attributesOf({ kind, name, attributes }: Span): Readonly<Record<string, string | number>> {
  if (kind !== 'rpc') return attributes;
  const { traceparent: _taken, ...own } = attributes;
  return { 'rpc.system': 'grpc', 'rpc.method': name, ...own };
}

/** What watches spans for traces. */
export function tracingWatcher({ samplingRatio, onEnd, random = Math.random }: TracerOptions): SpanWatcher {
  const places = new AsyncLocalStorage<Place>();

  /** Where a span goes: undefined for one that is not traced. */
  const parentOf = (span: Span): Parent | undefined => {
    if (span.kind !== 'rpc') {
      const around = places.getStore();
      if (!around || around.call.isOver) return undefined;
      return { traceId: around.traceId, parentSpanId: around.spanId, call: around.call };
    }
    const { traceparent } = span.attributes;
    const remote = typeof traceparent === 'string' ? parseTraceparent(traceparent) : undefined;
    if (!(remote ? remote.isSampled : random() < samplingRatio)) return undefined;
    return {
      traceId: remote?.traceId ?? newId(16),
      parentSpanId: remote?.spanId ?? '',
      call: { isOver: false },
    };
  };

  return async (span, work) => {
    const parent = parentOf(span);
    if (!parent) return work();
    const { traceId, parentSpanId, call } = parent;
    const spanId = newId(8);
    const startNs = nowNs();
    const startedMs = performance.now();
    const end = (error: string | undefined, more: Record<string, string> = {}): void => {
      if (span.kind === 'rpc') call.isOver = true;
      onEnd({
        traceId,
        parentSpanId,
        spanId,
        name: spanTitle(span),
        kind: span.kind === 'rpc' ? 'server' : 'internal',
        startNs,
        endNs: startNs + BigInt(Math.round((performance.now() - startedMs) * 1e6)),
        attributes: { ...attributesOf(span), ...more },
        error,
      });
    };
    try {
      const result = await places.run({ traceId, spanId, call }, work);
      end(undefined);
      return result;
    } catch (error) {
      end(messageOf(error), isRuntimeError(error) ? { 'error.type': error.kind } : {});
      throw error;
    }
  };
}
