/**
 * A network of CNI 1.1.0 on the bed's own bridge, with its name and its addresses: pods of both are attachments of one network, so
 * that whoever collects garbage in it must know them all. Its file comes first in the folder for as long as it is in use.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type FaultBed, placeProgram, realProgram } from './bed.ts';

/** A bridge plugin that knows STATUS and GC; Debian's, which keeps its own name, does not. */
export const modernPlugin = 'modern-bridge';

/** Puts the plugin of the folder `plugins` where the daemon finds it; it has that folder's host-local assign addresses. */
export function placeModernPlugin(bed: FaultBed, plugins: string): void {
  const real = realProgram(bed.dir, modernPlugin);
  mkdirSync(dirname(real), { recursive: true });
  writeFileSync(real, `#!/bin/sh\nCNI_PATH=${plugins}:$CNI_PATH exec ${join(plugins, 'bridge')}\n`);
  chmodSync(real, 0o755);
  placeProgram(bed.dir, modernPlugin, real);
}

/** Has new pods be attached by the plugin; returns what ends that. */
export function useModernNetwork(bed: FaultBed): () => void {
  const { cniConfigDir } = bed.config.network;
  const list = JSON.parse(readFileSync(join(cniConfigDir, '10-faults.conflist'), 'utf8'));
  const [bridge] = list.plugins;
  const text = JSON.stringify({
    ...list,
    cniVersion: '1.1.0',
    plugins: [{ ...bridge, type: modernPlugin }],
  });
  const place = join(cniConfigDir, '05-modern.conflist');
  writeFileSync(`${place}.new`, text);
  renameSync(`${place}.new`, place);
  return () => rmSync(place, { force: true });
}
