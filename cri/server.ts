/** The gRPC server of the CRI on its unix socket. */
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import {
  type MethodDefinition,
  Server,
  ServerCredentials,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { errnoOf, messageOf, RuntimeError } from '#base/errors.ts';
import type { Log } from '#base/log.ts';
import type { WorkMetrics } from '#base/metrics.ts';
import { Admin } from '#proto/berth/generated/admin.ts';
import { ImageService, RuntimeService } from '#proto/generated/cri.ts';
import { type AdminHandlers, type AdminRpcName, servedAdminMethod } from './admin/method.ts';
import { takeOverDeadlines } from './deadlines.ts';
import { adaptDialogue, adaptStream, adaptUnary, adaptUpload } from './handler.ts';
import { InFlightCalls } from './in-flight.ts';
import { type CriHandlers, type RpcName, servedMethod } from './method.ts';
import type { AdapterOptions, ServedMethod } from './open-call.ts';
import { Readiness } from './readiness.ts';
import { answerUnary, type UnaryAnswer } from './unary-call.ts';

/** What clients of the CRI accept per message, in both directions. */
export const maxMessageBytes = 16 * 1024 * 1024;

export interface SocketOptions {
  readonly path: string;
  readonly mode: number;
  readonly group: number;
}

export class CriServer {
  readonly #log: Log;
  readonly #calls = new InFlightCalls();
  readonly #server: Server;
  /** By path. */
  readonly #unary = new Map<string, UnaryAnswer>();
  #socketPath: string | undefined;
  /** Open it when recovery has ended; until then only Version and Status answer. */
  readonly readiness: Readiness;

  constructor(options: {
    handlers: CriHandlers;
    /** Without it the admin service is not offered. */
    admin?: AdminHandlers;
    log: Log;
    metrics?: WorkMetrics;
    readiness?: Readiness;
  }) {
    this.#log = options.log;
    this.readiness = options.readiness ?? new Readiness();
    takeOverDeadlines();
    this.#server = new Server({
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      // Bookkeeping for a debugging service that is not offered.
      'grpc.enable_channelz': 0,
      interceptors: [answerUnary(this.#unary)],
    });
    const adapter = {
      log: this.#log,
      metrics: options.metrics,
      readiness: this.readiness,
      calls: this.#calls,
    };
    const { handlers, admin } = options;
    for (const service of [RuntimeService, ImageService])
      this.#addService(service, (name) => servedMethod(name as RpcName), handlers, adapter);
    if (admin) this.#addService(Admin, (name) => servedAdminMethod(name as AdminRpcName), admin, adapter);
  }

  #addService(
    service: Readonly<Record<string, RpcShape>>,
    served: (name: string) => ServedMethod,
    handlers: object,
    adapter: AdapterOptions,
  ): void {
    const definitions: Record<string, MethodDefinition<Buffer, Buffer>> = {};
    const implementations: UntypedServiceImplementation = {};
    for (const [name, shape] of Object.entries(service)) {
      definitions[name] = definitionOf(shape);
      const work = (handlers as Readonly<Record<string, never>>)[name]!;
      if (isUnary(shape)) {
        this.#unary.set(shape.path, adaptUnary(served(name), work, adapter));
        implementations[name] = leftToInterceptor;
      } else implementations[name] = streamAdapterFor(shape)(served(name), work, adapter);
    }
    this.#server.addService(definitions, implementations);
  }

  /** Calls under way. */
  get callsInFlight(): number {
    return this.#calls.count;
  }

  /**
   * Listens. The socket appears under its name complete with owner and mode; one left by a daemon that died is
   * replaced. Throws AlreadyExists if a live server answers on it.
   */
  async listen(socket: SocketOptions): Promise<void> {
    await refuseLiveSocket(socket.path);
    mkdirSync(dirname(socket.path), { recursive: true, mode: 0o755 });
    // Bound under another name first: under its own nobody may connect before the mode is set.
    const temporary = `${socket.path}.new`;
    rmSync(temporary, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.bindAsync(`unix:${temporary}`, ServerCredentials.createInsecure(), (error) => {
        if (error)
          reject(
            new RuntimeError('Internal', `listen on ${socket.path}: ${messageOf(error)}`, { cause: error }),
          );
        else resolve();
      });
    });
    try {
      chownSync(temporary, 0, socket.group);
    } catch (error) {
      // Without root (in tests) the owner stays as it is; the mode still keeps others out.
      if (errnoOf(error) !== 'EPERM') throw error;
    }
    chmodSync(temporary, socket.mode);
    renameSync(temporary, socket.path);
    this.#socketPath = socket.path;
  }

  /**
   * Takes no new connections, lets calls in flight end for up to `graceMs`, then gives them up. Streams of events are
   * ended by their own source before this is called. Idempotent.
   */
  async drain(graceMs: number): Promise<void> {
    if (this.#socketPath !== undefined) rmSync(this.#socketPath, { force: true });
    this.#socketPath = undefined;
    if (!(await this.#calls.idle(graceMs))) {
      this.#log.warn({ calls: this.#calls.count }, 'calls are still under way: giving them up');
      this.#calls.abortAll(new RuntimeError('Unavailable', 'the daemon is shutting down, try again'));
      await this.#calls.idle(1000);
    }
    // Lets the last replies leave; connections that stay open are then cut.
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 500);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    this.#server.forceShutdown();
  }
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

/** What of a method's row in a generated table matters here, whatever its service. */
interface RpcShape {
  readonly name: string;
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

function isUnary({ requestStream, responseStream }: RpcShape): boolean {
  return !requestStream && !responseStream;
}

/** grpc-js wants a handler for each method of a service, also for those that are answered before it would call one. */
function leftToInterceptor(): never {
  throw new Error('a unary call came past its interceptor');
}

function streamAdapterFor({ requestStream, responseStream }: RpcShape) {
  if (requestStream) return responseStream ? adaptDialogue : adaptUpload;
  return adaptStream;
}

function definitionOf(method: RpcShape): MethodDefinition<Buffer, Buffer> {
  return {
    path: method.path,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
    originalName: method.name,
  };
}

/** Throws AlreadyExists if somebody accepts connections on the unix socket `path`; an absent or dead one is fine. */
async function refuseLiveSocket(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const isLive = await new Promise<boolean>((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      const errno = errnoOf(error);
      if (errno === 'ENOENT' || errno === 'ECONNREFUSED') resolve(false);
      else
        reject(
          new RuntimeError('Internal', `look at the socket ${path}: ${messageOf(error)}`, { cause: error }),
        );
    });
  });
  if (isLive)
    throw new RuntimeError('AlreadyExists', `listen on ${path}: another daemon answers there, stop it first`);
}
