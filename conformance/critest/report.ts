/** Reads ginkgo's JSON report and judges each spec against the skip rules. */
import type { SkipRule } from './skips.ts';

/** The parts of ginkgo v2's report (types.Report, types.SpecReport) that are used here. */
export interface GinkgoReport {
  readonly SpecReports: readonly GinkgoSpec[] | null;
  readonly SpecialSuiteFailureReasons?: readonly string[] | null;
}

export interface GinkgoSpec {
  readonly ContainerHierarchyTexts: readonly string[] | null;
  readonly LeafNodeType: string;
  readonly LeafNodeText: string;
  readonly State: string;
  readonly RunTime: number;
  readonly Failure?: { readonly Message?: string };
}

/**
 * `skipped`: kept from running by one of our rules; it counts against us. `inapplicable`: the suite skips it
 * itself, for a listed reason, on any runtime. `unexcused`: the suite skipped it for no listed reason.
 * `unselected`: not asked for.
 */
export type Verdict = 'passed' | 'failed' | 'skipped' | 'inapplicable' | 'unexcused' | 'unselected';

export interface SpecResult {
  /** The outermost container's text, without the suite's label. */
  readonly group: string;
  readonly name: string;
  readonly verdict: Verdict;
  readonly durationMs: number;
  /** Failure text, reason of the skip, or what the suite said when it skipped without a rule. */
  readonly detail: string;
}

/** The full name of a spec: the texts of its containers and its own. */
export function nameOf(spec: Pick<GinkgoSpec, 'ContainerHierarchyTexts' | 'LeafNodeText'>): string {
  return [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' ');
}

export interface Selection {
  readonly rules: readonly SkipRule[];
  /** True when a focus or further skips were asked for: a spec that did not run is then nobody's fault. */
  readonly isPartial: boolean;
}

/**
 * One result per spec, in report order.
 * A failing set-up or clean-up of the whole suite is a result of its own.
 */
export function judgeSpecs(reports: readonly GinkgoReport[], selection: Selection): SpecResult[] {
  const results: SpecResult[] = [];
  for (const report of reports) {
    for (const spec of report.SpecReports ?? []) {
      if (spec.LeafNodeType === 'It') results.push(judgeSpec(spec, selection));
      else if (!['passed', 'skipped'].includes(spec.State))
        results.push(describeFailure(spec, { group: 'suite', name: spec.LeafNodeType }));
    }
  }
  return results;
}

function judgeSpec(spec: GinkgoSpec, selection: Selection): SpecResult {
  const name = nameOf(spec);
  const group = (spec.ContainerHierarchyTexts?.[0] ?? 'suite').replace(
    /^\[k8s\.io\] | \[Conformance\]$/g,
    '',
  );
  const durationMs = Math.round(spec.RunTime / 1e6);
  const base = { group, name, durationMs };
  if (spec.State === 'passed') return { ...base, verdict: 'passed', detail: '' };
  if (spec.State !== 'skipped' && spec.State !== 'pending') return describeFailure(spec, base);
  const rule = selection.rules.find((candidate) => candidate.spec.test(name));
  if (rule !== undefined) {
    return { ...base, verdict: rule.isSkippedBySuite ? 'inapplicable' : 'skipped', detail: rule.reason };
  }
  // Only a spec that ran and then skipped itself has something to say.
  const said = spec.Failure?.Message ?? '';
  if (said === '' && selection.isPartial) return { ...base, verdict: 'unselected', detail: '' };
  return { ...base, verdict: 'unexcused', detail: said === '' ? 'did not run' : said };
}

function describeFailure(spec: GinkgoSpec, subject: { group: string; name: string }): SpecResult {
  const message = spec.Failure?.Message ?? '';
  const detail =
    message === '' ? spec.State : spec.State === 'failed' ? message : `${spec.State}: ${message}`;
  return { ...subject, verdict: 'failed', durationMs: Math.round(spec.RunTime / 1e6), detail };
}

export type Tally = Readonly<Record<Verdict, number>>;

export function tally(results: readonly SpecResult[]): Tally {
  const counts: Record<Verdict, number> = {
    passed: 0,
    failed: 0,
    skipped: 0,
    inapplicable: 0,
    unexcused: 0,
    unselected: 0,
  };
  for (const result of results) counts[result.verdict] += 1;
  return counts;
}

/** True when nothing failed, nothing was skipped without a listed reason, and something ran. */
export function isGood(results: readonly SpecResult[]): boolean {
  const counts = tally(results);
  return counts.failed === 0 && counts.unexcused === 0 && counts.passed > 0;
}

/** The table printed at the end: groups with their counts, then every spec that did not pass, with its reason. */
export function formatResults(results: readonly SpecResult[]): string {
  const groups = new Map<string, SpecResult[]>();
  for (const result of results) {
    groups.set(result.group, [...(groups.get(result.group) ?? []), result]);
  }
  const lines = [`${'group'.padEnd(36)} passed failed skipped  time`];
  for (const [group, members] of [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const counts = tally(members);
    if (counts.unselected === members.length) continue;
    const seconds = members.reduce((sum, member) => sum + member.durationMs, 0) / 1000;
    const cells = [counts.passed, counts.failed + counts.unexcused, counts.skipped + counts.inapplicable].map(
      (n) => String(n).padStart(6),
    );
    lines.push(`${group.padEnd(36)} ${cells.join(' ')}  ${seconds.toFixed(1).padStart(5)}s`);
  }
  lines.push(...formatReasons(results), ...formatFailures(results));
  const counts = tally(results);
  const unselected = counts.unselected === 0 ? '' : `, ${counts.unselected} not selected`;
  const skipped = counts.skipped + counts.inapplicable;
  const counting = results.length - counts.inapplicable - counts.unselected;
  const failed = counts.failed + counts.unexcused;
  lines.push('', `${counts.passed} passed, ${failed} failed, ${skipped} skipped${unselected}`);
  lines.push(`${counts.passed} of the ${counting} that count`);
  return lines.join('\n');
}

function formatReasons(results: readonly SpecResult[]): string[] {
  const reasons = new Map<string, number>();
  for (const { verdict, detail } of results) {
    if (verdict === 'skipped' || verdict === 'inapplicable')
      reasons.set(detail, (reasons.get(detail) ?? 0) + 1);
  }
  return reasons.size === 0
    ? []
    : ['', ...[...reasons].map(([reason, count]) => `skipped ${count}: ${reason}`)];
}

function formatFailures(results: readonly SpecResult[]): string[] {
  return results
    .filter(({ verdict }) => verdict === 'failed' || verdict === 'unexcused')
    .flatMap(({ name, verdict, detail }) => {
      const text = detail
        .trim()
        .split('\n')
        .slice(0, 6)
        .map((line) => `    ${line}`);
      return [
        '',
        verdict === 'failed' ? `FAILED ${name}` : `SKIPPED WITHOUT A LISTED REASON ${name}`,
        ...text,
      ];
    });
}

/** Rules that no spec's name matches: misspelt, or outlived by a newer suite. */
export function listIdleRules(results: readonly SpecResult[], rules: readonly SkipRule[]): SkipRule[] {
  return rules.filter((rule) => !results.some(({ name }) => rule.spec.test(name)));
}
