/**
 * On which line of a TOML document each key stands, by its dotted name; smol-toml does not tell. The document has
 * been parsed before, so that this reader can be simple.
 */
export function keyLines(document: string): ReadonlyMap<string, number> {
  const lines = new Map<string, number>();
  let section: string[] = [];
  let open = 0;
  let multiline = '';
  document.split('\n').forEach((line, index) => {
    const startsInside = open > 0 || multiline !== '';
    if (!startsInside) {
      const header = /^\s*\[\[?([^\]]+)\]/.exec(line);
      const assignment = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/.exec(
        line,
      );
      if (header) {
        section = splitKey(header[1]!);
        remember(lines, section, index + 1);
        return;
      }
      if (assignment) remember(lines, [...section, ...splitKey(assignment[1]!)], index + 1);
    }
    ({ open, multiline } = scanValue(line, open, multiline));
  });
  return lines;
}

/** A key and, where they are not known yet, the tables it implies. */
function remember(lines: Map<string, number>, key: readonly string[], line: number): void {
  for (let length = 1; length <= key.length; length += 1) {
    const name = key.slice(0, length).join('.');
    if (!lines.has(name)) lines.set(name, line);
  }
}

function splitKey(key: string): string[] {
  return (key.match(/[\w-]+|"[^"]*"|'[^']*'/g) ?? []).map((part) => part.replace(/^["']|["']$/g, ''));
}

/** Follows brackets and multi-line strings, so that what looks like a key inside a value is not taken for one. */
function scanValue(
  line: string,
  openBefore: number,
  multilineBefore: string,
): { open: number; multiline: string } {
  let open = openBefore;
  let multiline = multilineBefore;
  for (let at = 0; at < line.length; at += 1) {
    const three = line.slice(at, at + 3);
    if (multiline !== '') {
      if (three === multiline) {
        multiline = '';
        at += 2;
      }
    } else if (three === '"""' || three === "'''") {
      multiline = three;
      at += 2;
    } else if (line[at] === '"' || line[at] === "'") {
      at = endOfString(line, at);
    } else if (line[at] === '#') break;
    else if (line[at] === '[' || line[at] === '{') open += 1;
    else if (line[at] === ']' || line[at] === '}') open -= 1;
  }
  return { open, multiline };
}

function endOfString(line: string, start: number): number {
  const quote = line[start];
  let at = start + 1;
  while (at < line.length && line[at] !== quote) at += quote === '"' && line[at] === '\\' ? 2 : 1;
  return at;
}
