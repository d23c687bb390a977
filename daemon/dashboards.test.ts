/** The dashboard and the alert rules against what the daemon really exports. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { exportedSeries, metricsTable } from './metrics-table.ts';
import { namesIn } from './testing/promql.ts';

const rulesPath = fileURLToPath(new URL('../packaging/prometheus/berth-rules.yaml', import.meta.url));
const dashboardPath = fileURLToPath(new URL('../packaging/grafana/berth.json', import.meta.url));

interface Rules {
  groups: {
    rules: {
      alert: string;
      expr: string;
      labels: { severity: string };
      annotations: Record<string, string>;
    }[];
  }[];
}
interface Dashboard {
  panels: { id: number; title: string; type: string; targets?: { expr: string; legendFormat: string }[] }[];
  templating: { list: { name: string; definition?: string }[] };
}

const exported = exportedSeries(await metricsTable());
/** What Prometheus adds to every target. */
const scraped = ['instance', 'job'];
const { groups } = parse(readFileSync(rulesPath, 'utf8')) as Rules;
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(readFileSync(dashboardPath, 'utf8')) as Dashboard;

/** What an expression names that is not exported. */
function strangers(expression: string, named: readonly string[] = []): string[] {
  const { series, grouping } = namesIn(expression);
  const own = series.filter(({ metric }) => metric !== 'up');
  const metrics = own.flatMap(({ metric, labels }) => {
    const known = exported.get(metric);
    if (!known) return [metric];
    return labels
      .filter((label) => !known.includes(label) && !scraped.includes(label))
      .map((label) => `${metric}{${label}}`);
  });
  const all = new Set([...scraped, ...own.flatMap(({ metric }) => exported.get(metric) ?? [])]);
  return [...metrics, ...[...grouping, ...named].filter((label) => !all.has(label))];
}

it('knows a name that is not exported', () => {
  expect(strangers('sum by (rpc) (rate(berth_rpc_results_total{result="OK"}[5m]))')).toEqual([]);
  expect(strangers('rate(berth_rpc_result_total[5m])')).toEqual(['berth_rpc_result_total']);
  expect(strangers('berth_containers{status="running"} > 1e9')).toEqual(['berth_containers{status}']);
  expect(strangers('sum by (node) (berth_images)')).toEqual(['node']);
  expect(() => namesIn('frobnicate(berth_images)')).toThrow('frobnicate');
});

it('has rules whose every metric and label is exported', () => {
  expect(rules.length).toBeGreaterThan(10);
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  for (const { alert, expr, labels, annotations } of rules) {
    const named = Object.values(annotations).flatMap((text) =>
      [...text.matchAll(/\$labels\.(\w+)/g)].map((match) => match[1]!),
    );
    expect(strangers(expr, named), alert).toEqual([]);
    expect(['warning', 'critical']).toContain(labels.severity);
    expect(Object.keys(annotations).sort()).toEqual(['description', 'summary']);
  }
});

it('has a dashboard whose every metric and label is exported, and which shows them all', () => {
  const shown = new Set<string>();
  for (const { title, targets = [] } of dashboard.panels)
    for (const { expr, legendFormat } of targets) {
      const named = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map((match) => match[1]!);
      expect(strangers(expr, named), title).toEqual([]);
      for (const { metric } of namesIn(expr).series) shown.add(metric);
    }
  for (const { definition } of dashboard.templating.list)
    if (definition !== undefined) expect(definition).toMatch(/^label_values\(berth_build_info, instance\)$/);
  // Each family at least once, in whichever of its series.
  const families = [...exported.keys()].map((name) => name.replace(/_(bucket|sum|count)$/, ''));
  const shownFamilies = new Set([...shown].map((name) => name.replace(/_(bucket|sum|count)$/, '')));
  // Shown by other figures already.
  const left = ['berth_image_pull_in_flight', 'process_start_time_seconds'];
  expect([...new Set(families)].filter((name) => !shownFamilies.has(name) && !left.includes(name))).toEqual(
    [],
  );
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
});

function hasPromtool(): boolean {
  try {
    execFileSync('promtool', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false; // Debian's package prometheus brings it
  }
}

it.skipIf(!hasPromtool())(
  'has rules that promtool accepts (skipped where prometheus is not installed)',
  () => {
    expect(execFileSync('promtool', ['check', 'rules', rulesPath], { encoding: 'utf8' })).toContain(
      'SUCCESS',
    );
  },
);
