/** What an installed Berth consists of: the sources that run, the packages they need with Node among them, and what lies beside. */

import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectRoot = fileURLToPath(new URL('..', import.meta.url));

/** One thing to place. Paths of `to` begin with a slash and are those of the running system. */
export type Placed =
  | { readonly type: 'file'; readonly from: string; readonly to: string; readonly mode: number }
  | { readonly type: 'text'; readonly text: string; readonly to: string; readonly mode: number }
  | { readonly type: 'link'; readonly target: string; readonly to: string };

export interface Layout {
  /** /usr/local, or /usr for a package. */
  readonly prefix: string;
}

/** Folders with what runs; the others test it or describe it. */
const runningFolders = [
  'base',
  'cli',
  'cri',
  'daemon',
  'doctor',
  'host',
  'images',
  'network',
  'proto',
  'runtime',
  'state',
] as const;
const programs = ['berthd', 'berth', 'berth-audit'] as const;

/** Neither tests nor what generates and checks. */
const isLeftOut = (path: string): boolean =>
  /\.test\.ts$|(^|\/)(testing|fixtures|golden|verify)\/|(^|\/)(generate[^/]*|verify-upstream)\.ts$|\.proto$/.test(
    path,
  );

/** The packages of `dependencies`, and theirs, as folders. Asked of npm, which knows what is installed where. */
function productionPackages(): string[] {
  const output = execFileSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], {
    cwd: projectRoot,
    encoding: 'utf8',
    maxBuffer: 16 << 20,
  });
  return output.trim().split('\n').slice(1);
}

function under(folder: string, to: string, mode = 0o644): Placed[] {
  return globSync('**/*', {
    cwd: folder,
    withFileTypes: true,
    exclude: (entry) => entry.name === 'node_modules',
  })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const from = join(entry.parentPath, entry.name);
      return { type: 'file', from, to: join(to, relative(folder, from)), mode };
    });
}

function sources(lib: string): Placed[] {
  const files = runningFolders.flatMap((folder) => under(join(projectRoot, folder), join(lib, folder)));
  return files.filter(({ to }) => !isLeftOut(to));
}

function packages(lib: string): Placed[] {
  return productionPackages().flatMap((folder) => {
    const to = join(lib, relative(projectRoot, folder));
    if (folder.endsWith('/node_modules/node')) {
      const from = join(folder, 'bin/node');
      return [{ type: 'file', from, to: join(to, 'bin/node'), mode: 0o755 } satisfies Placed];
    }
    return under(folder, to).filter((placed) => !/\.(md|map|d\.[cm]?ts)$/i.test(placed.to));
  });
}

/** Everything, for a system with `prefix`. Configuration is apart: it belongs to the operator. */
export function installedTree({ prefix }: Layout): Placed[] {
  const lib = join(prefix, 'lib/berth');
  const share = join(prefix, 'share');
  const ours = (path: string) => join(projectRoot, path);
  const unit = readFileSync(ours('packaging/systemd/berthd.service'), 'utf8')
    .replaceAll('/usr/lib/berth/', `${lib}/`)
    .replaceAll('/usr/share/', `${share}/`);
  return [
    ...sources(lib),
    ...packages(lib),
    { type: 'link', target: '../node/bin/node', to: join(lib, 'node_modules/.bin/node') },
    { type: 'file', from: ours('package.json'), to: join(lib, 'package.json'), mode: 0o644 },
    ...programs.flatMap((name): Placed[] => [
      { type: 'file', from: ours(`bin/${name}`), to: join(lib, 'bin', name), mode: 0o755 },
      { type: 'link', target: `../lib/berth/bin/${name}`, to: join(prefix, 'bin', name) },
    ]),
    { type: 'text', text: unit, to: join(prefix, 'lib/systemd/system/berthd.service'), mode: 0o644 },
    ...under(ours('packaging/man'), join(share, 'man/man1')),
    {
      type: 'file',
      from: ours('packaging/completion/berth.bash'),
      to: join(share, 'bash-completion/completions/berth'),
      mode: 0o644,
    },
    {
      type: 'file',
      from: ours('packaging/completion/_berth'),
      to: join(share, 'zsh/site-functions/_berth'),
      mode: 0o644,
    },
    {
      type: 'file',
      from: ours('packaging/completion/berth.fish'),
      to: join(share, 'fish/vendor_completions.d/berth.fish'),
      mode: 0o644,
    },
    ...under(ours('packaging/grafana'), join(share, 'berth/grafana')),
    ...under(ours('packaging/prometheus'), join(share, 'berth/prometheus')),
    ...under(ours('docs'), join(share, 'doc/berth')).filter(({ to }) => to.endsWith('.md')),
    ...['README.md', 'CHANGELOG.md', 'LICENSE'].map(
      (name): Placed => ({ type: 'file', from: ours(name), to: join(share, 'doc/berth', name), mode: 0o644 }),
    ),
    {
      type: 'file',
      from: ours('packaging/crictl.yaml'),
      to: join(share, 'doc/berth/crictl.yaml'),
      mode: 0o644,
    },
  ];
}

/** The sample configuration, which says nothing but the defaults. */
export const sampleConfiguration = {
  from: join(projectRoot, 'packaging/config.toml'),
  to: '/etc/berth/config.toml',
};
