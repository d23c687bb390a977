/**
 * How far a pull or push has come: on a terminal a bar for each layer, with rate and time left, drawn over itself; elsewhere a
 * plain line when a layer is done.
 */
import { CommandError } from './command.ts';
import type { Output } from './output.ts';
import { formatDuration, formatSize } from './quantity.ts';

export interface ShownLayer {
  readonly digest: string;
  readonly size_bytes: bigint;
  readonly done_bytes: bigint;
  readonly state: string;
}

export interface ShownResult {
  readonly reference: string;
  readonly image_id: string;
  readonly digest: string;
  readonly size_bytes: bigint;
  readonly layers_remade: number;
}

const barWidth = 24;
/** More layers than this are summed up, so that what is drawn fits a screen. */
const mostRows = 20;
/** Rates are of the last while. */
const rateWindowMs = 5000;

const stateWords: Readonly<Record<string, string>> = {
  waiting: 'waiting',
  done: 'done',
  present: 'there already',
  mounted: 'taken over',
  making: 'packing',
  unpacking: 'being verified and unpacked',
};

/** The bytes done over time of one layer, for its rate. */
class Pace {
  #seen: { atMs: number; bytes: number }[] = [];

  note(bytes: number, nowMs: number): void {
    this.#seen.push({ atMs: nowMs, bytes });
    while (this.#seen.length > 2 && this.#seen[0]!.atMs < nowMs - rateWindowMs) this.#seen.shift();
  }

  /** Bytes in a second; undefined as long as it cannot be told. */
  get bytesPerSecond(): number | undefined {
    const [first] = this.#seen;
    const last = this.#seen.at(-1);
    if (!first || !last || last.atMs - first.atMs < 200) return undefined;
    return Math.max(0, ((last.bytes - first.bytes) * 1000) / (last.atMs - first.atMs));
  }
}

/** One line for one layer. Pure. */
export function layerLine(
  { digest, size_bytes, done_bytes, state }: ShownLayer,
  bytesPerSecond: number | undefined,
  width: number,
): string {
  const name = (digest.replace(/^[^:]*:/, '').slice(0, 12) || 'new layer').padEnd(12);
  const size = Number(size_bytes);
  const done = Math.min(Number(done_bytes), size);
  const word = stateWords[state];
  if (word !== undefined) return cut(`${name}  ${word}${size > 0 ? ` (${formatSize(size)})` : ''}`, width);
  const filled = size === 0 ? barWidth : Math.floor((done / size) * barWidth);
  const bar = `[${'='.repeat(Math.max(0, filled - 1))}${filled > 0 ? '>' : ''}${' '.repeat(barWidth - filled)}]`;
  const percent = `${size === 0 ? 100 : Math.floor((done / size) * 100)}%`.padStart(4);
  const rate = bytesPerSecond === undefined ? '' : `  ${formatSize(bytesPerSecond)}/s`;
  const left =
    bytesPerSecond === undefined || bytesPerSecond < 1
      ? ''
      : `  ${formatDuration(((size - done) / bytesPerSecond) * 1000)} left`;
  return cut(`${name} ${bar} ${percent}  ${formatSize(done)}/${formatSize(size)}${rate}${left}`, width);
}

function cut(line: string, width: number): string {
  return line.length > width ? line.slice(0, Math.max(0, width)) : line;
}

export class TransferDisplay {
  readonly #output: Output;
  readonly #isQuiet: boolean;
  readonly #paces = new Map<number, Pace>();
  readonly #told = new Set<number>();
  #drawnLines = 0;

  constructor(output: Output, isQuiet: boolean) {
    this.#output = output;
    this.#isQuiet = isQuiet;
  }

  show(layers: readonly ShownLayer[], nowMs = performance.now()): void {
    if (this.#isQuiet || layers.length === 0) return;
    if (this.#output.isErrorTerminal) this.#draw(layers, nowMs);
    else this.#tell(layers);
  }

  #tell(layers: readonly ShownLayer[]): void {
    for (const [index, layer] of layers.entries()) {
      if (!['done', 'present', 'mounted'].includes(layer.state) || this.#told.has(index)) continue;
      this.#told.add(index);
      this.#output.note(layerLine(layer, undefined, 200));
    }
  }

  #draw(layers: readonly ShownLayer[], nowMs: number): void {
    const width = (process.stderr.columns || 80) - 1;
    const rows = layers.map((layer, index) => {
      const pace = this.#paces.get(index) ?? new Pace();
      this.#paces.set(index, pace);
      if (layer.state === 'transferring') pace.note(Number(layer.done_bytes), nowMs);
      return { layer, rate: pace.bytesPerSecond };
    });
    const ended = rows.filter(({ layer }) => ['done', 'present', 'mounted'].includes(layer.state));
    const most = Math.min(mostRows, Math.max(3, (process.stderr.rows || 24) - 3));
    const shown = rows.length <= most ? rows : rows.filter((row) => !ended.includes(row)).slice(0, most - 1);
    const lines = shown.map(({ layer, rate }) => layerLine(layer, rate, width));
    if (shown.length < rows.length) lines.push(cut(`${ended.length} of ${rows.length} layers done`, width));
    this.clear();
    this.#output.stderr.write(lines.map((line) => `${line}\n`).join(''));
    this.#drawnLines = lines.length;
  }

  /** Takes what was drawn away. */
  clear(): void {
    if (this.#drawnLines > 0) this.#output.stderr.write(`\u001b[${this.#drawnLines}A\u001b[J`);
    this.#drawnLines = 0;
  }
}

interface Message {
  readonly layers: readonly ShownLayer[];
  readonly result: ShownResult | undefined;
}

/** Shows a transfer until its result comes. Throws what the stream throws. */
export async function showTransfer(
  messages: AsyncIterable<Message>,
  output: Output,
  isQuiet: boolean,
): Promise<ShownResult> {
  const display = new TransferDisplay(output, isQuiet);
  for await (const { layers, result } of messages) {
    display.show(layers);
    if (result !== undefined) return result;
  }
  throw new CommandError('the daemon ended the transfer without a word');
}
