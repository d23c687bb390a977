import { toJson } from '../convert/verbose-info.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';

/** Whether the runtime and the network can serve pods, and what each handler can do. */
export function status({ facts, network }: Pick<CriServices, 'facts' | 'network'>): UnaryHandler<'Status'> {
  const runtime_handlers = facts.handlers
    .flatMap((handler) => {
      const features = {
        recursive_read_only_mounts: handler.hasRecursiveReadonlyMounts,
        user_namespaces: handler.hasUserNamespaces,
      };
      const named = { name: handler.name, features };
      // The entry without a name stands for pods that name no handler.
      return handler.isDefault ? [{ name: '', features }, named] : [named];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return async (request) => {
    const problem = facts.problem();
    const networkStatus = await network.status();
    return {
      status: {
        conditions: [
          {
            type: 'RuntimeReady',
            status: problem === undefined,
            reason: problem?.reason ?? '',
            message: problem?.message ?? '',
          },
          {
            type: 'NetworkReady',
            status: networkStatus.isReady,
            reason: networkStatus.reason,
            message: networkStatus.message,
          },
        ],
      },
      info: request.verbose ? verboseInfo(facts, network) : {},
      runtime_handlers,
      features: {
        supplemental_groups_policy: true,
        user_namespaces_host_network: facts.hasHostNetworkUserNamespaces,
        mount_options: true,
      },
    };
  };
}

/** Keys that tools look for: the conformance suite reads `stateDir` out of `config`. */
function verboseInfo(
  facts: CriServices['facts'],
  network: CriServices['network'],
): Readonly<Record<string, string>> {
  const { configuration, lastLoadError } = network.describe();
  const { cdi, ociHooks } = facts.definitionProblems();
  const loadStatus = (problems: readonly string[]): string => problems.join('; ') || 'OK';
  return {
    config: toJson({ stateDir: facts.stateDir, ...(facts.configuration as object) }),
    cniconfig: toJson(configuration ?? {}),
    lastCNILoadStatus: lastLoadError === '' ? 'OK' : lastLoadError,
    lastCDILoadStatus: loadStatus(cdi),
    lastOCIHooksLoadStatus: loadStatus(ociHooks),
    versions: toJson({ berth: facts.version, node: process.versions.node, ...facts.programVersions }),
  };
}
