/**
 * Images to pull: one layer of about 35 MB compressed (93 MB plain), and ten layers with as much in sum. Their content is
 * made from a seed, so every machine pulls the same bytes; it compresses like program text. Made once, kept in the cache.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir } from '../cache.ts';
import { type Image, type Layer, makeImage, makeLayer } from '../fixtures/image.ts';
import { buildDemoImages } from '../fixtures/store.ts';
import type { TarEntry } from '../fixtures/tar.ts';

export const oneLayerImage = 'bench.example/one-layer:1';
export const tenLayerImage = 'bench.example/ten-layers:1';

const plainBytes = 93_000_000;
const filesPerLayer = { one: 1500, ten: 150 };

/** The images of all loads by name; the workloads' and the pause image, too. */
export async function loadImages(withPullImages: boolean): Promise<Map<string, Image>> {
  const images = new Map(await buildDemoImages());
  if (!withPullImages) return images;
  images.set(oneLayerImage, makeImage({ layers: [largeLayer()], config: {}, format: 'oci' }));
  const ten = Array.from({ length: 10 }, (_, index) => loadLayer('ten', 2 + index, plainBytes / 10));
  images.set(tenLayerImage, makeImage({ layers: ten, config: {}, format: 'oci' }));
  return images;
}

/** The layer of the image of one layer. */
export function largeLayer(): Layer {
  return loadLayer('one', 1, plainBytes);
}

function loadLayer(kind: 'one' | 'ten', seed: number, sizeBytes: number): Layer {
  const recipe = createHash('sha256')
    .update(readFileSync(import.meta.filename))
    .digest('hex')
    .slice(0, 12);
  const path = join(cacheDir('bench', 'layers'), `${kind}-${seed}-${recipe}`);
  if (existsSync(path) && existsSync(`${path}.json`)) {
    const ids = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as { digest: string; diffId: string };
    return { bytes: readFileSync(path), ...ids };
  }
  const layer = makeLayer(makeEntries(seed, sizeBytes, filesPerLayer[kind]));
  writeFileSync(path, layer.bytes);
  writeFileSync(`${path}.json`, JSON.stringify({ digest: layer.digest, diffId: layer.diffId }));
  return layer;
}

/** Files of unequal sizes in folders of fifty. */
function makeEntries(seed: number, sizeBytes: number, files: number): TarEntry[] {
  const random = makeRandom(seed);
  const words = Array.from({ length: 4096 }, () => makeWord(random));
  const weights = Array.from({ length: files }, () => 0.1 + random() ** 4);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const entries: TarEntry[] = [{ path: `layer-${seed}`, type: 'directory' }];
  weights.forEach((weight, index) => {
    const folder = `layer-${seed}/${Math.floor(index / 50)}`;
    if (index % 50 === 0) entries.push({ path: folder, type: 'directory' });
    const content = makeText(random, words, Math.round((weight / sum) * sizeBytes));
    entries.push({ path: `${folder}/file-${index}`, type: 'file', content });
  });
  return entries;
}

/** A linear congruential generator (Numerical Recipes): not random enough for anything but this. */
function makeRandom(seed: number): () => number {
  let state = (seed * 2654435761) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function makeWord(random: () => number): string {
  const length = 2 + Math.floor(random() * 9);
  return Array.from({ length }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join('');
}

/** Words, common ones more often. */
function makeText(random: () => number, words: readonly string[], sizeBytes: number): Buffer {
  const parts: string[] = [];
  let bytes = 0;
  while (bytes < sizeBytes) {
    const word = words[Math.floor(random() ** 3.4 * words.length)]!;
    parts.push(word);
    bytes += word.length + 1;
  }
  return Buffer.from(parts.join(' ')).subarray(0, sizeBytes);
}
