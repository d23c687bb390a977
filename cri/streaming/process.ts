import type { Duplex, Readable, Writable } from 'node:stream';
import type { ContainerId } from '#runtime/container/config.ts';
import type { SandboxId } from '#runtime/sandbox/config.ts';
import type { TerminalSize } from './terminal-size.ts';

/**
 * The process side of streaming: what the server needs from the runtime, and nothing more.
 *
 * A client never holds a container up. The session reads `stdout` and `stderr` only as fast as its client takes the
 * bytes, and calls `detach` exactly once, when the process has exited and its output is delivered, when the client has
 * left or was cut off, or when the daemon stops; whatever the provider opened must be closed by then or soon after.
 */

export type { TerminalSize } from './terminal-size.ts';

/** Which streams the gRPC request asked for. With `tty`, `stderr` is false and all output is on `stdout`. */
export interface StreamSelection {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

export interface ExecRequest extends StreamSelection {
  readonly containerId: ContainerId;
  readonly command: readonly string[];
  /** What the command has otherwise than the container; beyond the CRI. */
  readonly overrides?: {
    /** `NAME=value` each. */
    readonly env: readonly string[];
    /** '' for the container's own. */
    readonly workingDir: string;
    /** `user` or `user:group`, names or numbers; '' for the container's own. */
    readonly user: string;
  };
}

export interface AttachRequest extends StreamSelection {
  readonly containerId: ContainerId;
}

export interface PortForwardRequest {
  readonly sandboxId: SandboxId;
  /** The ports that may be forwarded; empty means any. Also the channel list of the old WebSocket protocol. */
  readonly ports: readonly number[];
}

export type DetachReason = 'exited' | 'client-left' | 'stopped';

/** A process, or a container's main process, with its streams opened for one client. */
export interface StreamedProcess {
  /**
   * Ended when the client closes its side, but with a terminal only destroyed by `detach`: the end of the client's
   * input is no end of file on a pty. What the end means to an attached container (`stdin_once`) is the provider's to
   * decide. Absent: input is discarded.
   */
  readonly stdin?: Writable;
  /**
   * Ends at the end of file; an error counts as the end too. Absent if not asked for. Pipes of 1 MiB (F_SETPIPE_SZ) move
   * more per wake-up than the default of 64 KiB.
   */
  readonly stdout?: Readable;
  readonly stderr?: Readable;
  /** Sets the terminal's size. Must not throw; called only with a terminal. */
  resize(size: TerminalSize): void;
  /**
   * Resolves when the process has exited, also while its output is still being read. `exitCode` is 0 to 255, 128 + the
   * signal's number for a killed process. A rejection is reported to the client as an internal error. After `detach` it
   * may stay pending.
   */
  readonly exited: Promise<{ readonly exitCode: number }>;
  /**
   * The session needs the process no more: the provider closes the streams. An exec that still runs (`client-left`,
   * `stopped`) is the provider's to end; an attached container runs on. Called once; must not throw.
   */
  detach(reason: DetachReason): void;
}

export interface OpenOptions {
  /** The terminal's size as far as the client has told it; later ones come through `resize`. */
  readonly initialSize?: TerminalSize;
  /** Aborted when the client leaves before the process is there. */
  readonly signal: AbortSignal;
}

/** What the runtime offers the streaming server. Rejections become the client's error text. */
export interface StreamingProvider {
  /** Starts a process in a container. */
  exec(request: ExecRequest, options: OpenOptions): Promise<StreamedProcess>;
  /** Connects to a container's main process; only output from now on. The exit code does not matter. */
  attach(request: AttachRequest, options: OpenOptions): Promise<StreamedProcess>;
  /**
   * Connects to `port` on the sandbox's loopback, IPv4 first. The stream must allow half-open connections: its `end`
   * is the application's end of file, ending it shuts down the write side only, and `destroy` closes it.
   */
  dial(request: PortForwardRequest, port: number, signal: AbortSignal): Promise<Duplex>;
}
