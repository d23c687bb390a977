/**
 * A TCP connection made inside another network namespace. A socket belongs to the namespace in which it was made, whoever
 * uses it later; so the thread enters the namespace for one system call and returns, within one synchronous piece of
 * code: nothing else runs in between, and no process has to be started. If the way back failed the daemon would go on in
 * a pod's network, so that ends it; recovery takes over.
 */
import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { checked, libc, O_CLOEXEC } from './libc.ts';

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;

const setnsRaw = libc.func('int setns(int fd, int type)');
const socketRaw = libc.func('int socket(int domain, int type, int protocol)');

/**
 * Runs `work`, which must be synchronous, with this thread in the network namespace pinned at `netnsPath`. What it opens
 * there (a socket, a file of /proc/sys/net) stays of that namespace. Throws SystemCallError or Node's error if the
 * namespace cannot be entered, and what `work` throws.
 */
export function insideNetns<T>(netnsPath: string, work: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  try {
    const target = openSync(netnsPath, 'r');
    try {
      checked(setnsRaw(target, CLONE_NEWNET), 'setns', netnsPath);
    } finally {
      closeSync(target);
    }
    try {
      return work();
    } finally {
      if (setnsRaw(home, CLONE_NEWNET) !== 0) process.abort();
    }
  } finally {
    closeSync(home);
  }
}

function socketInside(netnsPath: string, domain: number): number {
  const type = SOCK_STREAM | SOCK_NONBLOCK | O_CLOEXEC;
  return insideNetns(netnsPath, () => checked(socketRaw(domain, type, 0), 'socket', `in ${netnsPath}`));
}

/** Connects from inside the namespace; '' is the host's own. Half-open connections are kept. Rejects with Node's connect error. */
export function connectInside(
  netnsPath: string,
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const domain = host.includes(':') ? AF_INET6 : AF_INET;
    const socket =
      netnsPath === ''
        ? new Socket({ allowHalfOpen: true })
        : new Socket({
            fd: socketInside(netnsPath, domain),
            allowHalfOpen: true,
            readable: true,
            writable: true,
          });
    const onAbort = () => fail(signal.reason);
    const onError = (error: unknown) => fail(error);
    const settle = () => {
      signal.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
    };
    const fail = (reason: unknown) => {
      settle();
      socket.on('error', () => {}); // the connection is given up; what it says afterwards is of no use
      socket.destroy();
      reject(reason);
    };
    socket.once('error', onError);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.connect({ host, port }, () => {
      settle();
      resolve(socket);
    });
  });
}

const nameToIndexRaw = libc.func('uint if_nametoindex(const char *name)');

/** The index of a network link in the namespace that this thread is in; 0 if there is none. Takes no lock of the kernel. */
export function findLinkIndex(name: string): number {
  return nameToIndexRaw(name);
}
