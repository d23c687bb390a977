/**
 * Ports of this machine for pods of `berth run`: free ones where none was asked for, and a refusal where one is taken. A
 * kubelet's scheduler sees to that for its pods. What was given out is not given again while its pod is being made.
 */
import { RuntimeError } from '#base/errors.ts';
import { boundPorts } from '#host/bound-ports.ts';
import type { RecordStore } from '../record-store.ts';
import type { PodPortMapping } from '../sandbox/config.ts';
import type { SandboxRecord } from '../sandbox/record.ts';

/** Dynamic ports (RFC 6335, section 6). */
const firstPort = 49_152;
const portCount = 65_536 - firstPort;

/** As long as making a pod may take. */
const heldMs = 60_000;

export type PortWish = Pick<PodPortMapping, 'protocol' | 'hostIp' | 'hostPort'>;

export interface HostPortsOptions {
  readonly sandboxRecords: Pick<RecordStore<SandboxRecord>, 'list'>;
  readonly bound?: (protocol: 'tcp' | 'udp') => ReadonlySet<number>;
  readonly random?: () => number;
  readonly nowMs?: () => number;
}

export class HostPorts {
  readonly #options: HostPortsOptions;
  /** Until when, by protocol and port. */
  readonly #held = new Map<string, number>();

  constructor(options: HostPortsOptions) {
    this.#options = options;
  }

  /**
   * A port for each wish, in their order; 0 wishes for any. Throws FailedPrecondition for one that a ready pod publishes or
   * a program has bound, ResourceExhausted when none is left.
   */
  choose(wishes: readonly PortWish[]): number[] {
    const now = (this.#options.nowMs ?? Date.now)();
    for (const [key, untilMs] of this.#held) if (untilMs <= now) this.#held.delete(key);
    const asked = new Set(wishes.map(({ protocol, hostPort }) => `${protocol} ${hostPort}`));
    return wishes.map((wish) => {
      const chosen = wish.hostPort === 0 ? this.#findFree(wish, asked) : this.#check(wish);
      this.#held.set(`${wish.protocol} ${chosen}`, now + heldMs);
      return chosen;
    });
  }

  #check({ protocol, hostIp, hostPort }: PortWish): number {
    const holder = this.#options.sandboxRecords
      .list()
      .find(
        ({ state, config }) =>
          state === 'ready' &&
          config.portMappings.some(
            (mapping) =>
              mapping.hostPort === hostPort &&
              mapping.protocol === protocol &&
              overlaps(mapping.hostIp, hostIp),
          ),
      );
    if (holder)
      throw new RuntimeError(
        'FailedPrecondition',
        `port ${hostPort}/${protocol} of this machine leads to pod ${holder.config.metadata.name} already; stop that one, or choose another port`,
      );
    // A program on one address leaves the others free, and which one it is on is not worth a refusal that is wrong.
    if (isAny(hostIp) && this.#bound(protocol).has(hostPort))
      throw new RuntimeError(
        'FailedPrecondition',
        `a program of this machine listens on port ${hostPort}/${protocol}; end it, or choose another port`,
      );
    return hostPort;
  }

  #findFree({ protocol }: PortWish, asked: ReadonlySet<string>): number {
    // Stopped pods too: they want theirs when they are started again.
    const published = new Set(
      this.#options.sandboxRecords
        .list()
        .flatMap(({ config }) => config.portMappings.map((each) => `${each.protocol} ${each.hostPort}`)),
    );
    const bound = this.#bound(protocol);
    const start = Math.floor((this.#options.random ?? Math.random)() * portCount);
    for (let offset = 0; offset < portCount; offset += 1) {
      const port = firstPort + ((start + offset) % portCount);
      const key = `${protocol} ${port}`;
      if (!bound.has(port) && !published.has(key) && !this.#held.has(key) && !asked.has(key)) return port;
    }
    throw new RuntimeError('ResourceExhausted', `no port from ${firstPort} on is free`);
  }

  #bound(protocol: PortWish['protocol']): ReadonlySet<number> {
    return protocol === 'sctp' ? new Set() : (this.#options.bound ?? boundPorts)(protocol);
  }
}

function isAny(ip: string): boolean {
  return ip === '' || ip === '0.0.0.0' || ip === '::';
}

function overlaps(one: string, other: string): boolean {
  return isAny(one) || isAny(other) || one === other;
}
