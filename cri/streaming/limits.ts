/** What bounds the time and memory that a streaming client can take. All have defaults. */
export interface StreamingLimits {
  /** A connection without a byte in either direction is closed. Default 4 h. */
  readonly idleMs: number;
  /** A client must open all streams of an exec, an attach or one forwarded connection in this time. Default 30 s. */
  readonly streamCreationMs: number;
  /** After the end of a session, how long its last bytes may take to leave for the client. Default 30 s. */
  readonly drainMs: number;
  /** How long to wait for the client to close after everything was sent. Default 5 s. */
  readonly lingerMs: number;
  /**
   * After a process exits, an output that some descendant still holds open is given up once it has been silent for this
   * long. Default 2 s.
   */
  readonly outputSilenceMs: number;
  /** After one side of a forwarded connection has ended, the other may be silent for this long. Default 2 min. */
  readonly halfClosedMs: number;
  /** While a client's bytes cannot be taken, how often to send it an empty frame, to learn that it has gone. Default 15 s. */
  readonly probeMs: number;
  /** Bytes that may wait for a process or an application before the client is no longer read. Default 512 KiB. */
  readonly inputBytes: number;
  /** Bytes that may wait for a client before its process or application is no longer read. Default 512 KiB. */
  readonly outputBytes: number;
  /** Streams open at one time on one connection; a forwarded connection takes two. Default 2,000. */
  readonly maxStreams: number;
  readonly attach: AttachLimits;
}

/** An attach client that does not keep up must not stall the container, whose log passes through the same monitor. */
export interface AttachLimits {
  /** Output that may wait for the client. Default 4 MiB. */
  readonly bufferBytes: number;
  /** When that is full, how long the container may be held back for it to empty. Default 1 s. */
  readonly holdMs: number;
  /** Then: end the session with an error that says why, or leave out output until the buffer has emptied. Default `disconnect`. */
  readonly onSlowClient: 'disconnect' | 'drop';
}

export const defaultLimits: StreamingLimits = {
  idleMs: 4 * 60 * 60 * 1000,
  streamCreationMs: 30_000,
  drainMs: 30_000,
  lingerMs: 5000,
  outputSilenceMs: 2000,
  halfClosedMs: 120_000,
  probeMs: 15_000,
  inputBytes: 512 * 1024,
  outputBytes: 512 * 1024,
  maxStreams: 2000,
  attach: { bufferBytes: 4 * 1024 * 1024, holdMs: 1000, onSlowClient: 'disconnect' },
};
