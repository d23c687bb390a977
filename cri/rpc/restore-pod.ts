import type { ContainerConfig as ConfigMessage } from '#proto/generated/cri.ts';
import type { ContainerConfig } from '#runtime/container/config.ts';
import type { SandboxConfig } from '#runtime/sandbox/config.ts';
import { adoptNamespaces, checkAgreement } from '../convert/agreement.ts';
import { toContainerConfig } from '../convert/container-config.ts';
import {
  checkCount,
  checkMap,
  invalidField,
  maxMapBytes,
  refuseParents,
  requireAbsolutePath,
  requireName,
} from '../convert/field.ts';
import { toSandboxConfig } from '../convert/sandbox-config.ts';
import type { UnaryHandler } from '../method.ts';
import type { CriServices } from '../services.ts';
import { unimplemented } from '../unimplemented.ts';

const maxContainers = 10_000;

/** Makes a sandbox with the containers of a checkpoint, which wait for StartContainer; or nothing. */
export function restorePod({ checkpoints }: Pick<CriServices, 'checkpoints'>): UnaryHandler<'RestorePod'> {
  return async (request, signal) => {
    const checkpointPath = requireAbsolutePath(request.checkpoint_path, 'checkpoint_path');
    refuseParents(checkpointPath, 'checkpoint_path');
    const config = toSandboxConfig(request.config);
    const runtimeHandler =
      request.runtime_handler === '' ? '' : requireName(request.runtime_handler, 'runtime_handler');
    const options = checkMap(request.options, 'options', maxMapBytes);
    const containers = toContainers(request.container_configs, config);
    if (checkpoints === undefined) throw unimplemented('RestorePod');
    const restored = await checkpoints.restorePod(
      { checkpointPath, config, runtimeHandler, options, containers },
      signal,
    );
    return {
      pod_sandbox_id: restored.sandboxId,
      restored_containers: restored.containers.map(({ name, id }) => ({ name, container_id: id })),
    };
  };
}

function toContainers(messages: readonly ConfigMessage[], sandbox: SandboxConfig): ContainerConfig[] {
  checkCount(messages, 'container_configs', maxContainers);
  if (messages.length === 0) throw invalidField('container_configs', 'must not be empty');
  const names = new Set<string>();
  return messages.map((message, index) => {
    const path = `container_configs[${index}]`;
    const requested = toContainerConfig(message, path);
    const { name } = requested.metadata;
    if (names.has(name)) throw invalidField(`${path}.metadata.name`, `repeats ${JSON.stringify(name)}`);
    names.add(name);
    const saysNamespaces = message.linux?.security_context?.namespace_options !== undefined;
    const config = saysNamespaces ? requested : adoptNamespaces(requested, sandbox);
    checkAgreement(config, sandbox);
    return config;
  });
}
