// Loads the page again every few seconds and puts its main part into place; greys it out while the daemon does not answer.
const everyMs = 5000;

async function refresh() {
  const main = document.querySelector('main');
  if (document.hidden) return;
  try {
    const response = await fetch('/status', { cache: 'no-store' });
    if (!response.ok) throw new Error(String(response.status));
    const next = new DOMParser().parseFromString(await response.text(), 'text/html').querySelector('main');
    main.replaceWith(next);
  } catch {
    main.classList.add('stale');
  }
}

setInterval(refresh, everyMs);
