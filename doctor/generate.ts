/**
 * Writes docs/doctor.md from the areas' tables.
 *
 *   node doctor/generate.ts            write it
 *   node doctor/generate.ts --check    write nothing; exit 1 if it is out of date
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { areas } from './areas.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

function documentation(): string {
  const count = areas.reduce((sum, { faults }) => sum + Object.keys(faults).length, 0);
  const sections = areas.map(({ name, title, faults }) => {
    const rows = Object.entries(faults).map(
      ([key, { severity, what, breaks, mend }]) =>
        `| \`${name}/${key}\` | ${severity} | ${cell(what)} | ${cell(breaks)} | ${cell(mend)} |`,
    );
    return `## ${title}\n\n| Id | Severity | What is wrong | What it breaks | What mends it |\n|---|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `<!-- Made by doctor/generate.ts from the tables in doctor/; do not edit. -->
# berth doctor

\`berth doctor\` looks at a node and says what is wrong for Berth, what that breaks, and the command that mends it. It
reads files, asks programs for their versions, and makes one call to the daemon's socket; it changes nothing, and it works
while the daemon is down. Run it as root: others see less, and are told so.

| Flag | |
|---|---|
| \`--config FILE\` | berthd's configuration (default /etc/berth/config.toml); its mistakes are findings too |
| \`--json\` | \`{"diagnoses": [{"id", "severity", "what", "breaks", "mend"}]}\`; ids are kept from release to release |

| Exit status | |
|---|---|
| 0 | nothing wrong; there may be notes |
| 10 | warnings: something will not work, or not always |
| 20 | errors: something does not work |
| other | the command line was wrong, and nothing was examined |

The ${count} faults it knows are below; \`doctor/fault-table.test.ts\` plants them. Words in braces stand for what is found on
the node.

${sections.join('\n')}`;
}

const path = fileURLToPath(new URL('../docs/doctor.md', import.meta.url));
if (!process.argv.includes('--check')) writeFileSync(path, documentation());
else if (readFileSync(path, 'utf8') !== documentation()) {
  console.error('docs/doctor.md is out of date: run `make generate` and commit');
  process.exitCode = 1;
}
