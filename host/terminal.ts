/** Pseudo-terminals: a master received over a console socket (OCI runtimes' --console-socket), and its size. */
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { ReadStream } from 'node:tty';
import koffi from 'koffi';
import { RuntimeError } from '#base/errors.ts';
import { checked, close, ioctlRaw, libc } from './libc.ts';

const TIOCSWINSZ = 0x5414;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;

const iovec = koffi.struct('berth_iovec', { base: 'void *', length: 'size_t' });
const msghdr = koffi.struct('berth_msghdr', {
  name: 'void *',
  nameLength: 'uint32_t',
  iov: koffi.pointer(iovec),
  iovLength: 'size_t',
  control: 'void *',
  controlLength: 'size_t',
  flags: 'int',
});
const recvmsgRaw = libc.func('long recvmsg(int fd, berth_msghdr *message, int flags)');
void msghdr;

/** The descriptor that came with the next message on `fd`. Throws SystemCallError (EAGAIN: none yet), Internal if none came along. */
function receiveDescriptor(fd: number): number {
  const data = Buffer.alloc(256);
  // cmsghdr: u64 length, i32 level, i32 type, then one descriptor, padded to 8 bytes.
  const control = Buffer.alloc(24);
  const message = {
    name: null,
    nameLength: 0,
    iov: { base: data, length: data.length },
    iovLength: 1,
    control,
    controlLength: control.length,
    flags: 0,
  };
  checked(Number(recvmsgRaw(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)), 'recvmsg', 'console socket');
  if (control.readInt32LE(8) !== SOL_SOCKET || control.readInt32LE(12) !== SCM_RIGHTS)
    throw new RuntimeError('Internal', 'the OCI runtime sent no terminal over the console socket');
  return control.readInt32LE(16);
}

/** A console socket at `path` (shorter than 108 bytes, its folder private), for one terminal. */
export class ConsoleSocket {
  readonly #server: Server;
  readonly #path: string;
  #connection: Socket | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#server = createServer({ pauseOnConnect: true });
    this.#server.on('connection', (socket) => {
      this.#connection?.destroy();
      this.#connection = socket;
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#path, resolve);
    });
  }

  /** The master that was sent. Call it when the sender has ended: its message is then here, or never comes. */
  async receive(): Promise<Terminal> {
    // The connection event may still be queued behind the sender's exit.
    for (let turn = 0; turn < 100 && !this.#connection; turn += 1)
      await new Promise((resolve) => setImmediate(resolve));
    const handle = (this.#connection as { _handle?: { fd?: number } } | undefined)?._handle;
    if (handle?.fd === undefined || handle.fd < 0)
      throw new RuntimeError('Internal', 'the OCI runtime did not connect to the console socket');
    return new Terminal(receiveDescriptor(handle.fd));
  }

  /** Idempotent, also for one that never listened. */
  close(): void {
    this.#connection?.destroy();
    this.#server.close();
    rmSync(this.#path, { force: true });
  }
}

/** The master side of a pseudo-terminal. Reading ends with an error (EIO) when the last process of the slave is gone. */
export class Terminal {
  readonly stream: ReadStream;
  readonly #fd: number;
  #isOpen = true;

  constructor(fd: number) {
    this.#fd = fd;
    try {
      this.stream = new ReadStream(fd);
    } catch (error) {
      close(fd);
      throw error;
    }
    this.stream.once('close', () => {
      this.#isOpen = false;
    });
  }

  /** Sets the size in characters; does nothing once closed. */
  resize(size: { width: number; height: number }): void {
    if (!this.#isOpen || this.stream.destroyed) return;
    const winsize = Buffer.alloc(8);
    winsize.writeUInt16LE(size.height, 0);
    winsize.writeUInt16LE(size.width, 2);
    checked(ioctlRaw(this.#fd, TIOCSWINSZ, winsize), 'ioctl TIOCSWINSZ', `fd ${this.#fd}`);
  }

  close(): void {
    this.stream.destroy();
  }
}
