/** What conmon sends to an attached client: packets whose first byte tells the stream (conmon 2.1, src/conn_sock.c). */
import { PassThrough } from 'node:stream';

/** What a slow attached client may lag behind; past it the client is cut off, for the container must not wait for it. */
const backlogBytes = 4 << 20;
const stderrMark = 3;

export class AttachOutput {
  readonly stdout: PassThrough | undefined;
  readonly stderr: PassThrough | undefined;

  /** A terminal has no second stream. */
  constructor(wants: { readonly stdout: boolean; readonly stderr: boolean }) {
    this.stdout = wants.stdout ? new PassThrough() : undefined;
    this.stderr = wants.stderr ? new PassThrough() : undefined;
  }

  /** Takes one packet; false once the client lags too far behind, who is then to be cut off. */
  take(packet: Buffer): boolean {
    const target = packet[0] === stderrMark ? this.stderr : this.stdout;
    if (!target || target.writableEnded) return true;
    target.write(packet.subarray(1));
    return target.writableLength + target.readableLength <= backlogBytes;
  }

  /** Ends both streams. Idempotent. */
  end(): void {
    this.stdout?.end();
    this.stderr?.end();
  }
}
