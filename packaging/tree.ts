/** What an installed Berth consists of: its programs in a bundle, the packages that stay outside it with Node among them, and what lies beside. */

import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BundledProgram, bundledProgram, bundlePrograms } from './bundle.ts';

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

/** What an operator or systemd starts, by a launcher of the same name in bin/. */
const launched = ['berthd', 'berth', 'berth-audit'] as const satisfies readonly BundledProgram[];
/** The packages that a bundle cannot hold: Node itself, and the FFI, whose native part is a package of its own. */
const unbundled = /\/node_modules\/(node|koffi|@koromix\/[^/]+)$/;

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

function packages(lib: string): Placed[] {
  return productionPackages()
    .filter((folder) => unbundled.test(folder))
    .flatMap((folder) => {
      const to = join(lib, relative(projectRoot, folder));
      if (folder.endsWith('/node_modules/node')) {
        const from = join(folder, 'bin/node');
        return [{ type: 'file', from, to: join(to, 'bin/node'), mode: 0o755 } satisfies Placed];
      }
      return under(folder, to).filter(({ to: path }) => isOfUse(path));
    });
}

/** Of the FFI what runs: neither its own sources nor what describes it. */
const isOfUse = (path: string): boolean =>
  /\.(c?js|node|json)$|LICENSE/i.test(path) && !/\/(vendor|doc|cnoke)\b/.test(path);

/** The launcher as it stands in bin/, only that it starts the bundle of its program. */
function launcher(name: BundledProgram): string {
  const { file, source } = bundledProgram(name);
  const text = readFileSync(join(projectRoot, 'bin', name), 'utf8');
  if (!text.includes(`$here/${source}`)) throw new Error(`bin/${name} does not start ${source}`);
  return text.replace(`$here/${source}`, `$here/program/${file}`);
}

/** Whose work is in the bundle, and under what terms it may be passed on: those of every package, in one text. */
function licences(): string {
  return productionPackages()
    .flatMap((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        name: string;
        version: string;
        license?: string;
      };
      const texts = globSync('{LICENSE,LICENCE,COPYING,NOTICE}*', { cwd: folder }).sort();
      const words = texts.map((file) => readFileSync(join(folder, file), 'utf8').trim());
      return [`${'='.repeat(78)}\n${name} ${version} (${license ?? 'see below'})`, ...words];
    })
    .join('\n\n')
    .concat('\n');
}

/** Everything, for a system with `prefix`. Configuration is apart: it belongs to the operator. */
export async function installedTree({ prefix }: Layout): Promise<Placed[]> {
  const lib = join(prefix, 'lib/berth');
  const share = join(prefix, 'share');
  const ours = (path: string) => join(projectRoot, path);
  const unit = readFileSync(ours('packaging/systemd/berthd.service'), 'utf8')
    .replaceAll('/usr/lib/berth/', `${lib}/`)
    .replaceAll('/usr/share/', `${share}/`);
  const bundle = await bundlePrograms();
  return [
    ...bundle.map(
      ({ name, text }): Placed => ({ type: 'text', text, to: join(lib, 'program', name), mode: 0o644 }),
    ),
    ...packages(lib),
    { type: 'link', target: '../node/bin/node', to: join(lib, 'node_modules/.bin/node') },
    ...launched.flatMap((name): Placed[] => [
      { type: 'text', text: launcher(name), to: join(lib, 'bin', name), mode: 0o755 },
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
    { type: 'text', text: licences(), to: join(share, 'doc/berth/licences-of-packages'), mode: 0o644 },
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
