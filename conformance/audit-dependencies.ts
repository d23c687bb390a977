/**
 * Asks the registry for advisories against what the lock file installs: first for what is shipped, then with the tools of
 * development.
 *
 *   node conformance/audit-dependencies.ts
 *
 * The last line is the verdict. Exit status 0: none; 1: there are; 2: npm could not ask; 3: the registry does not serve audits, as
 * many mirrors do not, and nothing is known.
 */
import { spawnSync } from 'node:child_process';
import { projectRoot } from './cache.ts';

interface Advisory {
  readonly title?: string;
  readonly url?: string;
  readonly range?: string;
}

/** What `npm audit --json` writes: a report, or what went wrong as it asked. */
interface AuditOutput {
  readonly statusCode?: number;
  readonly message?: string;
  readonly error?: { readonly summary?: string };
  readonly vulnerabilities?: Readonly<
    Record<string, { readonly severity: string; readonly via: readonly (Advisory | string)[] }>
  >;
}

export type AuditResult =
  | { readonly kind: 'answered'; readonly found: readonly string[] }
  | { readonly kind: 'not served'; readonly words: string }
  | { readonly kind: 'failed'; readonly words: string };

/** Reads the output of `npm audit --json`. A package that only depends on an affected one is no finding of its own. */
export function readAudit(text: string): AuditResult {
  let output: AuditOutput;
  try {
    output = JSON.parse(text) as AuditOutput;
  } catch {
    return { kind: 'failed', words: text.trim().slice(0, 300) || 'npm said nothing' };
  }
  if (output.vulnerabilities === undefined) {
    const words = output.message || output.error?.summary || 'npm gave no report';
    const isServed = ![404, 405, 501].includes(output.statusCode ?? 0);
    return { kind: isServed ? 'failed' : 'not served', words };
  }
  const found = Object.entries(output.vulnerabilities).flatMap(([name, { severity, via }]) =>
    via.flatMap((each) =>
      typeof each === 'string'
        ? []
        : [`${name} ${each.range ?? ''}: ${severity}, ${each.title ?? 'no title'} ${each.url ?? ''}`.trim()],
    ),
  );
  return { kind: 'answered', found };
}

const scopes = [
  ['shipped', ['--omit=dev']],
  ['shipped or of development', []],
] as const;

function main(): number {
  for (const [what, flags] of scopes) {
    const { stdout, error } = spawnSync('npm', ['audit', '--json', ...flags], {
      cwd: projectRoot,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const result = error ? { kind: 'failed' as const, words: String(error) } : readAudit(stdout);
    if (result.kind === 'not served') {
      console.log(`audit-dependencies: UNKNOWN, the registry does not serve audits (${result.words})`);
      return 3;
    }
    if (result.kind === 'failed') {
      console.log(`audit-dependencies: UNKNOWN, npm could not ask: ${result.words}`);
      return 2;
    }
    for (const line of result.found) console.log(line);
    if (result.found.length > 0) {
      console.log(`audit-dependencies: FAILED, ${result.found.length} advisories against packages ${what}`);
      return 1;
    }
  }
  console.log('audit-dependencies: PASSED, no advisory against any locked package');
  return 0;
}

if (import.meta.main) process.exitCode = main();
