import { expect, test } from 'vitest';
import { readEventLoopDelayMs } from './metrics.ts';
import { drawPlot } from './plot.ts';
import { type BenchReport, makeLoadReport } from './report.ts';
import { beginMarker, endMarker, fillTable, formatTable } from './table.ts';

const load = makeLoadReport(
  {
    load: {
      name: 'pods',
      title: 'pods',
      setup: 'same',
      scope: 'handler',
      isQuick: true,
      rounds: 2,
      warmupRounds: 0,
      metrics: [
        {
          key: 'run',
          title: 'RunPodSandbox',
          unit: 'ms',
          targetRatio: 0.33,
          quickTargetRatio: 0.5,
          inReadme: true,
        },
      ],
      round: async () => {},
    },
    samples: new Map([
      ['berth', { run: [[40], [60]] }],
      ['containerd-runc', { run: [[200], [300]] }],
      ['containerd-crun', { run: [[100], [150]] }],
      ['floor', { run: [[30], [45]] }],
    ]),
    failures: new Map(),
    seconds: 1,
  },
  false,
);
const report: BenchReport = {
  format: 1,
  startedAt: '2030-01-02T00:00:00.000Z',
  seconds: 1,
  isQuick: false,
  machine: {},
  versions: {},
  loads: [load],
};

test('the target is judged against the better containerd variant', () => {
  expect(load.metrics[0]).toMatchObject({
    betterPeer: 'containerd-crun',
    target: { kind: 'ratio', limit: 0.33, value: 0.4, isMet: false },
  });
});

test('the table replaces what stands between the markers and nothing else', () => {
  const filled = fillTable(`before\n${beginMarker}\nold\n${endMarker}\nafter\n`, formatTable(report));
  expect(filled).toContain('| RunPodSandbox | 50.0 ms | 250 ms | 125 ms | 37.5 ms | 0.40 | 0.33 (missed) |');
  expect(filled).not.toContain('old');
  expect(fillTable(filled, formatTable(report))).toBe(filled);
  expect(() => fillTable('no markers', '')).toThrow(/lacks the lines/);
});

test('the plot has a bar per column', () => {
  expect(drawPlot(report).match(/<title>/g)).toHaveLength(4);
});

test('event-loop delay is read from a quantile label or from a name', () => {
  expect(readEventLoopDelayMs('x 1\nberth_event_loop_delay_seconds{quantile="0.99"} 0.012\n')).toBe(12);
  expect(readEventLoopDelayMs('nodejs_eventloop_lag_p99_seconds 0.004\n')).toBe(4);
  expect(readEventLoopDelayMs('nodejs_eventloop_lag_p50_seconds 0.004\n')).toBeUndefined();
});
