/** A daemon's worth of image service in a process of its own, to be killed: `pull-once.ts DIRECTORY REFERENCE...`. */
import { ImageBench } from './image-bench.ts';

const [root, ...references] = process.argv.slice(2);
const bench = new ImageBench({}, root);
process.stdout.write('ready\n');
const { signal } = new AbortController();
for (const reference of references) {
  await bench.images.pull({ reference, credentials: undefined }, signal);
  process.stdout.write(`pulled ${reference}\n`);
  await bench.images.remove(reference);
}
await bench.images.close();
