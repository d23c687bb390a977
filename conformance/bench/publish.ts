/**
 * Puts a result into the project's documents: the JSON and the plot into docs/benchmark/, and the table made from it
 * between the markers of README.md.
 *
 *   node conformance/bench/publish.ts [--from DIR] [--check]
 *     --from DIR   folder with result.json and plot.svg (the cache unless given)
 *     --check      change nothing; fail if the table is not the one that docs/benchmark/result.json gives
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDir, projectRoot } from '../cache.ts';
import type { BenchReport } from './report.ts';
import { fillTable, formatTable } from './table.ts';

function main(): void {
  const { values } = parseArgs({
    options: { from: { type: 'string' }, check: { type: 'boolean', default: false } },
  });
  const docs = join(projectRoot, 'docs', 'benchmark');
  const readme = join(projectRoot, 'README.md');
  if (!values.check) {
    const from = resolve(values.from ?? cacheDir('bench'));
    mkdirSync(docs, { recursive: true });
    for (const file of ['result.json', 'plot.svg']) copyFileSync(join(from, file), join(docs, file));
  }
  const report = JSON.parse(readFileSync(join(docs, 'result.json'), 'utf8')) as BenchReport;
  const text = readFileSync(readme, 'utf8');
  const filled = fillTable(text, formatTable(report));
  if (values.check && filled !== text)
    throw new Error(
      'the table in README.md is not that of docs/benchmark/result.json: run conformance/bench/publish.ts',
    );
  if (!values.check) writeFileSync(readme, filled);
}

main();
