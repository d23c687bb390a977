/**
 * What a service says to the service manager that started it: datagrams of VARIABLE=VALUE lines to the socket that
 * NOTIFY_SOCKET names (sd_notify(3), "Standards"). Node has no datagram sockets on paths.
 */
import { checked, close, libc, O_CLOEXEC } from './libc.ts';

const socketRaw = libc.func('int socket(int domain, int type, int protocol)');
const sendtoRaw = libc.func(
  'long sendto(int fd, const void *buffer, size_t length, int flags, const void *address, unsigned int addressLength)',
);

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const longestPathBytes = 107;

/** A sockaddr_un: a path, or with `@` first a name without a file (unix(7)). */
function addressOf(name: string): Buffer {
  const path = Buffer.from(name);
  if (name.startsWith('@')) path[0] = 0;
  const address = Buffer.alloc(2 + path.length + (name.startsWith('@') ? 0 : 1));
  address.writeUInt16LE(AF_UNIX, 0);
  path.copy(address, 2);
  return address;
}

export class ServiceManager {
  readonly #address: Buffer | undefined;

  /** `socket` is the value of NOTIFY_SOCKET; undefined or '' if nobody listens, and then nothing is ever sent. */
  constructor(socket: string | undefined) {
    const isAddress =
      socket !== undefined && /^[/@]./.test(socket) && Buffer.byteLength(socket) <= longestPathBytes;
    this.#address = isAddress ? addressOf(socket) : undefined;
  }

  /** Whether somebody is to be told. */
  get isListening(): boolean {
    return this.#address !== undefined;
  }

  /** Sends lines such as `READY=1`. Throws SystemCallError when the manager does not take them. */
  notify(...lines: readonly string[]): void {
    if (!this.#address) return;
    const fd = checked(socketRaw(AF_UNIX, SOCK_DGRAM | O_CLOEXEC, 0), 'socket', 'AF_UNIX');
    try {
      const text = Buffer.from(lines.join('\n'));
      const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
      checked(
        Number(sendtoRaw(fd, text, text.length, flags, this.#address, this.#address.length)),
        'sendto',
        'NOTIFY_SOCKET',
      );
    } finally {
      close(fd);
    }
  }
}
