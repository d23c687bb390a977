import { RuntimeError } from '#base/errors.ts';
import { requireText } from '../../convert/field.ts';
import type { AdminUnary } from '../method.ts';
import { toRegistryCredentials } from '../registry-credentials.ts';
import type { AdminServices } from '../services.ts';

/** Asks a registry whether it takes these credentials. Throws Unauthenticated, Unknown (no answer), InvalidArgument. */
export function verifyLogin({ images }: Pick<AdminServices, 'images'>): AdminUnary<'VerifyLogin'> {
  return async (request, signal) => {
    const registry = requireText(request.registry, 'registry', 512);
    const credentials = toRegistryCredentials(request.credentials);
    if (!credentials)
      throw new RuntimeError('InvalidArgument', 'invalid request: credentials.username is empty');
    await images.verifyLogin(registry, credentials, signal);
    return {};
  };
}
