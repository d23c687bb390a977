/** The RPCs of the admin service by name, with the types of their messages, as the generated table gives them. */
import { decode, encode } from '#proto/berth/codec.ts';
import { Admin, type MessageInits, type MessageName, type Messages } from '#proto/berth/generated/admin.ts';
import type { ServedMethod } from '../open-call.ts';

type Methods = typeof Admin;
export type AdminRpcName = keyof Methods;

type NameOf<Requests extends boolean, Replies extends boolean> = {
  [K in AdminRpcName]: Methods[K] extends { requestStream: Requests; responseStream: Replies } ? K : never;
}[AdminRpcName];

export type AdminRequest<K extends AdminRpcName> = Messages[Methods[K]['requestType']];
export type AdminReply<K extends AdminRpcName> = MessageInits[Methods[K]['responseType']] | Buffer;

/** Sends one message; resolves when the client may be sent the next one, rejects when the call has ended. */
export type AdminSend<K extends AdminRpcName> = (message: AdminReply<K>) => Promise<void>;

/** Answers a call. `signal` aborts when the client cancels; what it throws becomes a status (`../status.ts`). */
export type AdminUnary<K extends NameOf<false, false>> = (
  request: AdminRequest<K>,
  signal: AbortSignal,
) => AdminReply<K> | Promise<AdminReply<K>>;

/** Answers a call with a stream, which ends when the promise settles. */
export type AdminStream<K extends NameOf<false, true>> = (
  request: AdminRequest<K>,
  send: AdminSend<K>,
  signal: AbortSignal,
) => Promise<void>;

/** Takes a stream, as fast as it asks for it, and answers once. It may answer before the stream has ended. */
export type AdminUpload<K extends NameOf<true, false>> = (
  requests: AsyncIterable<AdminRequest<K>>,
  signal: AbortSignal,
) => AdminReply<K> | Promise<AdminReply<K>>;

/** Takes a stream and answers with one. */
export type AdminDialogue<K extends NameOf<true, true>> = (
  requests: AsyncIterable<AdminRequest<K>>,
  send: AdminSend<K>,
  signal: AbortSignal,
) => Promise<void>;

/** One handler for every RPC of the admin service; a missing one does not compile. */
export type AdminHandlers = { readonly [K in NameOf<false, false>]: AdminUnary<K> } & {
  readonly [K in NameOf<false, true>]: AdminStream<K>;
} & { readonly [K in NameOf<true, false>]: AdminUpload<K> } & {
  readonly [K in NameOf<true, true>]: AdminDialogue<K>;
};

/** RPCs that only look; the others are worth a line in the log. */
const looking: ReadonlySet<AdminRpcName> = new Set([
  'Info',
  'WaitContainer',
  'ListProcesses',
  'StatPath',
  'CopyFromContainer',
  'VerifyLogin',
  'DescribeImage',
  'SaveImages',
  'DiffContainer',
  'DiskUsage',
  'ListVolumes',
  'ListContainerDetails',
  'ChoosePorts',
] satisfies AdminRpcName[]);

/** What the adapter has to know of an RPC of the admin service. */
export function servedAdminMethod(name: AdminRpcName): ServedMethod {
  const { requestType, responseType } = Admin[name];
  return {
    // Exec is a name in the CRI too: logs and metrics tell them apart.
    name: `Admin/${name}`,
    decodeRequest: (bytes) => decode(requestType, bytes),
    encodeReply: (reply) => encode(responseType as MessageName, reply as MessageInits[MessageName]),
    isAlwaysAnswered: name === 'Info',
    isChange: !looking.has(name),
  };
}
