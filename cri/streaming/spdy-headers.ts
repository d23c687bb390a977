import { ProtocolError } from './protocol-error.ts';
import { adler32, Inflater } from './spdy-inflate.ts';

/**
 * SPDY/3.1 name/value header blocks (section 2.6.10 of the protocol draft): u32 count, then per header a u32 length and
 * the lower-case name, a u32 length and the value, where a value may be a NUL-joined list. The blocks of one direction
 * of a connection share one zlib context with a preset dictionary.
 */

/** The first value of each header by its lower-case name. */
export type SpdyHeaders = ReadonlyMap<string, string>;

const maxHeaders = 256;
const maxBlockBytes = 64 * 1024;

const dictionaryWords =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow ' +
  'authorization cache-control connection content-base content-encoding content-language content-length ' +
  'content-location content-md5 content-range content-type date etag expect expires from host if-match ' +
  'if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma ' +
  'proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade ' +
  'user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie ' +
  'keep-alive origin';
const dictionaryTail =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized' +
  '403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable' +
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,' +
  'text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.';

function buildDictionary(): Buffer {
  const parts: Buffer[] = [];
  for (const word of dictionaryWords.split(' ')) {
    const bytes = Buffer.from(word.replace('_', ' '));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat([...parts, Buffer.from(dictionaryTail)]);
}

/** The preset dictionary of SPDY/3 header compression: 1,423 bytes, Adler-32 0xe3c6a7c2. */
export const spdyDictionary: Buffer = buildDictionary();

/** Decodes the header blocks of one direction, in the order they arrive. */
export class SpdyHeaderDecoder {
  readonly #inflater = new Inflater(spdyDictionary);

  /**
   * Headers of one compressed block. Throws ProtocolError for a malformed, oversized (64 KiB, 256 headers) block and
   * for upper-case or repeated names.
   */
  decode(compressed: Uint8Array): SpdyHeaders {
    const plain = this.#inflater.block(compressed, maxBlockBytes);
    const view = Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
    let at = 0;
    const readLength = (): number => {
      if (view.length - at < 4) throw new ProtocolError('header block: cut short');
      const value = view.readUInt32BE(at);
      at += 4;
      return value;
    };
    const readText = (): string => {
      const length = readLength();
      if (length > view.length - at) throw new ProtocolError('header block: cut short');
      at += length;
      return view.toString('latin1', at - length, at);
    };
    const count = readLength();
    if (count > maxHeaders) throw new ProtocolError(`header block: ${count} headers`);
    const headers = new Map<string, string>();
    for (let i = 0; i < count; i++) {
      const name = readText();
      const value = readText();
      if (name === '' || name !== name.toLowerCase())
        throw new ProtocolError('header block: bad header name');
      if (headers.has(name)) throw new ProtocolError('header block: repeated header name');
      headers.set(name, value.split('\0', 1)[0]!);
    }
    if (at !== view.length) throw new ProtocolError('header block: bytes after the last header');
    return headers;
  }
}

/**
 * Encodes the header blocks of one direction as stored deflate blocks: nearly all of ours are empty, so compressing
 * would cost a native context per connection and save nothing. Any inflater reads them.
 */
export class SpdyHeaderEncoder {
  #headerSent = false;

  /** One block, flushed. Throws RangeError above 65,535 plain bytes. */
  encode(headers: Iterable<readonly [name: string, value: string]>): Buffer {
    const fields: Buffer[] = [];
    let count = 0;
    for (const [name, value] of headers) {
      for (const text of [name.toLowerCase(), value]) {
        const bytes = Buffer.from(text, 'latin1');
        const length = Buffer.alloc(4);
        length.writeUInt32BE(bytes.length);
        fields.push(length, bytes);
      }
      count++;
    }
    const plainCount = Buffer.alloc(4);
    plainCount.writeUInt32BE(count);
    const plain = Buffer.concat([plainCount, ...fields]);
    if (plain.length > 0xffff) throw new RangeError(`header block of ${plain.length} bytes`);
    const stored = Buffer.alloc(5);
    stored.writeUInt16LE(plain.length, 1);
    stored.writeUInt16LE(~plain.length & 0xffff, 3);
    // The empty stored block is the sync flush: some inflaters hand the data out only when they meet it.
    const flush = Buffer.from([0, 0, 0, 0xff, 0xff]);
    return Buffer.concat([...(this.#headerSent ? [] : [this.#zlibHeader()]), stored, plain, flush]);
  }

  #zlibHeader(): Buffer {
    this.#headerSent = true;
    const header = Buffer.alloc(6);
    header[0] = 0x78;
    header[1] = 0x20; // FDICT, lowest level
    header[1] += 31 - (header.readUInt16BE(0) % 31);
    header.writeUInt32BE(adler32(spdyDictionary), 2);
    return header;
  }
}
