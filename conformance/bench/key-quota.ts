/**
 * Each running container takes a session keyring of its own, and the kernel allows root 200 keys: loads with that many
 * containers need more (keyrings(7), /proc/sys/kernel/keys). A kubelet raises the same limits on the nodes that it runs on.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** What a kubelet sets. */
const wanted = { root_maxkeys: 1_000_000, root_maxbytes: 25_000_000 };

/** Raises the limits where they are lower; gives what puts them back. */
export function raiseKeyQuota(): () => void {
  const undo = Object.entries(wanted).map(([name, value]) => {
    const path = `/proc/sys/kernel/keys/${name}`;
    const before = readFileSync(path, 'latin1');
    if (Number(before) < value) writeFileSync(path, String(value));
    return () => writeFileSync(path, before);
  });
  return () => {
    for (const putBack of undo) putBack();
  };
}
