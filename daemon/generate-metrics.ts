/**
 * Writes docs/metrics.md from the registered metrics.
 *
 *   node daemon/generate-metrics.ts            write it
 *   node daemon/generate-metrics.ts --check    write nothing; exit 1 if it is out of date
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { metricsTable } from './metrics-table.ts';

async function documentation(): Promise<string> {
  const rows = (await metricsTable()).map(
    ({ name, type, labels, help }) =>
      `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`,
  );
  return `<!-- Made by daemon/generate-metrics.ts from what the daemon registers; do not edit. -->
# Metrics

\`berthd\` serves \`/metrics\` in the text format of Prometheus at \`metrics.address\` (127.0.0.1:9095 unless configured; empty
for nowhere), beside \`/healthz\` and the status page (docs/status-page.md). Whoever can connect can read it: there are names of
pods and images in it, and nothing secret. Values are looked up when they are read; nothing is counted for nobody but what
happens.

A histogram \`NAME\` is exported as \`NAME_bucket\` (with the label \`le\`), \`NAME_sum\` and \`NAME_count\`. The metrics of containers
themselves (CPU, memory, network) are the CRI's (\`ListPodSandboxMetrics\`), and the kubelet exports them.

| Metric | Type | Labels | Meaning |
|---|---|---|---|
${rows.join('\n')}

Pulls in progress are seen per layer, while they are under way, in \`berth_image_pull_layer_received_bytes\` against
\`berth_image_pull_layer_size_bytes\`: their quotient is how far a layer has come.

The values of \`step\` are an operation and what it does, such as \`run-sandbox/attach-network\`: base/step.ts lists them.

A dashboard for Grafana is packaging/grafana/berth.json (import it and choose the data source), alert rules are
packaging/prometheus/berth-rules.yaml (\`rule_files\` of Prometheus). \`daemon/dashboards.test.ts\` checks every name and label in
both against this table.
`;
}

const path = fileURLToPath(new URL('../docs/metrics.md', import.meta.url));
const text = await documentation();
if (!process.argv.includes('--check')) writeFileSync(path, text);
else if (readFileSync(path, 'utf8') !== text) {
  console.error('docs/metrics.md is out of date: run `make generate` and commit');
  process.exitCode = 1;
}
