/**
 * Installs Berth on this machine, and takes it away again.
 *
 *   node packaging/install.ts [--prefix /usr/local] [--destdir DIR]
 *   node packaging/install.ts --uninstall [--prefix /usr/local] [--destdir DIR]
 *
 * Neither starts, stops or ends a container. An installation over another replaces it; files that the older one had and this
 * one has not are removed. The configuration is written only where there is none, and stays when the rest goes, as do images,
 * records and pods (/var/lib/berth, /run/berth): installed again, berthd takes them up.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { place } from './place.ts';
import { installedTree, sampleConfiguration } from './tree.ts';

const { values } = parseArgs({
  options: {
    prefix: { type: 'string', default: '/usr/local' },
    destdir: { type: 'string', default: '' },
    uninstall: { type: 'boolean', default: false },
  },
});
const { prefix, destdir } = values;
const lib = join(prefix, 'lib/berth');
/** What was placed, a path a line, for the one who takes it away. */
const manifest = join(destdir, lib, 'installed-files');
const isThisSystem = destdir === '';
const unit = 'berthd.service';

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Whether systemd runs this machine; units are its matter then. */
const hasSystemd = (): boolean => isThisSystem && existsSync('/run/systemd/system');

function systemctl(...args: string[]): boolean {
  try {
    execFileSync('systemctl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    return true;
  } catch {
    return false; // inactive, or not known: both are answers
  }
}

/** Processes that run a program of this installation's Node. */
function runningFromHere(): { pid: number; command: string }[] {
  const node = join(destdir, lib, 'node_modules/node/bin/node');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        if (readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '') !== node) return [];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim();
        return [{ pid: Number(pid), command }];
      } catch {
        return []; // it ended meanwhile
      }
    });
}

function placedBefore(): string[] {
  return existsSync(manifest) ? readFileSync(manifest, 'utf8').trim().split('\n') : [];
}

/** Removes files, and folders that nothing is left in. */
function take(paths: readonly string[]): void {
  const folders = new Set<string>();
  for (const path of paths) {
    rmSync(join(destdir, path), { force: true });
    for (let folder = dirname(path); folder.startsWith(`${lib}/`) || folder === lib; folder = dirname(folder))
      folders.add(folder);
  }
  folders.add(join(prefix, 'share/berth')).add(join(prefix, 'share/doc/berth'));
  folders.add(join(prefix, 'share/berth/grafana')).add(join(prefix, 'share/berth/prometheus'));
  for (const folder of [...folders].sort((a, b) => b.length - a.length)) {
    const place = join(destdir, folder);
    if (existsSync(place) && readdirSync(place).length === 0) rmdirSync(place);
  }
}

async function install(): Promise<void> {
  const tree = await installedTree({ prefix });
  const now = new Set(tree.map(({ to }) => to));
  place(tree, destdir);
  take(placedBefore().filter((path) => !now.has(path)));
  writeFileSync(manifest, `${[...now].join('\n')}\n`);
  const configuration = join(destdir, sampleConfiguration.to);
  if (!existsSync(configuration)) {
    mkdirSync(dirname(configuration), { recursive: true });
    writeFileSync(configuration, readFileSync(sampleConfiguration.from));
  }
  say(`${now.size} files installed below ${join(destdir, prefix)}; the configuration is ${configuration}`);
  if (hasSystemd()) {
    systemctl('daemon-reload');
    say(
      systemctl('is-active', '--quiet', unit)
        ? `berthd still runs as it was: systemctl restart berthd (containers go on meanwhile)`
        : 'start it with: systemctl enable --now berthd',
    );
  } else if (isThisSystem) say(`start it with: ${join(prefix, 'bin/berthd')}`);
}

function uninstall(): void {
  const paths = placedBefore();
  if (paths.length === 0) {
    process.stderr.write(`uninstall: nothing is installed below ${join(destdir, prefix)} (no ${manifest})\n`);
    process.exitCode = 1;
    return;
  }
  if (hasSystemd() && systemctl('is-enabled', '--quiet', unit)) systemctl('disable', '--now', unit);
  const running = runningFromHere();
  if (running.length > 0) {
    for (const { pid, command } of running)
      process.stderr.write(`uninstall: process ${pid} runs from here: ${command}\n`);
    process.stderr.write(
      'uninstall: end it first (kill PID); containers go on without it. Nothing was removed.\n',
    );
    process.exitCode = 1;
    return;
  }
  take([...paths, manifest.slice(destdir.length)]);
  if (hasSystemd()) systemctl('daemon-reload');
  say(
    `removed ${paths.length} files. Kept: /etc/berth, and with /var/lib/berth and /run/berth every image and pod.`,
  );
  say('Containers that ran go on running; a berthd that is installed again takes them up.');
}

if (values.uninstall) uninstall();
else await install();
