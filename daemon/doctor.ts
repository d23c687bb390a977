/** `berth doctor` put together: the configuration as the daemon reads it, and the parsers that the daemon has. */
import { isRuntimeError } from '#base/errors.ts';
import type { Diagnosis, Readers } from '#doctor/area.ts';
import { examine } from '#doctor/examine.ts';
import { openMachine } from '#doctor/machine.ts';
import { parseReference } from '#images/reference.ts';
import { loadHosts } from '#images/registry/hosts.ts';
import { RegistriesConfFile } from '#images/registry/registries-conf.ts';
import { requirementsFor } from '#images/signature/policy.ts';
import type { NetworkList } from '#network/cni/config.ts';
import { loadFolder } from '#network/cni/config-folder.ts';
import { defaultNetworkOptions } from '#network/default-network.ts';
import { readPluginPlan } from '#network/native/plugin-plan.ts';
import { auditNode } from './audit.ts';
import { ConfigError } from './config/config-error.ts';
import { loadConfig } from './config/load.ts';
import { type Config, defaultSignaturePolicy } from './config/options.ts';

/** Examines this machine. `configPath` undefined: the default file, which may be absent. Changes nothing. */
export async function examineNode(configPath: string | undefined): Promise<Diagnosis[]> {
  const { config, problems } = loadWhatCan(configPath);
  return examine({ machine: openMachine(), config, configProblems: problems, readers: readersOf(config) });
}

/** A configuration with mistakes is one of the faults to be told: the examination goes on with the defaults. */
function loadWhatCan(configPath: string | undefined): { config: Config; problems: readonly string[] } {
  try {
    return { config: loadConfig({ configPath, overrides: new Map() }), problems: [] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // A name in a folder that is not there: nothing is read, and nothing is missed.
    return {
      config: loadConfig({ configPath: undefined, overrides: new Map() }, '/nonexistent/berth/config.toml'),
      problems: error.problems,
    };
  }
}

function describeBuiltin(config: Config, list: NetworkList): { isUsed: boolean; reason: string } {
  if (!config.network.builtinPlugins) return { isUsed: false, reason: '' };
  const { plan, reason } = readPluginPlan(list, defaultNetworkOptions.bridge);
  return { isUsed: plan !== undefined, reason };
}

/** What the doctor asks of the parts. `audit` compares with this configuration's records. */
export function readersOf(config: Config): Readers {
  return {
    readCniFolder: (dir) => {
      const { chosen, hasCandidates, lastError } = loadFolder(dir);
      return {
        chosen: chosen && {
          path: chosen.path,
          name: chosen.list.name,
          version: chosen.list.cniVersion,
          plugins: chosen.list.plugins.map(({ raw }) => raw),
          builtin: describeBuiltin(config, chosen.list),
        },
        hasCandidates,
        problems: lastError,
      };
    },
    readRegistryHosts: (root, domain) => loadHosts([root], domain),
    readRegistriesConf: (path) => {
      const { rules } = new RegistriesConfFile(path).load();
      return { blocked: [...rules.values()].flatMap(({ prefix, isBlocked }) => (isBlocked ? [prefix] : [])) };
    },
    readSignaturePolicy: (path) => {
      const mayBeMissing = config.images.signaturePolicy === defaultSignaturePolicy;
      // A name in a domain that nobody can have: only the policy's default speaks of it.
      const unknown = parseReference('registry.invalid/none:none');
      return {
        rejectsByDefault: requirementsFor({ path, mayBeMissing }, unknown).some(
          ({ type }) => type === 'reject',
        ),
      };
    },
    audit: async () => {
      try {
        return await auditNode(config);
      } catch (error) {
        if (isRuntimeError(error, 'NotFound')) return [];
        throw error;
      }
    },
  };
}
