import { performance } from 'node:perf_hooks';
import { afterEach, expect, test, vi } from 'vitest';
import { Metrics } from './metrics.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

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

test('work is counted by its duration, its result, and while it is under way', async () => {
  let nowMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  const metrics = new Metrics();
  const calls = metrics.work('test_call', 'rpc', 'calls');
  const run = (rpc: string, ms: number, result: string) => {
    const end = calls.begin(rpc);
    nowMs += ms;
    end(result);
  };
  run('Version', 1, 'OK');
  run('Version', 30, 'OK');
  run('Version', 700_000, 'Internal');
  calls.begin('Status');
  const text = await metrics.render();
  const lines = text.split('\n').filter((line) => /test_call_(?!duration_seconds_bucket)/.test(line));
  expect(lines).toEqual([
    '# HELP test_call_duration_seconds Time that calls took.',
    '# TYPE test_call_duration_seconds histogram',
    'test_call_duration_seconds_sum{rpc="Version"} 700.031',
    'test_call_duration_seconds_count{rpc="Version"} 3',
    '# HELP test_call_results_total How calls ended.',
    '# TYPE test_call_results_total counter',
    'test_call_results_total{rpc="Version",result="OK"} 2',
    'test_call_results_total{rpc="Version",result="Internal"} 1',
    '# HELP test_call_in_flight Number of calls that have begun and not ended.',
    '# TYPE test_call_in_flight gauge',
    'test_call_in_flight{rpc="Version"} 0',
    'test_call_in_flight{rpc="Status"} 1',
  ]);
  const bucket = (le: string) =>
    Number(text.split(`test_call_duration_seconds_bucket{le="${le}",rpc="Version"} `)[1]?.split('\n')[0]);
  expect(['0.001', '0.025', '0.05', '600', '+Inf'].map(bucket)).toEqual([1, 1, 2, 2, 3]);
  expect(text).not.toContain('test_call_duration_seconds_count{rpc="Status"}');
  expect(await metrics.describe()).toContainEqual({
    name: 'test_call_duration_seconds',
    help: 'Time that calls took.',
    type: 'histogram',
    labels: ['rpc'],
  });
});
