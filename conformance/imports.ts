/**
 * Checks who imports whom against the table below, which is the architecture in one place (ARCHITECTURE.md says why).
 *
 *   node conformance/imports.ts      prints every offending import and every cycle; exit 1 if there is one
 */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { projectRoot } from './cache.ts';

interface Allowed {
  /** Folders whose values and types may be imported. */
  readonly values: readonly string[];
  /** Folders of which only `import type` is allowed. */
  readonly types?: readonly string[];
}

const machine = ['base', 'host', 'state'];

/** By folder, the longest match first. A folder may always import itself. */
const table: Readonly<Record<string, Allowed>> = {
  base: { values: [] },
  host: { values: ['base'] },
  state: { values: ['base', 'host'] },
  images: { values: machine },
  network: { values: machine },
  runtime: { values: machine, types: ['images', 'network'] },
  // Pure: configs in, OCI spec out. No machine, no clock, no files.
  'runtime/spec': { values: ['base'], types: ['runtime', 'images'] },
  proto: { values: ['base'] },
  // NRI is ttrpc with protobuf messages: its plugins are talked to here, by a codec of its own and not by that of the CRI.
  'runtime/nri': { values: [...machine, 'runtime', 'proto/nri'] },
  'proto/nri': { values: ['base', 'proto'] },
  cri: { values: [...machine, 'proto'], types: ['runtime', 'images', 'network'] },
  // Looks at machines, with parsers that the daemon's part hands it.
  doctor: { values: machine },
  daemon: { values: [...machine, 'images', 'network', 'runtime', 'cri', 'doctor'] },
  cli: { values: [...machine, 'proto', 'daemon', 'doctor'] },
  conformance: { values: [...machine, 'proto', 'images', 'network', 'runtime', 'daemon'] },
  demo: { values: [...machine, 'proto', 'conformance'] },
};

/** Packages that only the named folders may import: the outside face alone knows gRPC, host alone FFI, which fault tests watch. */
const packages: Readonly<Record<string, readonly string[]>> = {
  '@grpc/grpc-js': ['cri', 'cli', 'conformance', 'demo'],
  koffi: ['host', 'conformance'],
};

interface Import {
  readonly target: string;
  readonly isType: boolean;
  readonly line: number;
}

const statement =
  /^[ \t]*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?['"]([^'"\n]+)['"]|import\(\s*['"]([^'"]+)['"]/gm;

function readImports(file: string): Import[] {
  const text = readFileSync(join(projectRoot, file), 'utf8');
  return [...text.matchAll(statement)].map((match) => ({
    target: match[2] ?? match[3] ?? '',
    isType: match[1] !== undefined,
    line: text.slice(0, match.index).split('\n').length,
  }));
}

/** `#base/errors.ts` and `../x.ts` as paths from the root; undefined for packages and Node's own modules. */
function resolveTarget(file: string, target: string): string | undefined {
  if (target.startsWith('#')) return target.slice(1);
  return target.startsWith('.') ? normalize(join(dirname(file), target)) : undefined;
}

function folderOf(file: string): string {
  const parts = file.split('/');
  const two = parts.slice(0, 2).join('/');
  return Object.hasOwn(table, two) ? two : (parts[0] ?? '');
}

/** The streaming client's bench and the fuzzer count as tests: they wire parts of their own choice together. */
const isTest = (file: string): boolean =>
  /(\.test\.ts$)|(^|\/)testing\/|^conformance\/(streaming-client|fuzz)\//.test(file);

/** What is wrong with one import, or undefined. Tests may import anything: they wire parts together. */
function judge(file: string, { target, isType }: Import): string | undefined {
  const from = folderOf(file);
  const path = resolveTarget(file, target);
  if (path === undefined) {
    const allowed = packages[target];
    return allowed === undefined || isTest(file) || allowed.includes(from)
      ? undefined
      : `the package ${target} is for ${allowed.join(', ')} only`;
  }
  if (isTest(file)) return undefined;
  if (/(^|\/)testing\//.test(path)) return 'testing/ is for tests only';
  const to = folderOf(path);
  const rule = table[from];
  if (to === from || rule === undefined) return undefined;
  const reaches = (folders: readonly string[] = []) =>
    folders.includes(to) || folders.includes(to.split('/')[0]!);
  const isOwnPart = to.startsWith(`${from}/`);
  if (isOwnPart || reaches(rule.values)) return undefined;
  if (reaches(rule.types)) return isType ? undefined : `${from} may import only types of ${to}`;
  return `${from} may not import ${to}`;
}

/** Cycles of value imports between files, each once, as paths of files. */
function findCycles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const cycles: string[][] = [];
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file);
    if (at >= 0) {
      cycles.push([...path.slice(at), file]);
      return;
    }
    if (done.has(file)) return;
    for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of edges.keys()) visit(file, []);
  return cycles;
}

const files = globSync('*/**/*.ts', {
  cwd: projectRoot,
  exclude: (name) => name === 'node_modules' || name.startsWith('.cache'),
}).toSorted();
const edges = new Map<string, string[]>();
const problems: string[] = [];
for (const file of files) {
  const imports = readImports(file);
  for (const entry of imports) {
    const problem = judge(file, entry);
    if (problem !== undefined) problems.push(`${file}:${entry.line}: ${entry.target}: ${problem}`);
  }
  const values = imports.filter(({ isType }) => !isType).map(({ target }) => resolveTarget(file, target));
  edges.set(
    file,
    values.filter((path) => path !== undefined),
  );
}
problems.push(...findCycles(edges).map((cycle) => `cycle: ${cycle.join(' -> ')}`));
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log(`${files.length} files import only what they may`);
