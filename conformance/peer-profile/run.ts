/**
 * Is a container on Berth confined as well as on Debian's containerd? The same default pod on both, with the kubelet's
 * RuntimeDefault and paths, and without a word on any of it, over the same crun; what the OCI runtime was asked for and what the process then has are compared.
 *
 *   node conformance/peer-profile/run.ts [--markdown] [--peer-runtime runc]
 *
 * The last line is the verdict; exit status 1 if Berth gives a container anything that containerd does not, unless it is meant
 * and explained in compare.ts.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findLeftovers, formatLeftovers, removeLeftovers } from '../critest/leftovers.ts';
import { type ServerKind, startServer } from '../critest/server.ts';
import { startRegistry, writeMirrorHosts } from '../fixtures/registry.ts';
import { buildDemoImages, listRegistries, pushCatalogue } from '../fixtures/store.ts';
import { makeTestNetwork } from '../network.ts';
import { demoPackages, ensurePackages, prepareCgroups, runtimePackages } from '../setup.ts';
import { compareProfiles, explained, type Row } from './compare.ts';
import { type Profile, takeProfile } from './subject.ts';

type Kind = 'RuntimeDefault' | 'unset';

/** The profiles of one server, which is started and ended for them. */
async function profilesOf(
  kind: ServerKind,
  hostsDir: string,
  ociRuntime = '',
): Promise<Record<Kind, Profile>> {
  const dir = mkdtempSync(join(tmpdir(), 'pp-'));
  mkdirSync(join(dir, 'logs'));
  const network = makeTestNetwork(dir);
  try {
    const server = await startServer(
      kind,
      { dir, cniConfDir: network.confDir, registryHostsDir: hostsDir },
      ociRuntime,
    );
    try {
      return {
        RuntimeDefault: await takeProfile(server.endpoint, dir, 'RuntimeDefault'),
        unset: await takeProfile(server.endpoint, dir, 'unset'),
      };
    } finally {
      await server.stop();
    }
  } finally {
    const leftovers = findLeftovers(dir, network.bridge);
    for (const words of formatLeftovers(leftovers)) console.error(`left by ${kind}: ${words}`);
    await removeLeftovers(leftovers);
    await network.remove();
    rmSync(dir, { recursive: true, force: true });
  }
}

function print(rows: readonly Row[], isMarkdown: boolean): void {
  const note = ({ weaker }: Row) =>
    weaker.map((words) => (explained[words] ? `${words}: meant, ${explained[words]}` : words)).join('; ');
  if (isMarkdown) {
    console.log('| | Berth | containerd | Weaker |\n|---|---|---|---|');
    for (const row of rows) console.log(`| ${row.what} | ${row.ours} | ${row.peer} | ${note(row) || 'no'} |`);
    return;
  }
  for (const row of rows)
    console.log(`${row.what.padEnd(26)} ${row.ours.padEnd(44)} ${row.peer.padEnd(34)} ${note(row)}`);
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      markdown: { type: 'boolean', default: false },
      'peer-runtime': { type: 'string', default: 'crun' },
    },
  });
  await ensurePackages([...runtimePackages, ...demoPackages, 'containerd']);
  await prepareCgroups();
  const work = mkdtempSync(join(tmpdir(), 'pp-registry-'));
  const registry = await startRegistry({ dataDir: join(work, 'data') });
  try {
    const images = await buildDemoImages();
    await pushCatalogue(registry.host, images);
    const hostsDir = join(work, 'hosts');
    writeMirrorHosts(hostsDir, listRegistries(images), registry.host);
    const ours = await profilesOf('berth', hostsDir);
    const peer = await profilesOf('containerd', hostsDir, values['peer-runtime']);
    const rows = compareProfiles(ours.RuntimeDefault, peer.RuntimeDefault);
    print(rows, values.markdown);
    const without = compareProfiles(ours.unset, peer.unset);
    const problems = [
      ...rows,
      ...without.map((row) => ({ ...row, what: `${row.what}, nothing said` })),
    ].flatMap(({ what, weaker }) =>
      weaker.filter((words) => !explained[words]).map((words) => `${what}: ${words}`),
    );
    const unset = (profile: Profile) => profile.status.Seccomp;
    console.log(
      `\nwithout a word on seccomp: filter mode ${unset(ours.unset)} on Berth, ${unset(peer.unset)} on containerd`,
    );
    for (const words of problems) console.log(`  ${words}`);
    console.log(
      problems.length === 0
        ? `peer profile: PASSED, ${rows.length} comparisons twice, nowhere weaker than containerd`
        : `peer profile: FAILED, weaker in ${problems.length} places`,
    );
    return problems.length === 0;
  } finally {
    await registry.stop();
    rmSync(work, { recursive: true, force: true });
  }
}

process.exitCode = (await main()) ? 0 : 1;
