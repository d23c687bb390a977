/** The gRPC server of the CRI on its unix socket. */
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync } from 'node:fs';
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
import { ImageService, type Method, RuntimeService } from '#proto/generated/cri.ts';
import { adaptStream, adaptUnary } from './handler.ts';
import { InFlightCalls } from './in-flight.ts';
import { tolerateLongDeadlines } from './long-deadline.ts';
import { type CriHandlers, isStreamName, type RpcName } from './method.ts';
import { Readiness } from './readiness.ts';

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
  #socketPath: string | undefined;
  /** Open it when recovery has ended; until then only Version and Status answer. */
  readonly readiness: Readiness;

  constructor(options: { handlers: CriHandlers; log: Log; metrics?: WorkMetrics; readiness?: Readiness }) {
    this.#log = options.log;
    this.readiness = options.readiness ?? new Readiness();
    tolerateLongDeadlines();
    this.#server = new Server({
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      // Bookkeeping for a debugging service that is not offered.
      'grpc.enable_channelz': 0,
    });
    const adapter = {
      log: this.#log,
      metrics: options.metrics,
      readiness: this.readiness,
      calls: this.#calls,
    };
    for (const service of [RuntimeService, ImageService]) {
      const definitions: Record<string, MethodDefinition<Buffer, Buffer>> = {};
      const implementations: UntypedServiceImplementation = {};
      for (const name of Object.keys(service) as RpcName[]) {
        definitions[name] = definitionOf((service as Readonly<Record<string, Method>>)[name]!);
        implementations[name] = isStreamName(name)
          ? adaptStream(name, options.handlers[name] as never, adapter)
          : adaptUnary(name, options.handlers[name] as never, adapter);
      }
      this.#server.addService(definitions, implementations);
    }
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

function definitionOf(method: Method): MethodDefinition<Buffer, Buffer> {
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
