/**
 * berth-audit: compares Berth's records with the machine and prints what does not agree, a line each. Exit status 0: nothing;
 * 1: something; 2: a mistake in the command line or configuration.
 */
import { formatFinding } from '#base/finding.ts';
import { auditNode } from './audit.ts';
import { ConfigError } from './config/config-error.ts';
import { loadConfig } from './config/load.ts';

const usage = `berth-audit: what Berth's records and this machine do not agree in

Usage: berth-audit [--config FILE] [--cgroup-parent PATH]... [--cni-check] [--json] [--fix]

  --config FILE          berthd's configuration (default /etc/berth/config.toml)
  --cgroup-parent PATH   look for left cgroups below this one too
  --cni-check            also have the CNI plugins of every ready pod check its attachment (CHECK); runs them, so it takes longer
  --json                 one JSON object a line
  --fix                  remove what is surely Berth's and nobody's; only while berthd is stopped
`;

interface CommandLine {
  configPath: string | undefined;
  cgroupParents: string[];
  checksAttachments: boolean;
  isJson: boolean;
  isFix: boolean;
}

function parse(args: readonly string[]): CommandLine {
  const found: CommandLine = {
    configPath: undefined,
    cgroupParents: [],
    checksAttachments: false,
    isJson: false,
    isFix: false,
  };
  for (let at = 0; at < args.length; at += 1) {
    const flag = args[at]!;
    const value = (): string => {
      at += 1;
      const text = args[at];
      if (text === undefined) throw new ConfigError([`flag ${flag} needs a value`]);
      return text;
    };
    if (flag === '--config') found.configPath = value();
    else if (flag === '--cgroup-parent') found.cgroupParents.push(value());
    else if (flag === '--cni-check') found.checksAttachments = true;
    else if (flag === '--json') found.isJson = true;
    else if (flag === '--fix') found.isFix = true;
    else throw new ConfigError([`unknown argument ${flag}: see berth-audit --help`]);
  }
  return found;
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(usage);
    return;
  }
  const { configPath, isJson, isFix, ...options } = parse(args);
  const config = loadConfig({ configPath, overrides: new Map() });
  const print = (line: string) => process.stdout.write(`${line}\n`);
  if (isFix) {
    const { fixNode } = await import('./audit-fix.ts');
    const { fixed, left } = await fixNode(config, options);
    for (const finding of fixed) print(`removed ${finding.what} ${finding.path}`);
    for (const { finding, reason } of left)
      print(`left: ${formatFinding(finding)}${reason === '' ? '' : ` (${reason})`}`);
    process.exitCode = left.length > 0 ? 1 : 0;
    return;
  }
  const findings = await auditNode(config, options);
  for (const finding of findings) print(isJson ? JSON.stringify(finding) : formatFinding(finding));
  if (findings.length === 0 && !isJson) print('records and machine agree');
  process.exitCode = findings.length > 0 ? 1 : 0;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const problems =
    error instanceof ConfigError ? error.problems : [error instanceof Error ? error.message : String(error)];
  for (const problem of problems) process.stderr.write(`berth-audit: ${problem}\n`);
  process.exitCode = 2;
});
