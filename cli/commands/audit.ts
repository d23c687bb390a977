import { formatFinding } from '#base/finding.ts';
import { type CommandBody, CommandError } from '../command.ts';
import { jsonFlag, yesFlag } from '../flags.ts';

export const command: CommandBody = {
  description: [
    "Compares Berth's records with this machine and prints what does not agree: mounts, namespaces, processes, cgroups and files without a record, and records without them. It reads the daemon's folders itself, as root, whether a daemon runs or not.",
  ],
  arguments: [],
  flags: [
    {
      long: 'config',
      kind: 'string',
      valueName: 'FILE',
      help: "berthd's configuration (/etc/berth/config.toml otherwise)",
      complete: 'file',
    },
    {
      long: 'cgroup-parent',
      kind: 'string',
      valueName: 'PATH',
      repeatable: true,
      help: 'look for left cgroups below this one too',
    },
    {
      long: 'cni-check',
      kind: 'boolean',
      help: 'also have the CNI plugins of every ready pod check its attachment (CHECK), which runs them',
    },
    {
      long: 'fix',
      kind: 'boolean',
      help: "remove what is surely Berth's and nobody's; only while berthd is stopped",
    },
    yesFlag,
    jsonFlag,
  ],
  exitStatuses: [{ status: '1', meaning: 'Something does not agree.' }],
  async run({ flags, output, confirm }) {
    const [{ loadConfig }, { ConfigError }] = await Promise.all([
      import('#daemon/config/load.ts'),
      import('#daemon/config/config-error.ts'),
    ]);
    const config = (() => {
      try {
        return loadConfig({ configPath: flags.string('config'), overrides: new Map() });
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        throw new CommandError(error.problems.join('\n'), { exitStatus: 2, cause: error });
      }
    })();
    const options = {
      cgroupParents: [...flags.list('cgroup-parent')],
      checksAttachments: flags.boolean('cni-check'),
    };
    if (flags.boolean('fix')) {
      await confirm('Remove what is left behind on this machine?');
      const { fixNode } = await import('#daemon/audit-fix.ts');
      const { fixed, left } = await fixNode(config, options);
      if (flags.boolean('json')) output.json({ fixed, left });
      else {
        for (const finding of fixed) output.line(`removed ${finding.what} ${finding.path}`);
        for (const { finding, reason } of left)
          output.line(`left: ${formatFinding(finding)}${reason === '' ? '' : ` (${reason})`}`);
      }
      return left.length > 0 ? 1 : 0;
    }
    const { auditNode } = await import('#daemon/audit.ts');
    const findings = await auditNode(config, options);
    if (flags.boolean('json')) output.json(findings);
    else if (findings.length === 0) output.line('records and machine agree');
    else for (const finding of findings) output.line(formatFinding(finding));
    return findings.length > 0 ? 1 : 0;
  },
};
