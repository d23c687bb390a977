// Made by `node proto/generate.ts` from proto/nri/ttrpc/ttrpc.proto. Do not edit.

import type { MessageName } from './ttrpc-messages.ts';

export type * from './ttrpc-messages.ts';

/** One RPC: its path in HTTP/2 and the names of its messages, as codec.ts takes them. */
export interface Method {
  readonly name: string;
  readonly path: string;
  readonly requestType: MessageName;
  readonly responseType: MessageName;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}
