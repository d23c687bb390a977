import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** In a process of its own: a connection that waits for its peer stands still with all its thread has to do. */
const script = `
import koffi from 'koffi';
import { connectPacketSocket } from '#host/packet-socket.ts';
const libc = koffi.load('libc.so.6');
const path = process.argv[1];
const address = Buffer.alloc(110);
address.writeUInt16LE(1, 0);
address.write(path, 2);
const fd = libc.func('int socket(int, int, int)')(1, 5, 0);
libc.func('int bind(int, const void *, uint)')(fd, address, address.length);
libc.func('int listen(int, int)')(fd, 3);
const sockets = [];
try {
  for (;;) sockets.push(connectPacketSocket(path));
} catch (error) {
  console.log(sockets.length, error.code);
}
process.exit();
`;

test('a monitor that takes no more connections is an error, and nothing to wait for', () => {
  const dir = mkdtempSync(join(tmpdir(), 'packet-socket-'));
  try {
    const { stdout, signal } = spawnSync(
      process.execPath,
      ['--input-type=module-typescript', '-e', script, join(dir, 'socket')],
      { timeout: 10_000, encoding: 'utf8' },
    );
    expect([stdout.trim(), signal]).toEqual(['4 EWOULDBLOCK', null]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
