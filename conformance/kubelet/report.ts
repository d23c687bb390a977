/** The table at the end of a run. */
export interface Outcome {
  readonly name: string;
  readonly verdict: 'pass' | 'fail' | 'cannot';
  /** Of a failure or of what cannot work here. */
  readonly reason: string;
  readonly ms: number;
}

export function formatTable(
  subject: string,
  chosen: readonly { readonly name: string; readonly shows: string }[],
  outcomes: readonly Outcome[],
  remarks: readonly string[],
): string {
  const byName = new Map(outcomes.map((outcome) => [outcome.name, outcome]));
  const rows = chosen.map(({ name, shows }) => {
    const { verdict = 'fail', reason = 'not run', ms = 0 } = byName.get(name) ?? {};
    const text = reason.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').slice(0, 300);
    const seconds = verdict === 'cannot' ? '' : (ms / 1000).toFixed(1);
    return `| ${name} | ${shows} | ${verdict} | ${seconds} | ${text} |`;
  });
  const count = (verdict: Outcome['verdict']): number =>
    outcomes.filter((outcome) => outcome.verdict === verdict).length;
  return [
    `${subject}: ${count('pass')} passed, ${count('fail')} failed, ${count('cannot')} cannot work here`,
    '',
    '| scenario | shows | verdict | s | why |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
    ...remarks.map((remark) => `- ${remark}`),
    '',
  ].join('\n');
}
