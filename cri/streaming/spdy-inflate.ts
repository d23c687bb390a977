import { ProtocolError } from './protocol-error.ts';

/**
 * A zlib (RFC 1950, 1951) decompressor whose context lives as long as the connection, as SPDY header blocks need it.
 * Node's own inflate is either asynchronous or closes its context after one synchronous call, and a frame decoder
 * needs neither; the blocks are some hundred bytes, so plain code serves. Memory: one window, one bounded output.
 */

const windowSize = 32 * 1024;
const windowMask = windowSize - 1;
const maxCodeBits = 15;

const lengthBase = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
  227, 258,
];
const lengthExtra = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const distanceBase = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
  6145, 8193, 12289, 16385, 24577,
];
const distanceExtra = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
];
const codeLengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/** A canonical Huffman code: how many codes there are of each length, and the symbols in code order. */
interface HuffmanCode {
  readonly counts: Uint16Array;
  readonly symbols: Uint16Array;
}

function huffmanCode(lengths: Uint8Array): HuffmanCode {
  const counts = new Uint16Array(maxCodeBits + 1);
  for (const length of lengths) counts[length]!++;
  // Over-subscribed codes are ambiguous. Incomplete ones are allowed here: an unused code simply never decodes.
  let left = 1;
  for (let bits = 1; bits <= maxCodeBits; bits++) {
    left = left * 2 - counts[bits]!;
    if (left < 0) throw new ProtocolError('header block: over-subscribed Huffman code');
  }
  const offsets = new Uint16Array(maxCodeBits + 2);
  for (let bits = 1; bits <= maxCodeBits; bits++) offsets[bits + 1] = offsets[bits]! + counts[bits]!;
  const symbols = new Uint16Array(lengths.length);
  lengths.forEach((length, symbol) => {
    if (length !== 0) symbols[offsets[length]!++] = symbol;
  });
  counts[0] = 0;
  return { counts, symbols };
}

const fixedLiteral = huffmanCode(
  Uint8Array.from({ length: 288 }, (_, symbol) =>
    symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8,
  ),
);
const fixedDistance = huffmanCode(new Uint8Array(30).fill(5));

/** The Adler-32 checksum (RFC 1950, section 8), by which a zlib stream names its preset dictionary. */
export function adler32(bytes: Uint8Array): number {
  let a = 1;
  let b = 0;
  for (const byte of bytes) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  return ((b << 16) | a) >>> 0;
}

/** One direction's decompression context: feed it the flushed blocks in order. */
export class Inflater {
  readonly #dictionary: Uint8Array;
  readonly #window = new Uint8Array(windowSize);
  #windowAt = 0;
  #windowFill = 0;
  #headerSeen = false;
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #bits = 0;
  #bitCount = 0;
  #output = new Uint8Array(1024);
  #outputFill = 0;
  #outputLimit = 0;

  constructor(dictionary: Uint8Array) {
    this.#dictionary = dictionary;
  }

