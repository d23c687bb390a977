/**
 * Lifecycle events to the clients of GetContainerEvents. Every client gets every event, in order, each with the state of
 * the whole pod no older than the event. A client that does not keep up is cut off, so that it lists anew instead of
 * trusting a stream with a gap.
 */
import { RuntimeError } from '#base/errors.ts';
import { encode, encodeRepeatedField } from '#proto/codec.ts';
import { ContainerEventType } from '#proto/generated/cri.ts';
import type { LifecycleEvent, LifecycleEventType } from '#runtime/contract.ts';
import type { SandboxId } from '#runtime/sandbox/config.ts';
import type { SandboxRecord } from '#runtime/sandbox/record.ts';
import { encodedContainerStatus } from './convert/container-status.ts';
import { toSandboxStatus } from './convert/sandbox-status.ts';
import type { CriServices } from './services.ts';

const eventTypes = {
  created: ContainerEventType.CONTAINER_CREATED_EVENT,
  started: ContainerEventType.CONTAINER_STARTED_EVENT,
  stopped: ContainerEventType.CONTAINER_STOPPED_EVENT,
  deleted: ContainerEventType.CONTAINER_DELETED_EVENT,
} as const satisfies Record<LifecycleEventType, number>;

export interface EventLimits {
  /** Messages that may wait for one client. */
  readonly maxQueued: number;
  /** Events kept while nobody listens, for the next one who does. */
  readonly maxKept: number;
  readonly keptForMs: number;
}

const defaultLimits: EventLimits = { maxQueued: 1000, maxKept: 500, keptForMs: 60_000 };

export class ContainerEvents {
  readonly #services: Pick<CriServices, 'sandboxes' | 'containers'>;
  readonly #limits: EventLimits;
  readonly #queues = new Set<Queue>();
  /** Events while nobody listens. Their messages are made when somebody does: mostly nobody ever will. */
  #kept: { event: LifecycleEvent; atMs: number }[] = [];
  /** A deleted sandbox is announced after its record has gone, but with its last status. */
  readonly #lastSeen = new Map<SandboxId, SandboxRecord>();
  readonly #unsubscribe: () => void;
  #isClosed = false;

  constructor(
    services: Pick<CriServices, 'sandboxes' | 'containers' | 'lifecycle'>,
    limits: Partial<EventLimits> = {},
  ) {
    this.#services = services;
    this.#limits = { ...defaultLimits, ...limits };
    this.#unsubscribe = services.lifecycle.subscribe((event) => this.#announce(event));
  }

  /**
   * The messages for one client, as bytes, beginning with the kept ones. Ends when `signal` aborts; throws
   * ResourceExhausted when the client has fallen too far behind, Unavailable when the daemon ends.
   */
  async *subscribe(signal: AbortSignal): AsyncGenerator<Buffer, void> {
    if (this.#isClosed) throw shuttingDown();
    // A sandbox that was there before us and has no event until it is deleted must be known by then.
    for (const record of this.#services.sandboxes.list()) this.#lastSeen.set(record.id, record);
    const queue = new Queue(this.#limits.maxQueued);
    const oldest = performance.now() - this.#limits.keptForMs;
    for (const { event, atMs } of this.#kept) if (atMs >= oldest) this.#push(event, [queue]);
    this.#kept = [];
    this.#queues.add(queue);
    const onAbort = (): void => queue.end(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      for (;;) {
        const message = await queue.next();
        if (message === undefined) return;
        yield message;
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#queues.delete(queue);
    }
  }

  /** Ends all streams; later subscribers are refused. */
  close(): void {
    this.#isClosed = true;
    this.#unsubscribe();
    for (const queue of this.#queues) queue.end(shuttingDown());
  }

  #announce(event: LifecycleEvent): void {
    const record = this.#services.sandboxes.find(event.sandboxId);
    if (record !== undefined) this.#lastSeen.set(event.sandboxId, record);
    if (this.#queues.size > 0) this.#push(event, this.#queues);
    else {
      this.#kept.push({ event, atMs: performance.now() });
      if (this.#kept.length > this.#limits.maxKept) this.#kept.shift();
    }
    const isLast = event.type === 'deleted' && (event.subjectId as string) === event.sandboxId;
    if (isLast && this.#queues.size > 0) this.#lastSeen.delete(event.sandboxId);
    else if (isLast) this.#forgetLater(event.sandboxId);
  }

  /** A kept event still needs the record of its sandbox; without kept events none is needed. */
  #forgetLater(id: SandboxId): void {
    const known = new Set(this.#kept.map(({ event }) => event.sandboxId));
    known.add(id);
    for (const seen of this.#lastSeen.keys()) {
      if (!known.has(seen) && this.#services.sandboxes.find(seen) === undefined) this.#lastSeen.delete(seen);
    }
  }

  #push(event: LifecycleEvent, queues: Iterable<Queue>): void {
    const record = this.#services.sandboxes.find(event.sandboxId) ?? this.#lastSeen.get(event.sandboxId);
    // Without a sandbox status the kubelet drops an event, and nobody else could make sense of it.
    if (record === undefined) return;
    const isGone = this.#services.sandboxes.find(event.sandboxId) === undefined;
    const message = this.#messageOf(event, isGone ? { ...record, state: 'notReady' } : record);
    for (const queue of queues) queue.push(message);
  }

  #messageOf(event: LifecycleEvent, record: SandboxRecord): Buffer {
    const statuses = this.#services.containers
      .list()
      .filter((container) => container.sandboxId === event.sandboxId && container.state !== 'creating')
      .map(encodedContainerStatus);
    return Buffer.concat([
      encode('ContainerEventResponse', {
        container_id: event.subjectId,
        container_event_type: eventTypes[event.type],
        created_at: event.atNs,
        pod_sandbox_status: toSandboxStatus(record),
      }),
      encodeRepeatedField(5, statuses),
    ]);
  }
}

function shuttingDown(): RuntimeError {
  return new RuntimeError('Unavailable', 'follow container events: the daemon is shutting down, try again');
}

/** What waits for one client. */
class Queue {
  readonly #maxLength: number;
  #messages: Buffer[] = [];
  #wake: (() => void) | undefined;
  #isEnded = false;
  #error: RuntimeError | undefined;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  push(message: Buffer): void {
    if (this.#isEnded) return;
    if (this.#messages.length >= this.#maxLength) {
      this.#messages = [];
      this.end(
        new RuntimeError(
          'ResourceExhausted',
          `follow container events: the client is ${this.#maxLength} events behind, list and follow anew`,
        ),
      );
      return;
    }
    this.#messages.push(message);
    this.#wake?.();
  }

  /** No more messages: those queued are still delivered, then `error` is thrown if there is one. */
  end(error: RuntimeError | undefined): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#error = error;
    this.#wake?.();
  }

  /** The next message; undefined at the end. One caller at a time. */
  async next(): Promise<Buffer | undefined> {
    while (this.#messages.length === 0) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#isEnded) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    return this.#messages.shift();
  }
}
