/** Columns and rows of a terminal, each 0 to 65,535. */
export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

const maxPendingBytes = 1024;

/**
 * Decodes the resize channel: JSON objects `{"Width":80,"Height":24}`, with or without newlines between them, in pieces
 * that may end anywhere. The first thing that is none ends the channel for good (the session goes on with the last size),
 * as the peers do.
 */
export class ResizeDecoder {
  #pending = '';
  #broken = false;

  /** The sizes that `chunk` completes, in order; none once the channel has ended. Never throws. */
  push(chunk: Buffer): TerminalSize[] {
    if (this.#broken) return [];
    const sizes: TerminalSize[] = [];
    const pieces = (this.#pending + chunk.toString('latin1')).split('}');
    this.#pending = pieces.pop()!;
    for (const piece of pieces) {
      const size = parseSize(`${piece}}`);
      if (size === undefined) {
        this.#broken = true;
        break;
      }
      sizes.push(size);
    }
    if (this.#pending.length > maxPendingBytes) this.#broken = true;
    if (this.#broken) this.#pending = '';
    return sizes;
  }
}

function parseSize(text: string): TerminalSize | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Malformed: the caller ends the channel.
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const size = { width: 0, height: 0 };
  for (const [key, member] of Object.entries(value)) {
    // Names match in any case and absent members are zero, as in the Go decoders of the other servers.
    const name = key.toLowerCase();
    if (name !== 'width' && name !== 'height') continue;
    if (!Number.isInteger(member) || member < 0 || member > 0xffff) return undefined;
    size[name] = member;
  }
  return size;
}
