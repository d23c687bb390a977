/** docs/conformance.md against the interface: its tables of calls have every one, each with its behaviour. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ImageService, RuntimeService } from '#proto/generated/cri.ts';
import { badRequests, placeholderRequests } from './testing/bad-requests.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const text = readFileSync(`${root}docs/conformance.md`, 'utf8');
const scene = { image: 'image', sandboxId: 'a', runningId: 'b', createdId: 'c' };

/** Rows of the table below a heading: their cells. */
function rowsBelow(heading: string): string[][] {
  const after = text.slice(text.indexOf(`\n### ${heading}\n`) + 1).split(/\n#+ /)[0]!;
  return after
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test.each([
  ['RuntimeService', RuntimeService],
  ['ImageService', ImageService],
])('the table of %s has every call once, with what it does', (heading, service) => {
  const rows = rowsBelow(heading);
  expect(rows.map(([call]) => call!.replace(' (v0.37)', '')).toSorted()).toEqual(
    Object.keys(service).toSorted(),
  );
  for (const [call, behaviour] of rows) expect([call, behaviour!.length > 15]).toEqual([call, true]);
});

test('every test file that is named exists', () => {
  const named = [...text.matchAll(/`((?:cri|conformance|runtime|images)\/[\w./-]+)`/g)].map(
    ([, path]) => path!,
  );
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((path) => !existsSync(root + path))).toEqual([]);
});

test('the numbers of bad requests are those that are sent', () => {
  expect(text).toContain(`${badRequests(scene).length} requests that are wrong in one place each`);
  expect(text).toContain(`not UTF-8 in ${placeholderRequests(scene).length} places`);
});
