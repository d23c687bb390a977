/** The README's table of the benchmark. Pure. */
import { type BenchReport, formatValue, type MetricResult } from './report.ts';

export const beginMarker = '<!-- benchmark: made by conformance/bench/publish.ts -->';
export const endMarker = '<!-- end of benchmark -->';

/** Replaces what stands between the markers. Throws when the text lacks them. */
export function fillTable(text: string, table: string): string {
  const begin = text.indexOf(beginMarker);
  const end = text.indexOf(endMarker);
  if (begin < 0 || end < begin) throw new Error(`README.md lacks the lines ${beginMarker} and ${endMarker}`);
  return `${text.slice(0, begin + beginMarker.length)}\n${table}\n${text.slice(end)}`;
}

/** A Markdown table, one row per metric that is marked for it, and below it what was measured where. */
export function formatTable(report: BenchReport): string {
  const metrics = report.loads.flatMap((load) => load.metrics.filter(({ inReadme }) => inReadme));
  const rows = metrics.map((metric) => `| ${makeCells(metric).join(' | ')} |`);
  const { versions, machine } = report;
  const failures = report.loads.flatMap((load) =>
    Object.entries(load.failures).map(
      ([column, reason]) => `${load.title} failed on ${column}: ${reason.split('\n')[0]}.`,
    ),
  );
  return [
    '| median | Berth | containerd, runc | containerd, crun | bare tools | Berth to the better containerd | wanted |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
    '',
    `Measured ${report.startedAt.slice(0, 10)} in one interleaved run on ${machine.processors}, ${machine.memory}, ` +
      `${machine.system}, Linux ${machine.kernel}: Berth ${versions.berth} (Node ${versions.node}, crun ${versions.crun}, ` +
      `conmon ${versions.conmon}), containerd ${versions.containerd} (runc ${versions.runc}). ` +
      "The ratio is the median of the rounds' ratios. All samples: [result.json](docs/benchmark/result.json).",
    ...failures,
    '',
    '![the same as bars](docs/benchmark/plot.svg)',
  ].join('\n');
}

function makeCells(metric: MetricResult): string[] {
  const show = (...columns: string[]): string => {
    const column = columns.find((name) => metric.columns[name] !== undefined);
    return column === undefined ? '' : formatValue(metric.columns[column]!.median, metric.unit);
  };
  const ratio = metric.betterPeer === undefined ? undefined : metric.ratios[metric.betterPeer];
  const { target } = metric;
  return [
    metric.title,
    show('berth'),
    show('containerd-runc', 'containerd'),
    show('containerd-crun', 'containerd'),
    show('floor'),
    ratio === undefined ? '' : ratio.median.toFixed(2),
    target === undefined
      ? ''
      : `${target.limit}${target.kind === 'max' ? ` ${metric.unit}` : ''}${target.isMet ? '' : ' (missed)'}`,
  ];
}
