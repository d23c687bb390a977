/**
 * Forwarding of the host between pods and elsewhere. Once switched on for the pods it stays on: other software may have come
 * to need it, and no peer takes it back.
 */
import { writeFileSync } from 'node:fs';
import type { IpFamily } from './cidr.ts';
import { listHostRoutes } from './host-routes.ts';
import { readRecord } from './record-file.ts';

/** The value of a file below /proc/sys; '' if this kernel has none. */
export function readSysctl(path: string): string {
  return (readRecord(`/proc/sys/${path}`) ?? '').trim();
}

/** Switches forwarding on for these families. Idempotent. Throws Node's error. */
export function enableForwarding(families: readonly IpFamily[]): void {
  if (families.includes(4) && readSysctl('net/ipv4/ip_forward') === '0')
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
  if (!families.includes(6) || readSysctl('net/ipv6/conf/all/forwarding') !== '0') return;
  // A host that forwards ignores router advertisements and so loses its own default route, unless told to heed them.
  for (const { device, isAdvertised } of listHostRoutes()) {
    const path = `net/ipv6/conf/${device}/accept_ra`;
    if (isAdvertised && readSysctl(path) === '1') writeFileSync(`/proc/sys/${path}`, '2');
  }
  writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
}
