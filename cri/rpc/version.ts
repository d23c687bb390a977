import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Names the runtime; all four must be non-empty. The requested version is ignored, as CRI v1 is the only one. */
export function version({ facts }: Pick<CriServices, 'facts'>): UnaryHandler<'Version'> {
  return () => ({
    version: '0.1.0',
    runtime_name: 'berth',
    runtime_version: facts.version,
    runtime_api_version: 'v1',
  });
}
