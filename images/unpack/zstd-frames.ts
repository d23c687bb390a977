/**
 * Finds where the frames of a zstd stream begin and end (RFC 8878, section 3), without decompressing. Node's decompressor
 * stops after one frame; layers made for lazy pulling have one frame per file and unreadable ones between.
 */
import { badLayer } from './tar-header.ts';

const frameMagic = 0xfd2fb528;
const blockHeaderBytes = 3;

export interface FrameSink {
  /** A frame begins; `contentBytes` is its decompressed size where it says so. */
  begin(contentBytes: number | undefined): void;
  /** The next bytes of the frame, its header included. */
  bytes(chunk: Buffer): void;
  end(): void;
}

type Step =
  | 'magic'
  | 'skippableSize'
  | 'skippable'
  | 'descriptor'
  | 'headerRest'
  | 'blockHeader'
  | 'block'
  | 'checksum';

/** Feeds the frames of a stream to a sink; skippable frames are passed over. */
export class ZstdFrameSplitter {
  readonly #sink: FrameSink;
  #step: Step = 'magic';
  /** Bytes of the current field, while it is incomplete. */
  #field = Buffer.alloc(0);
  #needed = 4;
  /** Bytes left of a part that is passed through without a look. */
  #through = 0;
  #isLastBlock = false;
  #descriptor = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#step === 'block' || this.#step === 'skippable') {
        const taken = Math.min(this.#through, chunk.length - at);
        if (this.#step === 'block') this.#sink.bytes(chunk.subarray(at, at + taken));
        this.#through -= taken;
        at += taken;
        if (this.#through === 0) this.#afterThrough();
        continue;
      }
      const taken = Math.min(this.#needed - this.#field.length, chunk.length - at);
      this.#field = Buffer.concat([this.#field, chunk.subarray(at, at + taken)]);
      at += taken;
      if (this.#field.length < this.#needed) return;
      const field = this.#field;
      this.#field = Buffer.alloc(0);
      this.#takeField(field);
    }
  }

  /** Says that no more bytes come. Throws Unknown in the middle of a frame. */
  end(): void {
    if (this.#step !== 'magic' || this.#field.length > 0) throw badLayer('its zstd stream is cut off');
  }

  #expect(step: Step, needed: number): void {
    this.#step = step;
    this.#needed = needed;
  }

  #afterThrough(): void {
    if (this.#step === 'skippable') this.#expect('magic', 4);
    else if (!this.#isLastBlock) this.#expect('blockHeader', blockHeaderBytes);
    else if ((this.#descriptor & 4) !== 0) this.#expect('checksum', 4);
    else this.#endFrame();
  }

  #endFrame(): void {
    this.#expect('magic', 4);
    this.#sink.end();
  }

  #takeField(field: Buffer): void {
    switch (this.#step) {
      case 'magic': {
        const magic = field.readUInt32LE(0);
        if (magic === frameMagic) this.#expect('descriptor', 1);
        else if (magic >>> 4 === 0x184d2a5) this.#expect('skippableSize', 4);
        else throw badLayer('its zstd stream is damaged');
        return;
      }
      case 'skippableSize':
        this.#through = field.readUInt32LE(0);
        this.#step = 'skippable';
        if (this.#through === 0) this.#afterThrough();
        return;
      case 'descriptor': {
        this.#descriptor = field[0]!;
        const isSingle = (this.#descriptor & 0x20) !== 0;
        const dictionaryBytes = [0, 1, 2, 4][this.#descriptor & 3]!;
        const rest = (isSingle ? 0 : 1) + dictionaryBytes + this.#contentSizeBytes();
        if (rest === 0) this.#takeFrameHeader(field);
        else this.#expect('headerRest', rest);
        return;
      }
      case 'headerRest':
        this.#takeFrameHeader(Buffer.concat([Buffer.from([this.#descriptor]), field]));
        return;
      case 'blockHeader': {
        this.#sink.bytes(field);
        const header = field.readUIntLE(0, 3);
        this.#isLastBlock = (header & 1) !== 0;
        const isRepeated = ((header >> 1) & 3) === 1;
        this.#through = isRepeated ? 1 : header >> 3;
        this.#step = 'block';
        if (this.#through === 0) this.#afterThrough();
        return;
      }
      default:
        this.#sink.bytes(field);
        this.#endFrame();
    }
  }

  #contentSizeBytes(): number {
    const isSingle = (this.#descriptor & 0x20) !== 0;
    return [isSingle ? 1 : 0, 2, 4, 8][this.#descriptor >> 6]!;
  }

  #takeFrameHeader(header: Buffer): void {
    const size = this.#contentSizeBytes();
    const at = header.length - size;
    let contentBytes: number | undefined;
    if (size === 1) contentBytes = header[at]!;
    else if (size === 2) contentBytes = header.readUInt16LE(at) + 256;
    else if (size === 4) contentBytes = header.readUInt32LE(at);
    else if (size === 8) contentBytes = Number(header.readBigUInt64LE(at));
    this.#sink.begin(contentBytes);
    const magic = Buffer.alloc(4);
    magic.writeUInt32LE(frameMagic, 0);
    this.#sink.bytes(Buffer.concat([magic, header]));
    this.#expect('blockHeader', blockHeaderBytes);
  }
}
