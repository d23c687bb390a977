import { Socket } from 'node:net';
import { checked, libc, O_CLOEXEC } from './libc.ts';

const AF_UNIX = 1;
const SOCK_STREAM = 1;

const socketpairRaw = libc.func('int socketpair(int domain, int type, int protocol, _Out_ int *fds)');

export interface SocketPair {
  readonly ours: Socket;
  /** Close-on-exec; to be handed to a child and then closed by the caller. */
  readonly theirFd: number;
}

/** Two connected stream sockets, one of them for another process. Throws SystemCallError (EMFILE). */
export function socketPair(): SocketPair {
  const fds = [0, 0];
  checked(socketpairRaw(AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0, fds), 'socketpair', 'AF_UNIX');
  return { ours: new Socket({ fd: fds[0]!, readable: true, writable: true }), theirFd: fds[1]! };
}
