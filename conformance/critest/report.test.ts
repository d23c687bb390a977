import { expect, test } from 'vitest';
import { formatResults, isGood, judgeSpecs, listIdleRules } from './report.ts';
import type { SkipRule } from './skips.ts';

const spec = (container: string, leaf: string, state: string, message = '') => ({
  ContainerHierarchyTexts: [`[k8s.io] ${container}`],
  LeafNodeType: 'It',
  LeafNodeText: leaf,
  State: state,
  RunTime: 1_500_000_000,
  Failure: { Message: message },
});

const streaming: SkipRule = {
  spec: /\] Streaming /,
  reason: 'no such network here',
  isSkippedBySuite: false,
};
const rules = [streaming];

test('a spec that skips itself for a reason nobody listed fails the run', () => {
  const reports = [
    { SpecReports: [spec('Pod', 'a', 'passed'), spec('Pod', 'b', 'skipped', 'no such feature')] },
  ];
  const results = judgeSpecs(reports, { rules, isPartial: true });
  expect(results.map(({ verdict }) => verdict)).toEqual(['passed', 'unexcused']);
  expect(isGood(results)).toBe(false);
  expect(formatResults(results)).toContain('no such feature');
});

test('a listed skip keeps the run good, counts against it, and is printed with its reason', () => {
  const reports = [{ SpecReports: [spec('Pod', 'a', 'passed'), spec('Streaming', 'b', 'skipped')] }];
  const results = judgeSpecs(reports, { rules, isPartial: false });
  expect(isGood(results)).toBe(true);
  expect(formatResults(results)).toContain('skipped 1: no such network here');
  expect(formatResults(results)).toContain('1 of the 2 that count');
});

test('a spec left out is fine under a focus and not otherwise', () => {
  const reports = [{ SpecReports: [spec('Pod', 'a', 'passed'), spec('Pod', 'b', 'skipped')] }];
  expect(isGood(judgeSpecs(reports, { rules, isPartial: true }))).toBe(true);
  expect(isGood(judgeSpecs(reports, { rules, isPartial: false }))).toBe(false);
});

test('a spec that timed out, a failed suite set-up and an empty run are failures', () => {
  const timedOut = judgeSpecs([{ SpecReports: [spec('Pod', 'a', 'timedout')] }], { rules, isPartial: false });
  expect(timedOut[0]?.verdict).toBe('failed');
  const setUp = { ...spec('', '', 'panicked', 'boom'), LeafNodeType: 'BeforeSuite' };
  const results = judgeSpecs([{ SpecReports: [spec('Pod', 'a', 'passed'), setUp] }], {
    rules,
    isPartial: false,
  });
  expect(isGood(results)).toBe(false);
  expect(isGood(judgeSpecs([{ SpecReports: null }], { rules, isPartial: false }))).toBe(false);
});

test('a rule that matches no spec is reported', () => {
  const results = judgeSpecs([{ SpecReports: [spec('Pod', 'a', 'passed')] }], { rules, isPartial: false });
  expect(listIdleRules(results, rules)).toEqual([streaming]);
});
