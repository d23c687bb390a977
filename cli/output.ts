/** What goes to the user: results on standard output, all else on standard error; colours only where a person looks. */
import type { Writable } from 'node:stream';

export type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

const codes: Readonly<Record<Colour, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  value(row: Row): string;
}

interface Sink extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface OutputOptions {
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** Colours where it is a terminal; false never. */
  readonly mayColour: boolean;
}

export class Output {
  readonly #options: OutputOptions;

  constructor(options: OutputOptions) {
    this.#options = options;
  }

  get stdout(): Writable {
    return this.#options.stdout;
  }

  get stderr(): Writable {
    return this.#options.stderr;
  }

  /** Whether results go to a terminal. */
  get isTerminal(): boolean {
    return this.#options.stdout.isTTY === true;
  }

  /** Whether messages go to a terminal, where progress can be drawn. */
  get isErrorTerminal(): boolean {
    return this.#options.stderr.isTTY === true;
  }

  get width(): number {
    return this.#options.stdout.columns || 80;
  }

  /** Results. */
  line(text = ''): void {
    this.#options.stdout.write(`${text}\n`);
  }

  write(text: string | Uint8Array): void {
    this.#options.stdout.write(text);
  }

  /** What is not a result: progress, warnings, errors. */
  note(text: string): void {
    this.#options.stderr.write(`${text}\n`);
  }

  warn(text: string): void {
    this.note(`${this.paintError('warning:', 'yellow')} ${text}`);
  }

  /** One JSON document, indented for people. */
  json(value: unknown): void {
    this.line(JSON.stringify(value, jsonValue, 2));
  }

  /** One JSON document on one line, for streams. */
  jsonLine(value: unknown): void {
    this.line(JSON.stringify(value, jsonValue));
  }

  /** Coloured if results go to a terminal. */
  paint(text: string, colour: Colour): string {
    return this.#options.mayColour && this.isTerminal ? paint(text, colour) : text;
  }

  /** Coloured if messages go to a terminal. */
  paintError(text: string, colour: Colour): string {
    return this.#options.mayColour && this.isErrorTerminal ? paint(text, colour) : text;
  }

  /** Columns under titles, three blanks apart. */
  table<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): void {
    for (const line of tableLines(rows, columns)) this.line(line);
  }
}

function paint(text: string, colour: Colour): string {
  const [on, off] = codes[colour];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/** 64-bit numbers become numbers where they are exact, else text. */
function jsonValue(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

/** The lines of a table; cells may be coloured. */
export function tableLines<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map((column) => column.value(row))),
  ];
  const widths = columns.map((_, at) => Math.max(...cells.map((line) => visibleWidth(line[at]!))));
  return cells.map((line) =>
    line
      .map((cell, at) => {
        const blanks = ' '.repeat(widths[at]! - visibleWidth(cell));
        return columns[at]!.align === 'right' ? blanks + cell : cell + blanks;
      })
      .join('   ')
      .trimEnd(),
  );
}

function visibleWidth(text: string): number {
  return text.replaceAll(/\u001b\[[0-9;]*m/g, '').length;
}
