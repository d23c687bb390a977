/**
 * Plays the service manager: binds the datagram socket that its argument names and prints each datagram as a line of JSON.
 * Node has no such sockets, so it is a program of its own that blocks in recv(2).
 */
import { writeSync } from 'node:fs';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const socket = libc.func('int socket(int domain, int type, int protocol)');
const bind = libc.func('int bind(int fd, const void *address, unsigned int length)');
const recv = libc.func('long recv(int fd, _Out_ void *buffer, size_t length, int flags)');

const path = Buffer.from(`${process.argv[2]}\0`);
const family = Buffer.alloc(2);
family.writeUInt16LE(1, 0);
const address = Buffer.concat([family, path]);
const fd = socket(1, 2, 0);
if (bind(fd, address, address.length) !== 0)
  throw new Error(`bind ${process.argv[2]}: errno ${koffi.errno()}`);
writeSync(1, '"bound"\n');
const buffer = Buffer.alloc(4096);
for (;;) {
  const length = Number(recv(fd, buffer, buffer.length, 0));
  if (length < 0) throw new Error(`recv: errno ${koffi.errno()}`);
  writeSync(1, `${JSON.stringify(buffer.toString('utf8', 0, length))}\n`);
}
