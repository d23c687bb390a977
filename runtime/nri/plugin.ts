/** One plugin: how it registers, is configured and told what exists, and how it is asked. */
import type { Socket } from 'node:net';
import { messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import { decode, encode, encodeRepeatedField } from '#proto/nri/codec.ts';
import {
  type ContainerInit,
  type ContainerUpdate,
  type FailurePolicy,
  Plugin as PluginService,
  type PodSandboxInit,
  type UpdateContainersRequest,
  type UpdateContainersResponseInit,
} from '#proto/nri/generated/nri.ts';
import { NoAnswer, PluginConnection, Refusal, unimplementedCode } from './connection.ts';
import {
  type EventName,
  type EventReply,
  type EventRequest,
  eventBit,
  eventNumbers,
  everyEvent,
  isNotification,
} from './events.ts';

/** The version of NRI that is spoken here. */
const nriVersion = 'v0.12.5';
/** Leaves room in a message of 4 MiB for the envelope. */
const synchronizeBytes = 3 << 20;

/** How long the reason why a plugin is turned away may take to reach it. */
const lastWordsMs = 100;

export interface PluginIdentity {
  /** Two digits. */
  readonly index: string;
  readonly base: string;
  readonly config: string;
}

export interface PluginOptions {
  readonly socket: Socket;
  /** Known beforehand for plugins that were started here; others say who they are. */
  readonly identity: PluginIdentity | undefined;
  readonly runtimeVersion: string;
  readonly registrationTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly log: Log;
  onUpdateContainers(plugin: Plugin, request: UpdateContainersRequest): Promise<UpdateContainersResponseInit>;
  onClose(plugin: Plugin): void;
}

export class Plugin {
  readonly #options: PluginOptions;
  readonly #connection: PluginConnection;
  readonly #registration = Promise.withResolvers<PluginIdentity>();
  /** Events that this plugin, being old, takes as StateChange. */
  readonly #asStateChange = new Set<EventName>();
  #identity: PluginIdentity;
  #subscription = 0;
  #policy: FailurePolicy | undefined;

  constructor(options: PluginOptions) {
    this.#options = options;
    this.#identity = options.identity ?? { index: '??', base: 'plugin', config: '' };
    // Nobody may be waiting for it when the connection closes.
    this.#registration.promise.catch(() => {});
    this.#connection = new PluginConnection(options.socket, {
      onCall: (method, payload) => this.#serve(method, payload),
      onClose: (reason) => {
        this.#registration.reject(new NoAnswer('closed', reason));
        options.log.info({ plugin: this.name }, `NRI plugin is gone: ${reason}`);
        options.onClose(this);
      },
    });
  }

  get index(): string {
    return this.#identity.index;
  }

  get base(): string {
    return this.#identity.base;
  }

  /** Such as `10-device-injector`. */
  get name(): string {
    return `${this.index}-${this.base}`;
  }

  get isClosed(): boolean {
    return this.#connection.isClosed;
  }

  /** Whether it is there and subscribed to the event. */
  wants(event: EventName): boolean {
    return !this.isClosed && (this.#subscription & eventBit(event)) !== 0;
  }

  /** Waits for the plugin to register and configures it. On failure it is disconnected, and FailedPrecondition is thrown. */
  async begin(): Promise<void> {
    const { registrationTimeoutMs, requestTimeoutMs, runtimeVersion } = this.#options;
    const timer = setTimeout(
      () =>
        this.#registration.reject(
          new NoAnswer('timeout', `no registration within ${registrationTimeoutMs} ms`),
        ),
      registrationTimeoutMs,
    );
    try {
      this.#identity = await this.#registration.promise;
      const request = encode('ConfigureRequest', {
        config: this.#identity.config,
        runtime_name: 'berth',
        runtime_version: runtimeVersion,
        registration_timeout: BigInt(registrationTimeoutMs),
        request_timeout: BigInt(requestTimeoutMs),
        NRI_version: nriVersion,
      });
      const reply = decode(
        'ConfigureResponse',
        await this.#connection.call('Configure', request, requestTimeoutMs),
      );
      if ((reply.events & ~everyEvent) !== 0)
        throw new Error(`it subscribes to events that do not exist: 0x${(reply.events >>> 0).toString(16)}`);
      this.#subscription = reply.events === 0 ? everyEvent : reply.events;
      this.#policy = reply.failure_policy;
    } catch (error) {
      this.close(`not accepted: ${messageOf(error)}`);
      throw new RuntimeError(
        'FailedPrecondition',
        `NRI plugin ${this.name} is not accepted: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Tells the plugin all that exists, in as many messages as that takes; returns the updates it wants. On failure it is
   * disconnected, and FailedPrecondition is thrown.
   */
  async synchronize(
    pods: readonly PodSandboxInit[],
    containers: readonly ContainerInit[],
  ): Promise<readonly ContainerUpdate[]> {
    try {
      const parts = [...synchronizeParts(pods, containers)];
      for (const [index, part] of parts.entries()) {
        const more = index < parts.length - 1;
        const request = more ? Buffer.concat([part, encode('SynchronizeRequest', { more })]) : part;
        const reply = decode(
          'SynchronizeResponse',
          await this.#connection.call('Synchronize', request, this.#options.requestTimeoutMs),
        );
        if (!more) return reply.update;
        if (!reply.more || reply.update.length > 0)
          throw new Error('it does not take what exists in parts, and there is too much for one message');
      }
      return [];
    } catch (error) {
      this.close(`not synchronized: ${messageOf(error)}`);
      throw new RuntimeError(
        'FailedPrecondition',
        `NRI plugin ${this.name} could not be told what exists: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /**
   * Sends an event to the plugin; undefined if it does not want it or did not answer. An answer that is an error throws
   * FailedPrecondition. No answer disconnects it, unless its own failure policy has it stay, and throws Unavailable only
   * if that policy says so.
   */
  async request<N extends EventName>(event: N, message: EventRequest<N>): Promise<EventReply<N> | undefined> {
    if (!this.wants(event)) return undefined;
    try {
      return await this.ask(event, message);
    } catch (error) {
      if (!(error instanceof NoAnswer))
        throw new RuntimeError(
          'FailedPrecondition',
          `NRI plugin ${this.name} refused ${event}: ${messageOf(error)}`,
          { cause: error },
        );
      if (!this.#policy?.fail_request) return undefined;
      throw new RuntimeError(
        'Unavailable',
        `NRI plugin ${this.name} failed at ${event}: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  /** As `request`, but throws NoAnswer and Refusal as they come. */
  async ask<N extends EventName>(event: N, message: EventRequest<N>): Promise<EventReply<N>> {
    try {
      return await this.#askOnce(event, message);
    } catch (error) {
      if (error instanceof NoAnswer) {
        const stays = error.reason === 'timeout' && this.#policy?.keep_connected === true;
        this.#options.log.warn(
          { plugin: this.name, event },
          `NRI plugin failed${stays ? '' : ' and is disconnected'}: ${error.message}`,
        );
        if (!stays) this.close(error.message);
      }
      throw error;
    }
  }

  async #askOnce<N extends EventName>(event: N, message: EventRequest<N>): Promise<EventReply<N>> {
    const { requestType, responseType } = PluginService[event];
    if (!this.#asStateChange.has(event)) {
      try {
        const payload = encode(requestType, message as never);
        const reply = await this.#connection.call(event, payload, this.#options.requestTimeoutMs);
        return decode(responseType, reply) as EventReply<N>;
      } catch (error) {
        const isOld = error instanceof Refusal && error.code === unimplementedCode && isNotification(event);
        if (!isOld) throw error;
        this.#asStateChange.add(event);
      }
    }
    const { pod, container } = message as { pod?: PodSandboxInit; container?: ContainerInit };
    const change = encode('StateChangeEvent', { event: eventNumbers[event], pod, container });
    await this.#connection.call('StateChange', change, this.#options.requestTimeoutMs);
    return decode(responseType, Buffer.alloc(0)) as EventReply<N>;
  }

  /** Tells the plugin that the runtime goes down, and disconnects it. Never rejects. */
  async shutDown(): Promise<void> {
    try {
      await this.#connection.call('Shutdown', Buffer.alloc(0), this.#options.requestTimeoutMs);
    } catch (error) {
      this.#options.log.debug({ plugin: this.name, err: error }, 'NRI plugin did not hear of the shutdown');
    }
    this.close('the runtime goes down');
  }

  /** Disconnects the plugin. Idempotent. */
  close(reason: string): void {
    this.#connection.close(reason);
  }

  async #serve(method: string, payload: Buffer): Promise<Buffer> {
    switch (method) {
      case 'RegisterPlugin':
        return this.#register(payload);
      case 'UpdateContainers': {
        const request = decode('UpdateContainersRequest', payload);
        return encode('UpdateContainersResponse', await this.#options.onUpdateContainers(this, request));
      }
      default:
        throw new Refusal(unimplementedCode, `there is no method ${method}`);
    }
  }

  #register(payload: Buffer): Buffer {
    const {
      plugin_name: base,
      plugin_idx: index,
      NRI_version: version,
    } = decode('RegisterPluginRequest', payload);
    const { identity, log } = this.#options;
    if (identity === undefined && !/^[a-zA-Z0-9_.+-]+$/.test(base))
      throw this.#reject(`invalid name ${JSON.stringify(base)}`);
    if (identity === undefined && !/^\d\d$/.test(index))
      throw this.#reject(`invalid index ${JSON.stringify(index)}`);
    const registered = identity ?? { index, base, config: '' };
    log.info({ plugin: `${registered.index}-${registered.base}`, version }, 'NRI plugin registers');
    this.#registration.resolve(registered);
    return encode('Empty', {});
  }

  #reject(problem: string): Error {
    const error = new Error(problem);
    // It ends the connection, and with that NRI's Go mux may drop an answer that has come but was not read yet.
    setTimeout(() => this.#registration.reject(error), lastWordsMs);
    return error;
  }
}

/** Requests of bounded size that hold all pods, then all containers. At least one, if an empty one. */
function* synchronizeParts(
  pods: readonly PodSandboxInit[],
  containers: readonly ContainerInit[],
): Iterable<Buffer> {
  let part: Buffer[] = [];
  let sizeBytes = 0;
  const items = [
    ...pods.map((pod) => () => encodeRepeatedField(1, [encode('PodSandbox', pod)])),
    ...containers.map((container) => () => encodeRepeatedField(2, [encode('Container', container)])),
  ];
  for (const makeItem of items) {
    const item = makeItem();
    if (sizeBytes > 0 && sizeBytes + item.length > synchronizeBytes) {
      yield Buffer.concat(part);
      part = [];
      sizeBytes = 0;
    }
    part.push(item);
    sizeBytes += item.length;
  }
  yield Buffer.concat(part);
}
