/**
 * Changed archives for the tar parser, and some of them unpacked by the whole pipeline of layers. Nothing is written outside of the
 * folder that a layer is unpacked into, whatever its names and links say.
 */
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isRuntimeError } from '#base/errors.ts';
import { digestOf } from '#images/digest.ts';
import { type TestEntry, tarEntry } from '#images/testing/tar-writer.ts';
import { LayerPipeline } from '#images/unpack/layer-pipeline.ts';
import type { TarEntry } from '#images/unpack/tar-header.ts';
import { TarParser } from '#images/unpack/tar-parser.ts';
import { cpuMs } from './measure.ts';
import { mutateBytes, mutateText } from './mutate.ts';
import { Random } from './random.ts';
import type { Report } from './report.ts';

/** Every so many archives, one is unpacked. */
const unpackEvery = 8;
const slowestMs = 5000;
const limits = { layerBytes: 64 << 20, layerEntries: 5000, freeBytes: 0 };

const names = [
  ...['a', 'b', 'c', 'a/b', 'b/c', 'dir/a', 'dir/b/c', 'd/e/f', 'g', 'h/', 'link/y', 'k'],
  'a',
  'a/b',
  'dir/',
  'dir/file',
  'link',
  'link/x',
  'link/../x',
  '../canary/file',
  '/canary',
  './../../canary/file',
  '.wh.a',
  'dir/.wh..wh..opq',
  '.wh...',
  '.wh./x',
  'out/file',
  'x'.repeat(300),
  'd/'.repeat(2000),
];
const targets = [
  'a',
  '../canary',
  '/',
  '/etc/passwd',
  '../../canary/file',
  'link',
  '.',
  '/proc/self/root',
  '',
];
const flags = '01234567SgxKLDVNZ\0 ~';
const paxKeys = [
  'path',
  'linkpath',
  'size',
  'uid',
  'gid',
  'mtime',
  'SCHILY.xattr.security.capability',
  'SCHILY.xattr.trusted.overlay.redirect',
  'SCHILY.xattr.trusted.overlay.metacopy',
  'SCHILY.xattr.user.a',
  'GNU.sparse.major',
  'GNU.sparse.minor',
  'GNU.sparse.name',
  'GNU.sparse.realsize',
  'GNU.sparse.size',
  'GNU.sparse.map',
  'GNU.sparse.offset',
  'GNU.sparse.numbytes',
];

function makeEntry(random: Random): TestEntry {
  const name = random.chance(0.97) ? random.pick(names) : mutateText(random, random.pick(names));
  const pax: [string, string][] = Array.from(
    { length: random.chance(0.12) ? 1 + random.below(3) : 0 },
    () => [
      random.chance(0.95) ? random.pick(paxKeys) : mutateText(random, 'key'),
      random.chance(0.5)
        ? random.pick(['0', '1', '10', '512', '0,5,20,5', '9007199254740991', ...targets])
        : mutateText(random, '1'),
    ],
  );
  const type = random.pick([
    'file',
    'file',
    'directory',
    'symlink',
    'hardlink',
    'char',
    'block',
    'fifo',
  ] as const);
  return {
    name,
    ...(random.chance(0.97) ? { type } : { typeFlag: random.pick([...flags]) }),
    // Only files have content: after that of others everything would be out of step.
    content: type === 'file' || random.chance(0.02) ? random.bytes(random.below(1500)) : '',
    link: random.pick(targets),
    mode: random.below(0o10000),
    uid: random.chance(0.97)
      ? random.pick([0, 1000, 2 ** 31])
      : random.pick([2 ** 32 - 1, 2 ** 32, 2 ** 40, -1]),
    major: random.below(3),
    minor: random.below(3),
    ...(pax.length > 0 && { pax }),
    isGnuLong: random.chance(0.1),
    ...(random.chance(0.02) && { claimedSize: random.pick([0, 1, 511, 512, 2 ** 33, 2 ** 53, -1]) }),
    ...(random.chance(0.05) && {
      // The checksum is made after this: the parser cannot stop at it.
      patch: (header: Buffer) => mutateBytes(random, header).copy(header),
    }),
  };
}

/** An archive that some tar could have made, but for some of its parts. */
export function makeArchive(random: Random): Buffer {
  const entries = Array.from({ length: 1 + random.below(8) }, () => makeEntry(random));
  const archive = Buffer.concat([...entries.map(tarEntry), Buffer.alloc(random.chance(0.9) ? 1024 : 512)]);
  return random.chance(0.2) ? mutateBytes(random, archive) : archive;
}

