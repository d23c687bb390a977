/**
 * Tar headers of every dialect that image layers come in: V7, ustar, GNU and PAX (pax(1), GNU tar manual, "Tar Internals").
 * Names are kept as latin1 strings, one character per byte: nothing says that they are UTF-8.
 */

import { RuntimeError } from '#base/errors.ts';
import type { FileTime } from '#host/file-metadata.ts';

export const blockBytes = 512;

export type EntryType = 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo';

/** A stretch of a sparse file that has data. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
}

/** One thing to make in the layer. Strings are bytes as latin1. */
export interface TarEntry {
  readonly name: string;
  readonly type: EntryType;
  readonly linkName: string;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the file as it will be, holes included. */
  readonly sizeBytes: number;
  readonly modified: FileTime;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

/** A header block before what extended headers say about it. */
export interface RawHeader {
  readonly name: string;
  readonly typeFlag: string;
  readonly linkName: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of data that follow in the archive. */
  readonly sizeBytes: number;
  readonly modified: FileTime;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Where an old GNU sparse map begins. */
  readonly block: Buffer;
}

/** The error for an archive that is damaged or made to harm. */
export function badLayer(why: string): RuntimeError {
  return new RuntimeError('Unknown', `layer refused: ${why}`);
}

/** A name as it may be shown in a message. */
export function shown(name: string): string {
  const text = Buffer.from(name, 'latin1').toString('utf8');
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
}

/** The bytes of a field up to its first zero. */
export function textField(block: Buffer, start: number, length: number): string {
  const zero = block.indexOf(0, start);
  return block.toString('latin1', start, zero >= start && zero < start + length ? zero : start + length);
}

/** A number in octal digits, or in base 256 where its first bit is set (GNU; negative ones too). */
export function numberField(block: Buffer, start: number, length: number, what: string): number {
  const first = block[start]!;
  if ((first & 0x80) === 0) {
    const text = textField(block, start, length).trim();
    if (text === '') return 0;
    if (!/^[0-7]+$/.test(text)) throw badLayer(`${what} ${shown(text)} in a tar header is no octal number`);
    return safe(Number.parseInt(text, 8), what);
  }
  const isNegative = (first & 0x40) !== 0;
  let value = BigInt(isNegative ? first | ~0xff : first & 0x7f);
  for (let at = start + 1; at < start + length; at += 1) value = (value << 8n) | BigInt(block[at]!);
  return safe(Number(value), what);
}

function safe(value: number, what: string): number {
  if (!Number.isSafeInteger(value)) throw badLayer(`${what} in a tar header is out of range`);
  return value;
}

/** Whether the checksum fits, as unsigned bytes or, as some old programs wrote it, signed ones. */
function hasChecksum(block: Buffer): boolean {
  let unsigned = 8 * 0x20;
  let signed = 8 * 0x20;
  for (let at = 0; at < blockBytes; at += 1) {
    if (at >= 148 && at < 156) continue;
    const byte = block[at]!;
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const stated = Number.parseInt(textField(block, 148, 8).trim(), 8);
  return stated === unsigned || stated === signed;
}

/** Parses one header block. Throws Unknown for a damaged one. */
export function parseHeader(block: Buffer): RawHeader {
  if (!hasChecksum(block)) throw badLayer('a tar header has a wrong checksum');
  const magic = block.toString('latin1', 257, 265);
  const isUstar = magic.startsWith('ustar\0');
  const isGnu = magic === 'ustar  \0';
  const prefix = isUstar ? textField(block, 345, 155) : '';
  const name = textField(block, 0, 100);
  const hasDevices = isUstar || isGnu;
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    typeFlag: String.fromCharCode(block[156]!),
    linkName: textField(block, 157, 100),
    mode: numberField(block, 100, 8, 'mode') & 0o7777,
    uid: numberField(block, 108, 8, 'owner'),
    gid: numberField(block, 116, 8, 'group'),
    sizeBytes: numberField(block, 124, 12, 'size'),
    modified: { seconds: numberField(block, 136, 12, 'time'), nanoseconds: 0 },
    devMajor: hasDevices ? numberField(block, 329, 8, 'device') : 0,
    devMinor: hasDevices ? numberField(block, 337, 8, 'device') : 0,
    block,
  };
}

/** Parses the records of a PAX extended header: values as latin1, the last of each key. Sparse maps of format 0.0 repeat their keys and come separately. */
export function parsePax(data: Buffer): { records: Map<string, string>; sparse: Segment[] } {
  const records = new Map<string, string>();
  const sparse: Segment[] = [];
  let pendingOffset: number | undefined;
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const digits = space < 0 ? '' : data.toString('latin1', at, space);
    const length = /^[1-9]\d{0,9}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = data.indexOf(0x3d, space);
    if (length === 0 || end > data.length || data[end - 1] !== 0x0a || equals < 0 || equals >= end)
      throw badLayer('a PAX header is malformed');
    const key = data.toString('latin1', space + 1, equals);
    const value = data.toString('latin1', equals + 1, end - 1);
    if (key === 'GNU.sparse.offset') pendingOffset = decimal(value, key);
    else if (key === 'GNU.sparse.numbytes') {
      if (pendingOffset === undefined) throw badLayer('a sparse map is malformed');
      sparse.push({ offset: pendingOffset, length: decimal(value, key) });
      pendingOffset = undefined;
    } else if (value === '') records.delete(key);
    else records.set(key, value);
    at = end;
  }
  return { records, sparse };
}

/** A decimal number that is no fraction. Throws Unknown. */
export function decimal(text: string, what: string): number {
  if (!/^\d{1,16}$/.test(text)) throw badLayer(`${what} ${shown(text)} is no number`);
  return safe(Number(text), what);
}

/** A PAX time: decimal seconds, with a sign and a fraction or not. */
export function paxTime(text: string): FileTime {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (!match) throw badLayer(`time ${shown(text)} is no number`);
  const [, sign, whole, fraction = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign !== '-') return { seconds, nanoseconds };
  // One and a half seconds before the epoch is half a second after second -2.
  return nanoseconds === 0
    ? { seconds: seconds === 0 ? 0 : -seconds, nanoseconds: 0 }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}
