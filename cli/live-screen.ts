/** A picture on the terminal that is drawn again and again, with keys that change it, until q or a signal. */

const alternateScreen = '\u001b[?1049h\u001b[?25l';
const normalScreen = '\u001b[?25h\u001b[?1049l';

export interface LiveOptions {
  readonly intervalMs: number;
  /** The lines to show; at most `rows` of them are. */
  readonly draw: (size: { readonly rows: number; readonly columns: number }) => Promise<readonly string[]>;
  /** Told of a key other than q and ctrl-c; what it changes is drawn at once. */
  readonly onKey: (key: string) => void;
  readonly signal: AbortSignal;
}

/** Resolves when the user leaves; rejects with what `draw` throws. The terminal is as before either way. */
export async function showLive({ intervalMs, draw, onKey, signal }: LiveOptions): Promise<void> {
  const { stdin, stdout } = process;
  let wake = Promise.withResolvers<void>();
  let isLeaving = false;
  const leave = (): void => {
    isLeaving = true;
    wake.resolve();
  };
  const onData = (typed: Buffer): void => {
    for (const key of typed.toString('latin1')) {
      if (key === 'q' || key === '\u0003') leave();
      else onKey(key);
    }
    wake.resolve();
  };
  const redraw = (): void => wake.resolve();
  signal.addEventListener('abort', leave, { once: true });
  const hasKeys = stdin.isTTY;
  if (hasKeys) {
    stdin.setRawMode(true);
    stdin.on('data', onData);
  }
  stdout.on('resize', redraw);
  stdout.write(alternateScreen);
  try {
    while (!isLeaving) {
      wake = Promise.withResolvers<void>();
      const size = { rows: stdout.rows || 24, columns: stdout.columns || 80 };
      const lines = (await draw(size)).slice(0, size.rows);
      stdout.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\r\n')}\u001b[J`);
      const timer = setTimeout(redraw, intervalMs);
      await wake.promise;
      clearTimeout(timer);
    }
  } finally {
    stdout.write(normalScreen);
    stdout.off('resize', redraw);
    signal.removeEventListener('abort', leave);
    if (hasKeys) {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
    }
  }
}
