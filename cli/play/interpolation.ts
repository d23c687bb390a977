/** `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `${NAME:+other}` and `$$` in the values of a Compose file. */
import { isRecord } from './shape.ts';
import type { Path } from './source.ts';

const pattern = /\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?+])((?:[^{}]|\{[^{}]*\})*))?\}|(.?))/gs;

export function interpolate(
  value: unknown,
  environment: Readonly<Record<string, string | undefined>>,
  problem: (path: Path, message: string) => void,
  path: Path = [],
): unknown {
  if (typeof value === 'string') return expand(value, environment, (message) => problem(path, message));
  if (Array.isArray(value))
    return value.map((entry, at) => interpolate(entry, environment, problem, [...path, at]));
  if (isRecord(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [
        key,
        interpolate(entry, environment, problem, [...path, key]),
      ]),
    );
  return value;
}

function expand(
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
  problem: (message: string) => void,
): string {
  return text.replace(pattern, (whole, dollar, plain, braced, operator, operand = '') => {
    if (dollar !== undefined) return '$';
    const name: string | undefined = plain ?? braced;
    if (name === undefined) {
      problem(`${JSON.stringify(whole)} is no variable; $$ is a dollar`);
      return '';
    }
    const found = environment[name];
    const isThere = found !== undefined && !(operator?.startsWith(':') === true && found === '');
    const kind = operator?.at(-1);
    if (kind === '+') return isThere ? expand(operand, environment, problem) : '';
    if (isThere) return found!;
    if (kind === '-') return expand(operand, environment, problem);
    if (kind === '?') problem(`${name} is not set: ${operand || 'it is needed'}`);
    return '';
  });
}
