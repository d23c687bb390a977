import { messageOf } from '#base/errors.ts';
import { defineArea, type Subject } from './area.ts';

/** Registries that clusters pull their own parts from. */
const wellKnown = ['docker.io', 'registry.k8s.io', 'quay.io', 'ghcr.io'];

interface AuthFile {
  readonly credHelpers?: Readonly<Record<string, unknown>>;
  readonly credsStore?: unknown;
}

/** Where images come from: hosts, certificates, credentials, trust. */
export const registries = defineArea(
  'registries',
  'Registries',
  {
    'hosts-invalid': {
      severity: 'error',
      what: '{why}',
      breaks: 'every pull from {registry}',
      mend: 'correct {path}; it is read anew at every pull',
    },
    unverified: {
      severity: 'warning',
      what: '{path} turns off the check of certificates of {host}',
      breaks: 'trust: whoever is on the way can hand out other images',
      mend: 'put the registry\'s CA beside the file, name it by ca = "ca.crt", and remove skip_verify',
    },
    'conf-invalid': {
      severity: 'error',
      what: '{why}',
      breaks: 'every pull',
      mend: 'correct the file; it is read anew at every pull',
    },
    blocked: {
      severity: 'warning',
      what: 'the registry {registry} is blocked in {path}',
      breaks: 'every pull from {registry}',
      mend: 'remove blocked = true from its [[registry]] in {path}, if that is not meant',
    },
    'auth-invalid': {
      severity: 'error',
      what: 'the auth file {path} is not JSON',
      breaks: 'every pull',
      mend: 'write it anew: berth login, or remove it',
    },
    'auth-readable': {
      severity: 'warning',
      what: 'the auth file {path} can be read by others (mode {mode})',
      breaks: 'the secrecy of the credentials for your registries',
      mend: 'chmod 600 {path}',
    },
    'helper-missing': {
      severity: 'warning',
      what: 'the credential helper {program}, which {path} names, is not there',
      breaks: 'pulls from {registry}',
      mend: 'install {program} into a folder of PATH, or remove it from {path}',
    },
    'policy-invalid': {
      severity: 'error',
      what: '{why}',
      breaks: 'every pull',
      mend: 'correct {path}; it is read anew at every pull',
    },
    'policy-rejects': {
      severity: 'warning',
      what: 'the policy {path} rejects images that it does not name',
      breaks: 'pulls from registries without a scope of their own there',
      mend: 'add a scope for your registry under transports.docker of {path}, if that is not meant',
    },
  },
  (subject, report) => {
    const { machine, config, readers } = subject;
    const { registryConfigDirs, registriesConf, authFiles, signaturePolicy } = config.images;
    for (const root of registryConfigDirs)
      for (const registry of machine.list(root)) {
        const path = `${root}/${registry}`;
        if (machine.stat(path)?.isDirectory() !== true) continue;
        // Folders may spell the port as HOST_PORT_.
        const domain = registry.replace(/_(\d+)_$/, ':$1');
        try {
          for (const { origin, skipVerify } of readers.readRegistryHosts(machine.at(root), domain))
            if (skipVerify) report('unverified', { path: `${path}/hosts.toml`, host: origin });
        } catch (error) {
          const why = machine.shown(messageOf(error));
          report('hosts-invalid', { why, registry: domain, path: `${path}/hosts.toml` });
        }
      }
    if (registriesConf !== '') checkRegistriesConf(subject, registriesConf, report);
    for (const path of authFiles) checkAuthFile(subject, path, report);
    if (signaturePolicy !== '') {
      try {
        if (readers.readSignaturePolicy(machine.at(signaturePolicy)).rejectsByDefault)
          report('policy-rejects', { path: signaturePolicy });
      } catch (error) {
        report('policy-invalid', { why: machine.shown(messageOf(error)), path: signaturePolicy });
      }
    }
  },
);

function checkRegistriesConf(
  { machine, readers }: Subject,
  path: string,
  report: (fault: 'conf-invalid' | 'blocked', words: Record<string, string>) => void,
): void {
  try {
    const { blocked } = readers.readRegistriesConf(machine.at(path));
    for (const registry of wellKnown) if (blocked.includes(registry)) report('blocked', { registry, path });
  } catch (error) {
    report('conf-invalid', { why: machine.shown(messageOf(error)), path });
  }
}

function checkAuthFile(
  { machine }: Subject,
  path: string,
  report: (fault: 'auth-invalid' | 'auth-readable' | 'helper-missing', words: Record<string, string>) => void,
): void {
  const text = machine.read(path);
  if (text === undefined) return;
  const mode = (machine.stat(path)?.mode ?? 0) & 0o777;
  if ((mode & 0o077) !== 0) report('auth-readable', { path, mode: mode.toString(8) });
  let file: AuthFile;
  try {
    file = (JSON.parse(text) ?? {}) as AuthFile;
  } catch {
    report('auth-invalid', { path }); // the parser's words could quote secrets
    return;
  }
  const helpers = Object.entries(file.credHelpers ?? {});
  if (typeof file.credsStore === 'string') helpers.push(['all other registries', file.credsStore]);
  for (const [registry, helper] of helpers) {
    const program = `docker-credential-${String(helper)}`;
    if (machine.findProgram(program) === undefined) report('helper-missing', { program, path, registry });
  }
}
