import { expect, test } from 'vitest';
import type { SandboxRecord } from '../sandbox/record.ts';
import { HostPorts } from './host-ports.ts';

const pod = (state: string, hostPort: number, hostIp = '') =>
  ({
    state,
    config: { metadata: { name: 'web' }, portMappings: [{ protocol: 'tcp', hostPort, hostIp }] },
  }) as unknown as SandboxRecord;

function portsWith(pods: SandboxRecord[], clock = { nowMs: 0 }) {
  return new HostPorts({
    sandboxRecords: { list: () => pods },
    bound: (protocol) => new Set(protocol === 'tcp' ? [49_152, 22] : []),
    random: () => 0,
    nowMs: () => clock.nowMs,
  });
}

test('free ports are bound by nobody, published by no pod, asked for by no other and given out once', () => {
  const clock = { nowMs: 0 };
  const ports = portsWith([pod('notReady', 49_153)], clock);
  const any = { protocol: 'tcp', hostIp: '', hostPort: 0 } as const;
  expect(ports.choose([any, { ...any, hostPort: 49_154 }, any])).toEqual([49_155, 49_154, 49_156]);
  expect(ports.choose([any, { ...any, protocol: 'udp' }])).toEqual([49_157, 49_152]);
  clock.nowMs = 60_000;
  expect(ports.choose([any])).toEqual([49_154]);
});

test('a port that leads to a ready pod or that a program listens on is refused', () => {
  const ports = portsWith([pod('ready', 8080, '127.0.0.1'), pod('notReady', 8081)]);
  const wish = (hostPort: number, hostIp = '') => [{ protocol: 'tcp', hostIp, hostPort }] as const;
  expect(() => ports.choose(wish(8080))).toThrow('leads to pod web already');
  expect(ports.choose(wish(8080, '127.0.0.2'))).toEqual([8080]);
  expect(ports.choose(wish(8081))).toEqual([8081]);
  expect(() => ports.choose(wish(22))).toThrow('a program of this machine listens on port 22/tcp');
  expect(ports.choose([{ protocol: 'udp', hostIp: '', hostPort: 22 }])).toEqual([22]);
});
