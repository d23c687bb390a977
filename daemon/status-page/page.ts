/** The status page as HTML. It is whole without its script, which only loads it again. */
import type { NodeStatus, PodLine } from './status.ts';

/** More than anybody reads; /status.json has all. */
const mostRows = 500;

/** Text for HTML: everything on the page that came from outside goes through here. */
function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let at = 0;
  for (; value >= 1024 && at < units.length - 1; at += 1) value /= 1024;
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** `3d 4h`, `12m 5s`: the two largest units. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = Math.min(parts.findIndex(([value]) => value > 0) >>> 0, parts.length - 1);
  return parts
    .slice(first, first + 2)
    .map(([value, unit]) => `${value}${unit}`)
    .join(' ');
}

function timeTag(atMs: number, nowMs: number): string {
  const iso = new Date(atMs).toISOString();
  return `<time datetime="${iso}" title="${iso}">${formatSpan(nowMs - atMs)}</time>`;
}

const shortId = (id: string): string =>
  `<code title="${escapeHtml(id)}">${escapeHtml(id.replace(/^sha256:/, '').slice(0, 12))}</code>`;
const badge = (state: string, kind: 'good' | 'bad' | 'idle'): string =>
  `<span class="${kind}">${escapeHtml(state)}</span>`;

function table(caption: string, heads: readonly string[], rows: readonly string[], empty: string): string {
  if (rows.length === 0) return `<section><h2>${caption}</h2><p class="none">${empty}</p></section>`;
  const shown = rows.slice(0, mostRows);
  const rest =
    rows.length > shown.length
      ? `<p class="none">and ${rows.length - shown.length} more: see <a href="/status.json">status.json</a></p>`
      : '';
  const head = heads.map((text) => `<th scope="col">${text}</th>`).join('');
  return `<section><h2>${caption} <small>${rows.length}</small></h2><div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${shown.join('')}</tbody></table></div>${rest}</section>`;
}

