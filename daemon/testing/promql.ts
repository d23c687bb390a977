/** Which metrics and labels a PromQL expression names. Not a parser of the language: enough to hold rules against what is exported. */

const functions = new Set(
  'abs absent absent_over_time ceil changes clamp clamp_max clamp_min delta deriv exp floor histogram_quantile idelta increase irate label_join label_replace ln max_over_time min_over_time avg_over_time sum_over_time count_over_time last_over_time predict_linear quantile_over_time rate resets round scalar sort sort_desc sqrt time timestamp vector label_values'.split(
    ' ',
  ),
);
const aggregations = new Set(
  'sum min max avg group stddev stdvar count count_values bottomk topk quantile'.split(' '),
);
const words = new Set(
  'by without on ignoring group_left group_right and or unless bool offset inf nan'.split(' '),
);

export interface NamedSeries {
  readonly metric: string;
  /** In its braces. */
  readonly labels: readonly string[];
}

export interface PromqlNames {
  readonly series: readonly NamedSeries[];
  /** In `by (...)`, `on (...)` and the like. */
  readonly grouping: readonly string[];
}

/** Throws Error for a function that is not known, and for brackets that do not fit. */
export function namesIn(expression: string): PromqlNames {
  const series: NamedSeries[] = [];
  const grouping: string[] = [];
  const bare = expression.replace(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '""').replace(/\[[^\]]*\]/g, '');
  checkBrackets(bare);
  const withoutGroups = bare.replace(
    /\b(by|without|on|ignoring)\s*\(([^)]*)\)/g,
    (_, _word, list: string) => {
      grouping.push(...list.split(',').flatMap((label) => label.trim() || []));
      return ' ';
    },
  );
  for (const match of withoutGroups.matchAll(/([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?/g)) {
    const [, name = '', after = ''] = match;
    if (/[\d.]/.test(withoutGroups[match.index - 1] ?? '') || words.has(name.toLowerCase())) continue;
    if (aggregations.has(name)) continue;
    if (after === '(') {
      if (!functions.has(name)) throw new Error(`${name} is no function of PromQL that is known here`);
      continue;
    }
    const labels = [...after.matchAll(/([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)/g)].map((label) => label[1]!);
    series.push({ metric: name, labels });
  }
  return { series, grouping };
}

function checkBrackets(text: string): void {
  const open: string[] = [];
  const pairs: Readonly<Record<string, string>> = { ')': '(', '}': '{' };
  for (const character of text) {
    if ('({'.includes(character)) open.push(character);
    else if (pairs[character] !== undefined && open.pop() !== pairs[character])
      throw new Error(`the brackets of ${text} do not fit`);
  }
  if (open.length > 0) throw new Error(`the brackets of ${text} do not fit`);
}
