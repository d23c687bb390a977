/** Connections to the socket that speak HTTP/2 badly or not at all. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from './random.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

function frame(random: Random): Buffer {
  const body = random.bytes(random.below(64));
  const head = Buffer.alloc(9);
  head.writeUIntBE(random.chance(0.9) ? body.length : random.below(2 ** 24), 0, 3);
  head[3] = random.chance(0.9) ? random.below(10) : random.below(256);
  head[4] = random.below(256);
  head.writeUInt32BE(random.pick([0, 1, 3, 2, 2 ** 31 - 1, random.next()]), 5);
  return Buffer.concat([head, body]);
}

/** Opens `count` connections, some at a time, and sends each what is no good HTTP/2. */
export async function sendGarbage(path: string, random: Random, count: number): Promise<void> {
  for (let opened = 0; opened < count; opened += 8) {
    const sockets = Array.from({ length: Math.min(8, count - opened) }, () => {
      const socket = connect(path);
      socket.on('error', () => {}); // the server hangs up on nonsense
      socket.resume();
      const empty = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
      const parts = random.chance(0.15)
        ? [random.bytes(random.below(300))]
        : [preface, empty, ...Array.from({ length: 1 + random.below(20) }, () => frame(random))];
      socket.write(Buffer.concat(parts));
      return socket;
    });
    await delay(10);
    for (const socket of sockets) socket.destroy();
  }
}