  /**
   * Decompresses one flushed block (it must end between two deflate blocks, as after a sync flush) to at most
   * `limitBytes`. The result is valid until the next call. Throws ProtocolError for anything malformed or larger;
   * the context is unusable afterwards.
   */
  block(input: Uint8Array, limitBytes: number): Uint8Array {
    this.#input = input;
    this.#at = 0;
    this.#outputFill = 0;
    this.#outputLimit = limitBytes;
    if (!this.#headerSeen) this.#readZlibHeader();
    // A block header takes three bits; fewer are the padding of the last flush.
    while ((this.#input.length - this.#at) * 8 + this.#bitCount >= 3) this.#readDeflateBlock();
    this.#input = new Uint8Array(0);
    return this.#output.subarray(0, this.#outputFill);
  }

  #readZlibHeader(): void {
    const input = this.#input;
    if (input.length < 2) throw new ProtocolError('header block: no zlib header');
    const cmf = input[0]!;
    const flags = input[1]!;
    if ((cmf & 0x0f) !== 8 || cmf >> 4 > 7 || ((cmf << 8) | flags) % 31 !== 0) {
      throw new ProtocolError('header block: bad zlib header');
    }
    this.#at = 2;
    if ((flags & 0x20) !== 0) {
      if (input.length < 6) throw new ProtocolError('header block: no dictionary id');
      const id = ((input[2]! << 24) | (input[3]! << 16) | (input[4]! << 8) | input[5]!) >>> 0;
      if (id !== adler32(this.#dictionary)) throw new ProtocolError('header block: unknown dictionary');
      this.#at = 6;
      for (const byte of this.#dictionary) this.#remember(byte);
    }
    this.#headerSeen = true;
  }

  #readDeflateBlock(): void {
    const final = this.#take(1);
    const kind = this.#take(2);
    // A header stream never ends before its connection does.
    if (final === 1) throw new ProtocolError('header block: the compressed stream ends');
    if (kind === 0) this.#copyStored();
    else if (kind === 1) this.#decode(fixedLiteral, fixedDistance);
    else if (kind === 2) this.#decodeDynamic();
    else throw new ProtocolError('header block: bad deflate block type');
  }

  #copyStored(): void {
    // Stored blocks start at a byte boundary; whole bytes still in the bit buffer cannot occur, #take reads no further
    // than it must.
    this.#bits = 0;
    this.#bitCount = 0;
    const input = this.#input;
    if (input.length - this.#at < 4) throw new ProtocolError('header block: stored block cut short');
    const length = input[this.#at]! | (input[this.#at + 1]! << 8);
    const check = input[this.#at + 2]! | (input[this.#at + 3]! << 8);
    if (length !== (~check & 0xffff)) throw new ProtocolError('header block: stored block length');
    this.#at += 4;
    if (input.length - this.#at < length) throw new ProtocolError('header block: stored block cut short');
    for (let end = this.#at + length; this.#at < end; this.#at++) this.#emit(input[this.#at]!);
  }

  #decodeDynamic(): void {
    const literals = this.#take(5) + 257;
    const distances = this.#take(5) + 1;
    const codes = this.#take(4) + 4;
    if (literals > 286 || distances > 30) throw new ProtocolError('header block: too many Huffman symbols');
    const codeLengths = new Uint8Array(19);
    for (let i = 0; i < codes; i++) codeLengths[codeLengthOrder[i]!] = this.#take(3);
    const lengthCode = huffmanCode(codeLengths);
    const lengths = new Uint8Array(literals + distances);
    for (let i = 0; i < lengths.length; ) {
      const symbol = this.#symbol(lengthCode);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      if (symbol === 16 && i === 0) throw new ProtocolError('header block: repeat without a first length');
      const value = symbol === 16 ? lengths[i - 1]! : 0;
      const times =
        symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (i + times > lengths.length) throw new ProtocolError('header block: too many code lengths');
      lengths.fill(value, i, i + times);
      i += times;
    }
    this.#decode(huffmanCode(lengths.subarray(0, literals)), huffmanCode(lengths.subarray(literals)));
  }

  #decode(literal: HuffmanCode, distance: HuffmanCode): void {
    for (;;) {
      const symbol = this.#symbol(literal);
      if (symbol < 256) {
        this.#emit(symbol);
        continue;
      }
      if (symbol === 256) return;
      const lengthIndex = symbol - 257;
      if (lengthIndex >= lengthBase.length) throw new ProtocolError('header block: bad length symbol');
      const length = lengthBase[lengthIndex]! + this.#take(lengthExtra[lengthIndex]!);
      const distanceIndex = this.#symbol(distance);
      if (distanceIndex >= distanceBase.length) throw new ProtocolError('header block: bad distance symbol');
      const back = distanceBase[distanceIndex]! + this.#take(distanceExtra[distanceIndex]!);
      if (back > this.#windowFill) throw new ProtocolError('header block: distance too far back');
      for (let i = 0; i < length; i++) this.#emit(this.#window[(this.#windowAt - back) & windowMask]!);
    }
  }

  /** Reads `count` bits (at most 13), least significant first. */
  #take(count: number): number {
    while (this.#bitCount < count) {
      if (this.#at >= this.#input.length) throw new ProtocolError('header block: cut short');
      this.#bits |= this.#input[this.#at++]! << this.#bitCount;
      this.#bitCount += 8;
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#bitCount -= count;
    return value;
  }

  #symbol(code: HuffmanCode): number {
    let value = 0;
    let first = 0;
    let index = 0;
    for (let bits = 1; bits <= maxCodeBits; bits++) {
      value |= this.#take(1);
      const count = code.counts[bits]!;
      if (value - first < count) return code.symbols[index + value - first]!;
      index += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    throw new ProtocolError('header block: bad Huffman code');
  }

  #emit(byte: number): void {
    if (this.#outputFill >= this.#outputLimit) {
      throw new ProtocolError(`header block: more than ${this.#outputLimit} bytes`);
    }
    if (this.#outputFill === this.#output.length) {
      const larger = new Uint8Array(this.#output.length * 2);
      larger.set(this.#output);
      this.#output = larger;
    }
    this.#output[this.#outputFill++] = byte;
    this.#remember(byte);
  }

  #remember(byte: number): void {
    this.#window[this.#windowAt] = byte;
    this.#windowAt = (this.#windowAt + 1) & windowMask;
    if (this.#windowFill < windowSize) this.#windowFill++;
  }
}
