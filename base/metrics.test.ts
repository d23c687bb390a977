import { expect, test } from 'vitest';
import { Metrics } from './metrics.ts';

test('work of any number of names makes no more than a hundred series and one for the others', async () => {
  const metrics = new Metrics();
  const pulls = metrics.work('test_pull', 'registry', 'pulls');
  for (let at = 0; at < 300; at += 1) pulls.begin(`r${at}.example`)('ok');
  pulls.begin('r7.example')('failed');
  const lines = (await metrics.render())
    .split('\n')
    .filter((line) => line.startsWith('test_pull_results_total{'));
  expect(lines).toHaveLength(102);
  expect(lines).toContain('test_pull_results_total{registry="other",result="ok"} 200');
  expect(lines).toContain('test_pull_results_total{registry="r7.example",result="failed"} 1');
});
