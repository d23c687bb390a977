import type { PullCredentials } from '#images/contract.ts';
import type { Messages } from '#proto/berth/generated/admin.ts';
import { checkText } from '../convert/field.ts';

/** Credentials of a request; undefined where it has none. Throws InvalidArgument. */
export function toRegistryCredentials(
  given: Messages['RegistryCredentials'] | undefined,
): PullCredentials | undefined {
  if (given === undefined || given.username === '') return undefined;
  return {
    username: checkText(given.username, 'credentials.username', 4096),
    password: checkText(given.password, 'credentials.password', 64 << 10),
    auth: '',
    serverAddress: '',
    identityToken: '',
    registryToken: '',
  };
}
