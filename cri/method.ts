/** The RPCs of the CRI by name, with the types of their messages, as the generated method tables give them. */
import { decode, encode } from '#proto/codec.ts';
import {
  ImageService,
  type MessageInits,
  type MessageName,
  type Messages,
  RuntimeService,
} from '#proto/generated/cri.ts';
import type { ServedMethod } from './open-call.ts';

export const methods = { ...RuntimeService, ...ImageService } as const;

type Methods = typeof methods;
export type RpcName = keyof Methods;
export type UnaryName = { [K in RpcName]: Methods[K]['responseStream'] extends true ? never : K }[RpcName];
export type StreamName = Exclude<RpcName, UnaryName>;

export type Request<K extends RpcName> = Messages[Methods[K]['requestType']];
/** A message, or its bytes where they are at hand already (lists). */
export type Reply<K extends RpcName> = MessageInits[Methods[K]['responseType']] | Buffer;

/**
 * Answers a call. `signal` aborts, with a RuntimeError as its reason, when the client cancels or its deadline passes.
 * Whatever it throws becomes a status.
 */
export type UnaryHandler<K extends UnaryName> = (
  request: Request<K>,
  signal: AbortSignal,
) => Reply<K> | Promise<Reply<K>>;

/** Sends one message; resolves when the client may be sent the next one, rejects when the call has ended. */
export type Send<K extends StreamName> = (message: Reply<K>) => Promise<void>;

/** Answers a call with a stream, which ends when the promise settles. */
export type StreamHandler<K extends StreamName> = (
  request: Request<K>,
  send: Send<K>,
  signal: AbortSignal,
) => Promise<void>;

/** One handler for every RPC of both services. */
export type CriHandlers = { readonly [K in UnaryName]: UnaryHandler<K> } & {
  readonly [K in StreamName]: StreamHandler<K>;
};

export function isStreamName(name: RpcName): name is StreamName {
  return methods[name].responseStream;
}

/** RPCs that answer while the daemon still recovers: their answer says so. */
const alwaysAnswered: ReadonlySet<RpcName> = new Set(['Version', 'Status'] satisfies RpcName[]);

/** Calls that change something are worth a line; the others come by the thousand. */
const changing: ReadonlySet<RpcName> = new Set([
  'RunPodSandbox',
  'StopPodSandbox',
  'RemovePodSandbox',
  'CreateContainer',
  'StartContainer',
  'StopContainer',
  'RemoveContainer',
  'UpdateContainerResources',
  'UpdatePodSandboxResources',
  'UpdateRuntimeConfig',
  'CheckpointContainer',
  'PullImage',
  'RemoveImage',
] satisfies RpcName[]);

/** What the adapter has to know of an RPC of the CRI. */
export function servedMethod(name: RpcName): ServedMethod {
  const { requestType, responseType } = methods[name];
  return {
    name,
    decodeRequest: (bytes) => decode(requestType, bytes),
    encodeReply: (reply) => encode(responseType as MessageName, reply as MessageInits[MessageName]),
    isAlwaysAnswered: alwaysAnswered.has(name),
    isChange: changing.has(name),
  };
}
