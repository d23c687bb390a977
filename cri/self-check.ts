/** The daemon as its own client: whether whoever comes to the socket is served. */
import { Client, credentials } from '@grpc/grpc-js';
import { messageOf, RuntimeError } from '#base/errors.ts';
import { encode } from '#proto/codec.ts';
import { RuntimeService } from '#proto/generated/cri.ts';

const asIs = (bytes: Buffer): Buffer => bytes;

/**
 * Makes a connection of its own to the CRI socket and calls `name` on it with an empty request. Throws Unavailable if no
 * reply came within `timeoutMs`; the reply itself is not looked at.
 */
export async function callOwnSocket(
  socket: string,
  name: 'Version' | 'ListPodSandbox',
  timeoutMs: number,
): Promise<void> {
  const { path, requestType } = RuntimeService[name];
  const client = new Client(`unix://${socket}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': -1,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      const deadline = Date.now() + timeoutMs;
      client.makeUnaryRequest(path, asIs, asIs, encode(requestType, {}), { deadline }, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  } catch (error) {
    throw new RuntimeError('Unavailable', `${name} over the own socket ${socket}: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    client.close();
  }
}
