/** Before the daemon starts: Debian packages, and an image of Debian's busybox in a registry on the loopback address. */
import { join } from 'node:path';
import { runCommand } from '#conformance/command.ts';
import { pushImage, type Registry, startRegistry } from '#conformance/fixtures/registry.ts';
import { buildDemoImages } from '#conformance/fixtures/store.ts';
import { demoPackages, ensurePackages, runtimePackages } from '#conformance/setup.ts';
import { DemoFailure, type Transcript } from './transcript.ts';

/** Installs what is missing, and says what is there in which version. */
export async function preparePackages(transcript: Transcript): Promise<void> {
  transcript.step('Install what is missing');
  const wanted = [...runtimePackages, ...demoPackages];
  const installed = await ensurePackages(wanted);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const listing = await runCommand('dpkg-query', ['-W', '-f', '${Package} ${Version}\\n', ...wanted]);
  transcript.say(listing.trim().split('\n').join(', '));
  transcript.say(
    installed.length === 0 ? 'nothing was missing' : `installed just now: ${installed.join(', ')}`,
  );
}

export interface ServedImage {
  /** Full name to pull by. */
  readonly name: string;
  stop(): Promise<void>;
}

/** Makes the image, starts a registry with its data in `workDir`, and pushes the image there. */
export async function serveImage(transcript: Transcript, workDir: string): Promise<ServedImage> {
  transcript.step("Make an image of Debian's busybox and serve it");
  const image = (await buildDemoImages()).get('docker.io/library/busybox:latest');
  if (image === undefined) throw new DemoFailure('the fixtures have no busybox image');
  const registry: Registry = await startRegistry({ dataDir: join(workDir, 'registry') });
  try {
    await pushImage(registry.host, 'library/busybox:demo', image);
  } catch (error) {
    await registry.stop();
    throw error;
  }
  const bytes = image.blobs.reduce((sum, blob) => sum + blob.bytes.length, 0);
  transcript.say(`docker-registry listens on ${registry.host}; pushed library/busybox:demo, ${bytes} bytes`);
  return { name: `${registry.host}/library/busybox:demo`, stop: () => registry.stop() };
}
