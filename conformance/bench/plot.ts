/** The result as an SVG: one group of bars per row of the README's table, as a share of the better containerd variant. */
import { type BenchReport, formatValue, type MetricResult } from './report.ts';

/** Column -> label and colour; colours that readers with any colour vision tell apart (Okabe and Ito). */
const series = [
  ['berth', 'Berth', '#0072b2'],
  ['containerd-runc', 'containerd, runc', '#e69f00'],
  ['containerd-crun', 'containerd, crun', '#d55e00'],
  ['containerd', 'containerd', '#e69f00'],
  ['floor', 'bare tools', '#8a8a8a'],
] as const;

const labelWidth = 330;
const barWidth = 420;
const width = labelWidth + barWidth + 130;
const barHeight = 11;
const groupGap = 12;
const top = 64;

/** Draws what was measured on Berth and on a peer. Bars longer than twice the better peer are cut and marked. */
export function drawPlot(report: BenchReport): string {
  const rows = report.loads.flatMap((load) => load.metrics.filter((metric) => metric.inReadme));
  const parts: string[] = [];
  let y = top;
  for (const metric of rows) {
    const drawn = drawGroup(metric, y);
    parts.push(drawn.svg);
    y += drawn.height + groupGap;
  }
  const height = y + 8;
  const style =
    'text{font:12px system-ui,sans-serif;fill:#222}.s{font-size:10px}.g{stroke:#999;stroke-dasharray:3 3}.b{fill:#fff}' +
    '@media(prefers-color-scheme:dark){text{fill:#ddd}.b{fill:#111}}';
  const oneX = labelWidth + barWidth / 2;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="Berth and containerd compared">`,
    `<style>${style}</style><rect class="b" width="${width}" height="${height}"/>`,
    `<text x="12" y="22">Medians; shorter is better. The dashed line is the better containerd variant.</text>`,
    drawLegend(rows),
    `<line class="g" x1="${oneX}" x2="${oneX}" y1="${top - 8}" y2="${height - 8}"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

function drawLegend(rows: readonly MetricResult[]): string {
  const used = series.filter(([column]) => rows.some(({ columns }) => columns[column] !== undefined));
  return used
    .map(([, label, colour], index) => {
      const x = 12 + index * 130;
      return `<rect x="${x}" y="34" width="11" height="11" fill="${colour}"/><text class="s" x="${x + 16}" y="43">${label}</text>`;
    })
    .join('');
}

function drawGroup(metric: MetricResult, y: number): { readonly svg: string; readonly height: number } {
  const bars = series.filter(([column]) => metric.columns[column] !== undefined);
  const unitOf = metric.betterPeer === undefined ? undefined : metric.columns[metric.betterPeer]?.median;
  const scale = unitOf === undefined || unitOf === 0 ? (metric.columns[bars[0]![0]]?.median ?? 1) : unitOf;
  const height = bars.length * (barHeight + 2);
  const parts = [
    `<text x="${labelWidth - 12}" y="${y + height / 2 + 4}" text-anchor="end">${escapeXml(metric.title)}</text>`,
  ];
  bars.forEach(([column, , colour], index) => {
    const { median, p95 } = metric.columns[column]!;
    const share = median / scale;
    const length = Math.max(1, Math.min(2, share) * (barWidth / 2));
    const barY = y + index * (barHeight + 2);
    const label = `${formatValue(median, metric.unit)}${share > 2 ? ' (cut)' : ''}`;
    parts.push(
      `<rect x="${labelWidth}" y="${barY}" width="${length.toFixed(1)}" height="${barHeight}" fill="${colour}"><title>p95 ${formatValue(p95, metric.unit)}</title></rect>`,
      `<text class="s" x="${(labelWidth + length + 5).toFixed(1)}" y="${barY + 9}">${label}</text>`,
    );
  });
  return { svg: parts.join('\n'), height };
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
