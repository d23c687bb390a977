/**
 * A connection to an AF_UNIX SOCK_SEQPACKET socket, which conmon's attach socket is. Node opens stream sockets only, but
 * libuv reads any descriptor with read(2), one packet a time: a pipe handle over our own descriptor keeps the packet
 * boundaries, as long as data flows and each write waits for the one before it.
 */
import { Socket } from 'node:net';
import { RuntimeError } from '#base/errors.ts';
import { checked, close, libc, O_CLOEXEC } from './libc.ts';
import { openPipeHandle } from './pipe-handle.ts';

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const sunPathBytes = 108;

const socketRaw = libc.func('int socket(int domain, int type, int protocol)');
const connectRaw = libc.func('int connect(int fd, const void *address, uint length)');

/**
 * Connects; each 'data' event of the socket is one packet. Throws SystemCallError: ENOENT, ECONNREFUSED if the monitor is gone;
 * EWOULDBLOCK if it stands still and as many as it lets wait are waiting, for whom a blocking connect(2) would wait, and the daemon with it.
 */
export function connectPacketSocket(path: string): Socket {
  const bytes = Buffer.from(path);
  if (bytes.length >= sunPathBytes) throw new RuntimeError('Internal', `the socket path ${path} is too long`);
  const address = Buffer.alloc(2 + sunPathBytes);
  address.writeUInt16LE(AF_UNIX, 0);
  bytes.copy(address, 2);
  const fd = checked(socketRaw(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | O_CLOEXEC, 0), 'socket', 'AF_UNIX');
  try {
    checked(connectRaw(fd, address, address.length), 'connect', path);
    const handle = openPipeHandle(fd);
    return new Socket({ handle, readable: true, writable: true } as unknown as ConstructorParameters<
      typeof Socket
    >[0]);
  } catch (error) {
    close(fd);
    throw error;
  }
}
