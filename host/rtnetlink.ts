/**
 * A socket to the kernel's rtnetlink. The kernel carries a request out within send(2), and its answer waits in the socket
 * when that returns: an answer that is not there then is an error, nothing waits for one. The socket speaks for the network
 * namespace it was made in, whoever uses it later and wherever.
 *
 * send(2) itself may take long: changes wait for the kernel's one lock for all network devices of the host, which whoever
 * removes a namespace holds for tens of milliseconds. So it is called in a thread of the pool, by one caller at a time.
 */
import { constants } from 'node:os';
import koffi from 'koffi';
import { KeyedLock } from '#base/keyed-lock.ts';
import { checked, close, libc, O_CLOEXEC, SystemCallError } from './libc.ts';
import {
  encodeMessage,
  messageFlags,
  messageTypes,
  type NetlinkMessage,
  parseAcknowledgement,
  splitMessages,
} from './netlink.ts';
import { insideNetns } from './netns-socket.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const MSG_DONTWAIT = 0x40;
const receiveBytes = 64 * 1024;

const socketRaw = libc.func('int socket(int domain, int type, int protocol)');
const setsockoptRaw = libc.func(
  'int setsockopt(int fd, int level, int option, const void *value, uint length)',
);
const sendRaw = libc.func('long send(int fd, const void *bytes, size_t length, int flags)');
const recvRaw = libc.func('long recv(int fd, _Out_ void *bytes, size_t length, int flags)');

/** Shared: every use of it ends before anything else runs. */
const received = Buffer.alloc(receiveBytes);

/** One change that the kernel is asked for. */
export interface NetlinkChange {
  readonly type: number;
  /** Beside `request` and `ack`. */
  readonly flags?: number;
  readonly parts: readonly Buffer[];
  /** For errors: `adding 10.88.0.2/16 to eth0`. */
  readonly what: string;
  /** Errno names that are as good as success. */
  readonly accepts?: readonly string[];
}

/**
 * Which callers take turns: no more threads of the pool are ever parked than there are lanes. A removal waits for readers
 * all over the kernel after it has let go of the lock, so that it must not hold up changes.
 */
export type NetlinkLane = 'changes' | 'removals';

const lanes = new KeyedLock();

export class RouteSocket {
  readonly #fd: number;
  readonly #lane: NetlinkLane;
  #sequence = 0;

  private constructor(fd: number, lane: NetlinkLane) {
    this.#fd = fd;
    this.#lane = lane;
  }

  /**
   * A socket of the namespace pinned at `netnsPath`, or with '' of the one this process is in. The caller closes it.
   * Throws SystemCallError or Node's error.
   */
  static open(netnsPath = '', lane: NetlinkLane = 'changes'): RouteSocket {
    const make = () =>
      checked(socketRaw(AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_ROUTE), 'socket', 'NETLINK_ROUTE');
    const fd = netnsPath === '' ? make() : insideNetns(netnsPath, make);
    const on = Buffer.of(1, 0, 0, 0);
    // Kernels before 4.12 lack these and answer with longer messages and bare numbers, which are understood too.
    setsockoptRaw(fd, SOL_NETLINK, NETLINK_CAP_ACK, on, on.length);
    setsockoptRaw(fd, SOL_NETLINK, NETLINK_EXT_ACK, on, on.length);
    return new RouteSocket(fd, lane);
  }

  close(): void {
    close(this.#fd);
  }

  /**
   * Has changes carried out in order, in one system call. The kernel goes on after one that it refuses; the error of the
   * first refused one is thrown (SystemCallError with its errno), unless its change accepts that.
   */
  async change(changes: readonly NetlinkChange[]): Promise<void> {
    const last = changes.at(-1);
    if (!last) return;
    const first = this.#sequence + 1;
    const { request, ack } = messageFlags;
    const datagram = Buffer.concat(
      changes.map((each) => {
        // A refusal is always told; success only where asked for, and the last answer shows that all were handled.
        const flags = request | (each === last ? ack : 0) | (each.flags ?? 0);
        return encodeMessage(each.type, flags, this.#nextSequence(), each.parts);
      }),
    );
    await lanes.run(this.#lane, async () => {
      await this.#sendInPool(datagram, last.what);
      this.#readAnswers(changes, first);
    });
  }

  #readAnswers(changes: readonly NetlinkChange[], first: number): void {
    const last = changes.at(-1)!;
    let failure: SystemCallError | undefined;
    for (;;) {
      for (const message of this.#receive(last.what)) {
        const each = changes[message.sequence - first];
        if (message.type !== messageTypes.error || !each) continue;
        failure ??= refusalOf(each, message);
        if (each !== last) continue;
        if (failure) throw failure;
        return;
      }
    }
  }

  /** All entries that the kernel lists for a request, at once: for rare use. Throws SystemCallError. */
  list(type: number, parts: readonly Buffer[], what: string): NetlinkMessage[] {
    return this.#ask({ type, flags: messageFlags.dump, parts, what });
  }

  /** The one entry that the kernel answers with, at once: for rare use. Throws SystemCallError: ENODEV, ENOENT. */
  get(type: number, parts: readonly Buffer[], what: string): NetlinkMessage {
    return this.#ask({ type, parts, what })[0]!;
  }

  #ask(each: NetlinkChange): NetlinkMessage[] {
    const isDump = each.flags === messageFlags.dump;
    const sequence = this.#nextSequence();
    const flags = messageFlags.request | (each.flags ?? 0);
    this.#send(encodeMessage(each.type, flags, sequence, each.parts), each.what);
    const entries: NetlinkMessage[] = [];
    for (;;) {
      for (const message of this.#receive(each.what)) {
        if (message.sequence !== sequence) continue;
        const failure = message.type === messageTypes.error ? refusalOf(each, message) : undefined;
        if (failure) throw failure;
        if (message.type === messageTypes.done) return entries;
        // The buffer is used again: keep what is handed out.
        entries.push({ ...message, body: Buffer.from(message.body) });
        if (!isDump) return entries;
      }
    }
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }

  #sendInPool(datagram: Buffer, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      sendRaw.async(this.#fd, datagram, datagram.length, 0, (error: unknown, sent: number | bigint) => {
        const errno = koffi.errno();
        if (error) reject(error);
        else if (Number(sent) === datagram.length) resolve();
        else reject(new SystemCallError('send to rtnetlink', errno, what));
      });
    });
  }

  #send(datagram: Buffer, what: string): void {
    checked(Number(sendRaw(this.#fd, datagram, datagram.length, 0)), 'send to rtnetlink', what);
  }

  /** The next datagram; EAGAIN, thrown as SystemCallError, means that the kernel did not answer as promised. */
  #receive(what: string): NetlinkMessage[] {
    const length = checked(
      Number(recvRaw(this.#fd, received, received.length, MSG_DONTWAIT)),
      'receive from rtnetlink',
      what,
    );
    return splitMessages(received.subarray(0, length));
  }
}

function refusalOf(each: NetlinkChange, message: NetlinkMessage): SystemCallError | undefined {
  const { errno, text } = parseAcknowledgement(message);
  if (errno === 0) return undefined;
  if (each.accepts?.some((name) => constants.errno[name as keyof typeof constants.errno] === errno))
    return undefined;
  return new SystemCallError('rtnetlink', errno, text === '' ? each.what : `${each.what}: ${text}`);
}