/** Holds the parser to what it promises its sink. */
class Checker {
  #entry: TarEntry | undefined;
  #end = 0;

  begin(entry: TarEntry): void {
    if (this.#entry) throw new Error(`broken promise: ${entry.name} begins inside ${this.#entry.name}`);
    if (entry.name.includes('\0') || entry.sizeBytes < 0 || !Number.isSafeInteger(entry.sizeBytes))
      throw new Error(`broken promise: entry ${JSON.stringify(entry)}`);
    this.#entry = entry;
    this.#end = 0;
  }

  data(chunk: Buffer, position: number): void {
    if (!this.#entry || position < this.#end || position + chunk.length > this.#entry.sizeBytes)
      throw new Error(`broken promise: ${chunk.length} bytes at ${position} of ${this.#entry?.sizeBytes}`);
    this.#end = position + chunk.length;
  }

  end(): void {
    if (!this.#entry) throw new Error('broken promise: an end without a begin');
    this.#entry = undefined;
  }
}

function parse(random: Random, archive: Buffer): void {
  const parser = new TarParser(new Checker());
  for (let at = 0; at < archive.length; ) {
    const length = random.chance(0.5) ? archive.length : 1 + random.below(700);
    parser.write(archive.subarray(at, at + length));
    at += length;
  }
  parser.end();
}

/** What stands beside the folder that layers are unpacked into. */
function look(root: string): string {
  const canary = join(root, 'canary');
  const stat = lstatSync(join(canary, 'file'));
  return JSON.stringify([
    readdirSync(root).toSorted(),
    readdirSync(canary),
    readFileSync(join(canary, 'file'), 'utf8'),
    [stat.mode, stat.uid, stat.nlink, stat.mtimeMs],
  ]);
}

async function unpack(random: Random, archive: Buffer, directory: string): Promise<void> {
  const packed = random.pick([gzipSync, zstdCompressSync, (plain: Buffer) => plain])(archive);
  const blob = random.chance(0.2) ? mutateBytes(random, packed) : packed;
  const pipeline = new LayerPipeline(directory, { blob: digestOf(blob), diffId: digestOf(archive) }, limits);
  try {
    for (let at = 0; at < blob.length; at += 4096) await pipeline.write(blob.subarray(at, at + 4096));
    const { tree } = await pipeline.finish();
    if (isRuntimeError(tree)) throw tree;
  } finally {
    pipeline.abandon();
  }
}

export async function fuzzArchives(
  seed: number,
  count: number,
  report: Report,
  only?: number,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'fuzz-layers-'));
  const directory = join(root, 'layer');
  mkdirSync(join(root, 'canary'));
  writeFileSync(join(root, 'canary', 'file'), 'alive');
  mkdirSync(directory, { mode: 0o700 });
  const before = look(root);
  let refused = 0;
  let unpacked = 0;
  try {
    for (let index = only ?? 0; index < (only === undefined ? count : only + 1); index += 1) {
      const random = new Random(seed, 'archives', index);
      const archive = makeArchive(random);
      const started = process.cpuUsage();
      const judge = (error: unknown) => {
        refused += 1;
        const isTyped = isRuntimeError(error, 'Unknown') || isRuntimeError(error, 'ResourceExhausted');
        const cause = isRuntimeError(error) ? error.cause : undefined;
        if (!isTyped || cause instanceof TypeError || cause instanceof RangeError)
          report.finding(
            `archives case ${index}: ${error instanceof Error ? (error.stack ?? '').slice(0, 400) : error} ${String(cause ?? '')}`,
            archive,
          );
      };
      try {
        parse(random, archive);
      } catch (error) {
        judge(error);
      }
      if (index % unpackEvery === 0) {
        unpacked += 1;
        await unpack(random, archive, directory).catch(judge);
        if (look(root) !== before)
          report.finding(`archives case ${index}: something outside changed`, archive);
        rmSync(directory, { recursive: true, force: true });
        mkdirSync(directory, { mode: 0o700 });
      }
      const ms = cpuMs(started);
      if (ms > slowestMs) report.finding(`archives case ${index}: took ${Math.round(ms)} ms`, archive);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  const made = only === undefined ? count : 1;
  report.note(`archives: ${made} inputs, ${unpacked} of them unpacked, ${refused} refusals`);
  report.count('archives', made);
}
