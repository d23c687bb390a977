/** Counters of network interfaces, read without entering a network namespace (proc_pid_net(5), sysfs-class-net-statistics). */
import { statSync } from 'node:fs';
import { readKernelFile, wholeNumber } from './kernel-file.ts';

export interface InterfaceCounters {
  readonly name: string;
  readonly rxBytes: bigint;
  readonly rxPackets: bigint;
  readonly rxErrors: bigint;
  readonly rxDropped: bigint;
  readonly txBytes: bigint;
  readonly txPackets: bigint;
  readonly txErrors: bigint;
  readonly txDropped: bigint;
}

/** /proc/PID/net/dev: two lines of headings, then `name: ` with eight numbers received and eight sent. */
export function parseNetDev(text: string): InterfaceCounters[] {
  const interfaces: InterfaceCounters[] = [];
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    const fields = line
      .slice(colon + 1)
      .trim()
      .split(/\s+/);
    if (colon < 0 || fields.length < 16) continue;
    const value = (index: number) => wholeNumber(fields[index]) ?? 0n;
    interfaces.push({
      name: line.slice(0, colon).trim(),
      rxBytes: value(0),
      rxPackets: value(1),
      rxErrors: value(2),
      rxDropped: value(3),
      txBytes: value(8),
      txPackets: value(9),
      txErrors: value(10),
      txDropped: value(11),
    });
  }
  return interfaces;
}

/**
 * The interfaces of the network namespace that is pinned at `netnsPath`, as the process `pid` sees them. undefined if there
 * is no such process or it lives in another namespace, which a privileged process may have gone to.
 */
export function readInterfacesOf(pid: number, netnsPath: string): InterfaceCounters[] | undefined {
  try {
    if (statSync(`/proc/${pid}/ns/net`).ino !== statSync(netnsPath).ino) return undefined;
  } catch {
    return undefined; // the process or the pin is gone
  }
  const text = readKernelFile(`/proc/${pid}/net/dev`);
  return text === undefined ? undefined : parseNetDev(text);
}

/**
 * Counters of the far end of a veth pair whose near end `hostName` is in this namespace: what one end sends the other
 * receives. undefined if there is no such interface or it has no far end elsewhere.
 */
export function readVethPeer(
  hostName: string,
  peerName: string,
  sysfs = '/sys/class/net',
): InterfaceCounters | undefined {
  // Names come from a plugin's answer: nothing but a plain interface name may become part of a path.
  if (!/^[^/\s]{1,15}$/.test(hostName) || hostName.startsWith('.')) return undefined;
  const own = wholeNumber(readKernelFile(`${sysfs}/${hostName}/ifindex`));
  const peer = wholeNumber(readKernelFile(`${sysfs}/${hostName}/iflink`));
  if (own === undefined || peer === undefined || own === peer) return undefined;
  const value = (counter: string) =>
    wholeNumber(readKernelFile(`${sysfs}/${hostName}/statistics/${counter}`)) ?? 0n;
  return {
    name: peerName,
    rxBytes: value('tx_bytes'),
    rxPackets: value('tx_packets'),
    rxErrors: value('tx_errors'),
    rxDropped: value('tx_dropped'),
    txBytes: value('rx_bytes'),
    txPackets: value('rx_packets'),
    txErrors: value('rx_errors'),
    txDropped: value('rx_dropped'),
  };
}
