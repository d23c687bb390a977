/** The pages beside /metrics: for people, read-only, without anything from elsewhere. */
import { readFileSync } from 'node:fs';
import type { NodeInsight } from '../insight.ts';
import type { SlowSpans } from '../slow-spans.ts';

export interface Page {
  readonly type: string;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Nothing but our own two files, and no frame around us: pods choose names that stand on this page. */
const headers = {
  'content-security-policy':
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

const style = new URL('page.css', import.meta.url);
const script = new URL('page.js', import.meta.url);

/** The page at `path`; undefined if there is none. Its code is loaded when the first one is asked for. */
export async function statusPage(
  path: string,
  insight: NodeInsight,
  slow: SlowSpans,
): Promise<Page | undefined> {
  switch (path) {
    case '/':
    case '/status': {
      const [{ renderPage }, { gatherStatus }] = await Promise.all([
        import('./page.ts'),
        import('./status.ts'),
      ]);
      return {
        type: 'text/html; charset=utf-8',
        text: renderPage(await gatherStatus(insight, slow)),
        headers,
      };
    }
    case '/status.json': {
      const { gatherStatus } = await import('./status.ts');
      return {
        type: 'application/json',
        text: `${JSON.stringify(await gatherStatus(insight, slow))}\n`,
        headers,
      };
    }
    case '/status.css':
      return { type: 'text/css; charset=utf-8', text: readFileSync(style, 'utf8'), headers };
    case '/status.js':
      return { type: 'text/javascript; charset=utf-8', text: readFileSync(script, 'utf8'), headers };
    default:
      return undefined;
  }
}
