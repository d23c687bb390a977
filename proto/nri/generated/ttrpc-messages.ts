// Made by `node proto/generate.ts` from proto/nri/ttrpc/ttrpc.proto. Do not edit.
//
// X is a decoded message: every field is present; an absent message is undefined, lists and maps are frozen when empty.
// XInit is what encode() takes: every field is optional, and a default value is the same as an absent one.
// Enum fields are open: a client of a later version may send a number that has no name here.

export interface Request {
  service: string;
  method: string;
  payload: Buffer;
  timeout_nano: bigint;
  metadata: readonly KeyValue[];
}
export interface RequestInit {
  service?: string | undefined;
  method?: string | undefined;
  payload?: Uint8Array | undefined;
  timeout_nano?: bigint | undefined;
  metadata?: readonly KeyValueInit[] | undefined;
}

export interface Response {
  status: Status | undefined;
  payload: Buffer;
}
export interface ResponseInit {
  status?: StatusInit | undefined;
  payload?: Uint8Array | undefined;
}

export interface KeyValue {
  key: string;
  value: string;
}
export interface KeyValueInit {
  key?: string | undefined;
  value?: string | undefined;
}

export interface Status {
  code: number;
  message: string;
}
export interface StatusInit {
  code?: number | undefined;
  message?: string | undefined;
}

/** Decoded messages by name. */
export interface Messages {
  Request: Request;
  Response: Response;
  KeyValue: KeyValue;
  Status: Status;
}

/** Messages to encode by name. */
export interface MessageInits {
  Request: RequestInit;
  Response: ResponseInit;
  KeyValue: KeyValueInit;
  Status: StatusInit;
}

export type MessageName = keyof Messages;
