/** POSIX extended regular expressions by JavaScript's engine (regex(7)). */

const classes: Readonly<Record<string, string>> = {
  alnum: 'A-Za-z0-9',
  alpha: 'A-Za-z',
  blank: ' \\t',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\s',
  upper: 'A-Z',
  xdigit: '0-9A-Fa-f',
};

/**
 * Longer texts match nothing. The expression is the operator's but the text is anybody's, and the time of a backtracking
 * engine grows at least with the square of its length.
 */
const longestText = 4096;

/**
 * Tells whether a text contains a match of the expression. Throws a SyntaxError for one that is not valid. Bracket
 * expressions take classes (`[[:alpha:]]`); collating elements and equivalence classes are not supported.
 */
export function posixExpression(source: string): (text: string) => boolean {
  const translated = source.replace(/\[:(\w+):\]/g, (whole, name: string) => classes[name] ?? whole);
  // What may stand before the match need not be matched, and would be tried from every character on.
  const expression = new RegExp(translated.replace(/^(?:\.\*)+(?![?+*{])/, ''));
  return (text) => text.length <= longestText && expression.test(text);
}
