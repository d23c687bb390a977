#!/usr/bin/env node
/** berthd: reads the command line and the configuration, then serves. Exit status 2: a mistake in one of them. */
import { helpText, parseCommandLine } from './config/command-line.ts';
import { ConfigError } from './config/config-error.ts';
import { loadConfig } from './config/load.ts';
import { version } from './version.ts';

async function main(args: readonly string[]): Promise<void> {
  const commandLine = parseCommandLine(args);
  if (commandLine.action === 'help') {
    process.stdout.write(helpText());
    return;
  }
  if (commandLine.action === 'version') {
    process.stdout.write(`berthd ${version()} (node ${process.versions.node})\n`);
    return;
  }
  const config = loadConfig(commandLine);
  if (commandLine.action === 'checkConfig') {
    process.stdout.write('the configuration is good\n');
  } else if (commandLine.action === 'dumpConfig') {
    const { dumpConfig } = await import('./config/render.ts');
    process.stdout.write(dumpConfig(config));
  } else {
    // Loaded only now: the other actions answer in a blink. While the most of it loads, programs tell what they can do.
    const { probeHandlers } = await import('./handlers.ts');
    const probes = probeHandlers(config);
    const { serve } = await import('./serve.ts');
    await serve(config, probes, () => loadConfig(commandLine));
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  if (error instanceof ConfigError) {
    for (const problem of error.problems) process.stderr.write(`berthd: ${problem}\n`);
    process.exitCode = 2;
    return;
  }
  process.stderr.write(`berthd: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
