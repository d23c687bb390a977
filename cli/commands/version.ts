import { version } from '#daemon/version.ts';
import type { CommandBody } from '../command.ts';
import { jsonFlag } from '../flags.ts';

export const command: CommandBody = {
  description: [
    'Shows the version of this program and, if one answers, of the daemon with the programs that it uses.',
  ],
  arguments: [],
  flags: [jsonFlag],
  async run({ flags, output, connect, signal }) {
    const client = { version: version(), node: process.versions.node };
    const connection = await connect();
    const daemon = await connection
      .admin('Info', {}, { signal, timeoutMs: 5000 })
      .catch((error: Error) => error);
    if (flags.boolean('json')) {
      output.json({
        client,
        daemon:
          daemon instanceof Error
            ? null
            : { version: daemon.version, programs: daemon.program_versions, address: connection.address },
      });
      return 0;
    }
    output.line(`berth    ${client.version} (node ${client.node})`);
    if (daemon instanceof Error) {
      output.line(`berthd   ${daemon.message}`);
      return 0;
    }
    output.line(`berthd   ${daemon.version} at ${connection.address}`);
    for (const [name, text] of Object.entries(daemon.program_versions))
      output.line(`${name.padEnd(8)} ${text}`);
    return 0;
  },
};
