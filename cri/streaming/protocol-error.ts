/**
 * A peer broke the rules of the wire format. It ends the one connection it arose on; the message goes to the log,
 * never to another client.
 */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtocolError';
  }
}
