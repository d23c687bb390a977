/** Texts of Compose files that have a form of their own. */

/** A line as a shell splits it, without expansion; undefined for an open quote. */
export function splitWords(line: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at += 1) {
    const sign = line[at]!;
    if (quote !== '') {
      if (sign === quote) quote = '';
      else if (sign === '\\' && quote === '"' && '"\\$`'.includes(line[at + 1] ?? ' '))
        word += line[++at] ?? '';
      else word += sign;
    } else if (sign === '"' || sign === "'") {
      quote = sign;
      word ??= '';
    } else if (sign === '\\') word = (word ?? '') + (line[++at] ?? '');
    else if (/\s/.test(sign)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + sign;
  }
  if (quote !== '') return undefined;
  return word === undefined ? words : [...words, word];
}

/** NAME=VALUE a line, comments, quotes around values. */
export function parseEnvFile(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = /^\s*(?:export\s+)?([^#=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line.replace(/\r$/, ''));
    if (match === null) continue;
    const quoted = /^(["'])(.*)\1$/.exec(match[2]!);
    found[match[1]!] = quoted === null ? match[2]!.replace(/\s+#.*$/, '') : quoted[2]!;
  }
  return found;
}