const row = (cells: readonly string[]): string =>
  `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;

function containersOf({ containers }: PodLine, nowMs: number): string {
  if (containers.length === 0) return '<span class="none">no containers</span>';
  const items = containers.map(({ name, attempt, image, state, reason, exitCode, sinceMs }) => {
    const isGood = state === 'running' || reason === 'Completed';
    const kind = isGood ? 'good' : state === 'created' ? 'idle' : 'bad';
    const words = state === 'exited' ? `${reason || 'exited'} (${exitCode})` : state;
    const again = attempt > 0 ? ` <small>start ${attempt + 1}</small>` : '';
    return `<li>${escapeHtml(name)} ${badge(words, kind)} ${timeTag(sinceMs, nowMs)}${again}<br><small>${escapeHtml(image)}</small></li>`;
  });
  return `<ul>${items.join('')}</ul>`;
}

function pods({ pods: lines, atMs }: NodeStatus): string {
  const rows = lines.map((pod) =>
    row([
      `${escapeHtml(pod.name)}<br><small>${escapeHtml(pod.namespace)}${pod.handler === '' ? '' : ` on ${escapeHtml(pod.handler)}`}</small>`,
      badge(pod.state, pod.state === 'ready' ? 'good' : pod.state === 'unknown' ? 'bad' : 'idle'),
      pod.ips.map(escapeHtml).join('<br>'),
      timeTag(pod.createdAtMs, atMs),
      containersOf(pod, atMs),
      shortId(pod.id),
    ]),
  );
  return table('Pods', ['Pod', 'State', 'Addresses', 'Age', 'Containers', 'Id'], rows, 'There are no pods.');
}

function pulls({ pulls: lines, atMs }: NodeStatus): string {
  const rows = lines.map(({ image, startedAtMs, layers }) => {
    const bars = layers.map(
      ({ digest, sizeBytes, receivedBytes }) =>
        `<li>${shortId(digest)} <progress value="${receivedBytes}" max="${Math.max(1, sizeBytes)}">${receivedBytes} of ${sizeBytes}</progress> <small>${formatBytes(receivedBytes)} of ${formatBytes(sizeBytes)}</small></li>`,
    );
    return row([
      escapeHtml(image),
      timeTag(startedAtMs, atMs),
      bars.length === 0 ? '<span class="none">asking the registry</span>' : `<ul>${bars.join('')}</ul>`,
    ]);
  });
  return table('Pulls under way', ['Image', 'For', 'Layers'], rows, 'Nothing is being pulled.');
}

function images({ images: lines, layers }: NodeStatus): string {
  const rows = lines.map(({ id, names, sizeBytes }) =>
    row([
      names.length === 0 ? '<span class="none">without a name</span>' : names.map(escapeHtml).join('<br>'),
      formatBytes(sizeBytes),
      shortId(id),
    ]),
  );
  const sum = `<p>${layers.count} layers take ${formatBytes(layers.usedBytes)} on disk; ${layers.snapshots} writable snapshots and views stand on them.</p>`;
  return table('Images', ['Names', 'Compressed', 'Id'], rows, 'There are no images.').replace(
    '</section>',
    `${sum}</section>`,
  );
}

function disks({ disks: lines }: NodeStatus): string {
  const rows = lines.map(({ folder, sizeBytes, freeBytes }) => {
    const used = sizeBytes - freeBytes;
    return row([
      `<code>${escapeHtml(folder)}</code>`,
      `<meter min="0" max="${Math.max(1, sizeBytes)}" high="${Math.round(sizeBytes * 0.85)}" value="${used}">${used} of ${sizeBytes}</meter>`,
      `${formatBytes(freeBytes)} of ${formatBytes(sizeBytes)} left`,
    ]);
  });
  return table('Disk', ['Folder', 'Used', 'Free'], rows, '');
}

function slowSpans({ slow, atMs }: NodeStatus): string {
  const rows = slow.map(({ kind, name, durationMs, endedAtMs, hasFailed }) =>
    row([
      `${escapeHtml(name)}${hasFailed ? ` ${badge('failed', 'bad')}` : ''}`,
      escapeHtml(kind),
      `${(durationMs / 1000).toFixed(2)} s`,
      `${timeTag(endedAtMs, atMs)} ago`,
    ]),
  );
  return table(
    'Slowest steps of the last hour',
    ['Step', 'Kind', 'Took', 'Ended'],
    rows,
    'Nothing took long.',
  );
}

/** The whole page. */
export function renderPage(status: NodeStatus): string {
  const { node, version, atMs, startedAtMs, memoryBytes, isReady, network, streamingSessions } = status;
  const running = status.pods
    .flatMap(({ containers }) => containers)
    .filter(({ state }) => state === 'running');
  const facts: readonly (readonly [string, string])[] = [
    ['Daemon', badge(isReady ? 'ready' : 'recovering', isReady ? 'good' : 'bad')],
    [
      'Network',
      `${badge(network.isReady ? 'ready' : 'not ready', network.isReady ? 'good' : 'bad')} ${escapeHtml(network.message)}`,
    ],
    ['Pods', String(status.pods.filter(({ state }) => state === 'ready').length)],
    ['Containers running', String(running.length)],
    ['Sessions', String(streamingSessions)],
    ['Up for', timeTag(startedAtMs, atMs)],
    ['Memory', formatBytes(memoryBytes)],
    ['Version', escapeHtml(version)],
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Berth on ${escapeHtml(node)}</title>
<link rel="stylesheet" href="/status.css">
<script src="/status.js" defer></script>
</head>
<body>
<header><h1>Berth <small>on ${escapeHtml(node)}</small></h1>
<nav><a href="/status">Reload</a> <a href="/status.json">JSON</a> <a href="/metrics">Metrics</a> <a href="/healthz">Health</a></nav></header>
<main data-at="${atMs}">
<dl>${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join('')}</dl>
${pulls(status)}
${pods(status)}
${disks(status)}
${slowSpans(status)}
${images(status)}
<p class="none">As of <time datetime="${new Date(atMs).toISOString()}">${new Date(atMs).toISOString()}</time></p>
</main>
</body>
</html>
`;
}
