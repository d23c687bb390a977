import type { CommandBody } from '../command.ts';
import {
  authFileOf,
  cleanRegistry,
  helperOf,
  readAuthFile,
  runHelper,
  serverKey,
  writeAuthFile,
} from '../registry-login.ts';

export const command: CommandBody = {
  description: ['Forgets what berth login or docker login kept for a registry, also in a credential helper.'],
  arguments: [{ name: 'REGISTRY', help: 'Docker Hub if left out' }],
  flags: [
    { long: 'all', short: 'a', kind: 'boolean', help: 'for every registry in the file' },
    {
      long: 'authfile',
      kind: 'string',
      valueName: 'FILE',
      help: 'where it is kept; REGISTRY_AUTH_FILE and DOCKER_CONFIG say the same',
      complete: 'file',
    },
  ],
  async run({ args, flags, output, environment }) {
    const path = authFileOf(flags, environment);
    const file = readAuthFile(path);
    const registry = cleanRegistry(args[0] ?? '');
    const keys = Object.keys(file.auths ?? {});
    const doomed = flags.boolean('all') ? keys : keys.filter((key) => cleanRegistry(key) === registry);
    const helper = helperOf(file, registry);
    if (helper !== undefined && !flags.boolean('all')) await runHelper(helper, 'erase', serverKey(registry));
    if (doomed.length === 0 && (helper === undefined || flags.boolean('all'))) {
      output.note(`nothing is kept for ${flags.boolean('all') ? 'any registry' : registry} in ${path}`);
      return 0;
    }
    const auths = Object.fromEntries(
      Object.entries(file.auths ?? {}).filter(([key]) => !doomed.includes(key)),
    );
    if (doomed.length > 0) writeAuthFile(path, { ...file, auths });
    for (const name of flags.boolean('all') ? doomed : [registry])
      output.line(`logged out of ${cleanRegistry(name)}`);
    return 0;
  },
};
