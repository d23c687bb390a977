/** The two forms in which a CDI specification is written. */

/**
 * A JSON or YAML text as plain data. In YAML every scalar but null stays text: a device may be called `0`, `on` or `0:1`,
 * which YAML would read as a number, a truth value or minutes. Throws an Error that says where the text is wrong.
 */
export async function readTextForm(text: string, extension: string): Promise<unknown> {
  if (extension === '.json') return JSON.parse(text);
  // Some 14 MB once loaded, so only where there are such files.
  const yaml = await import('yaml');
  return yaml.parse(text, { schema: 'failsafe', customTags: ['null'], merge: true, logLevel: 'error' });
}
