import { type CommandBody, CommandError } from '../command.ts';
import {
  ask,
  authFileOf,
  cleanRegistry,
  helperOf,
  readAuthFile,
  readPassword,
  runHelper,
  serverKey,
  writeAuthFile,
} from '../registry-login.ts';

export const command: CommandBody = {
  description: [
    'Asks a registry whether it takes a user name and password, and keeps them if it does: in the file of docker login, or in the credential helper that this file names (credHelpers, credsStore).',
    'The daemon looks credentials up in its own list of files, images.auth_files, of which /root/.docker/config.json is one; a warning says so where it does not read the file.',
  ],
  arguments: [{ name: 'REGISTRY', help: 'its host, with the port if it has one; Docker Hub if left out' }],
  flags: [
    { long: 'username', short: 'u', kind: 'string', valueName: 'USER', help: 'asked for if left out' },
    { long: 'password-stdin', kind: 'boolean', help: 'read the password from standard input' },
    {
      long: 'password',
      short: 'p',
      kind: 'string',
      valueName: 'PASSWORD',
      help: 'others can see it in the list of processes: --password-stdin is better',
    },
    {
      long: 'authfile',
      kind: 'string',
      valueName: 'FILE',
      help: 'where to keep it; REGISTRY_AUTH_FILE and DOCKER_CONFIG say the same',
      complete: 'file',
    },
  ],
  examples: [
    {
      text: 'from a pipe',
      command: 'pass show registry | berth login -u me --password-stdin registry.example.com',
    },
  ],
  async run({ args, flags, output, environment, signal, connect }) {
    const registry = cleanRegistry(args[0] ?? '');
    const path = authFileOf(flags, environment);
    const file = readAuthFile(path);
    const username = flags.string('username') ?? (await askUser());
    const password = flags.string('password') ?? (await readPassword(flags.boolean('password-stdin')));
    if (username === '' || password === '') throw new CommandError('the user name or the password is empty');
    const connection = await connect();
    await connection.admin('VerifyLogin', { registry, credentials: { username, password } }, { signal });
    const helper = helperOf(file, registry);
    if (helper !== undefined)
      await runHelper(
        helper,
        'store',
        JSON.stringify({ ServerURL: serverKey(registry), Username: username, Secret: password }),
      );
    else {
      const auth = Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
      writeAuthFile(path, { ...file, auths: { ...file.auths, [serverKey(registry)]: { auth } } });
    }
    output.line(`logged in to ${registry} as ${username}`);
    output.note(helper === undefined ? `kept in ${path}` : `kept by docker-credential-${helper}`);
    const { configuration } = await connection.admin('Info', {}, { signal });
    const { images } = JSON.parse(configuration) as { images?: { authFiles?: readonly string[] } };
    if (images?.authFiles?.includes(path) === false)
      output.warn(
        `the daemon does not read ${path}: add it to images.auth_files, or log in with --authfile ${images.authFiles[0] ?? '/etc/berth/auth.json'}`,
      );
    return 0;
  },
};

async function askUser(): Promise<string> {
  if (!process.stdin.isTTY)
    throw new CommandError('there is no terminal to ask for the user name', { hint: 'Say --username.' });
  return (await ask('Username: ', false)).trim();
}
