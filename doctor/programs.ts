import { defineArea, type Subject } from './area.ts';

function isBefore(version: string, major: number, minor: number): boolean {
  const match = /(\d+)\.(\d+)/.exec(version);
  if (!match) return false;
  const [found, foundMinor] = [Number(match[1]), Number(match[2])];
  return found < major || (found === major && foundMinor < minor);
}

/** Program versions from which pods may have user namespaces. */
const userNamespacesFrom = { crun: [1, 9], runc: [1, 2] } as const;

/** Programs that berthd starts. */
export const programs = defineArea(
  'programs',
  'Programs',
  {
    'runtime-missing': {
      severity: 'error',
      what: 'the OCI runtime {program} of the default handler is not there',
      breaks: 'berthd does not start',
      mend: 'apt-get install {package}, or set handlers.{handler}.path in /etc/berth/config.toml',
    },
    'handler-missing': {
      severity: 'warning',
      what: 'the OCI runtime {program} of the handler {handler} is not there',
      breaks: 'pods whose RuntimeClass names {handler}',
      mend: 'apt-get install {package}, or correct handlers.{handler}.path in /etc/berth/config.toml',
    },
    'runtime-fails': {
      severity: 'error',
      what: '{program} --version fails: {why}',
      breaks: 'every container of the handler {handler}',
      mend: 'apt-get install --reinstall {package}',
    },
    'no-user-namespaces': {
      severity: 'note',
      what: '{program} is {version}',
      breaks: 'pods with user namespaces (hostUsers: false), which need {wanted} or newer',
      mend: 'install a newer one, such as from backports: apt-get install -t stable-backports {package}',
    },
    'no-checkpoints': {
      severity: 'note',
      what: '{program} is built without CRIU',
      breaks: 'checkpoints of containers',
      mend: 'install a crun that lists +CRIU in crun --version; Debian 12 has none, its runc can do it',
    },
    'conmon-missing': {
      severity: 'error',
      what: 'conmon is not there ({program})',
      breaks: 'berthd does not start',
      mend: 'apt-get install conmon, or set runtime.conmon_path in /etc/berth/config.toml',
    },
    'conmon-fails': {
      severity: 'error',
      what: '{program} --version fails: {why}',
      breaks: 'every container',
      mend: 'apt-get install --reinstall conmon',
    },
    'nft-missing': {
      severity: 'error',
      what: 'nft is not there',
      breaks: 'the default network and host ports of pods',
      mend: 'apt-get install nftables',
    },
    'tool-missing': {
      severity: 'error',
      what: '{program} is not there',
      breaks: 'berthd does not start',
      mend: 'apt-get install util-linux dash',
    },
    'init-missing': {
      severity: 'warning',
      what: 'catatonit is not there',
      breaks: 'pods that share a process namespace (shareProcessNamespace: true)',
      mend: 'apt-get install catatonit, or set runtime.init_path in /etc/berth/config.toml',
    },
    'criu-missing': {
      severity: 'note',
      what: 'criu is not there',
      breaks: 'checkpoints of containers',
      mend: 'apt-get install criu',
    },
  },
  async (subject, report) => {
    const { machine, config } = subject;
    const { conmonPath, initPath } = config.runtime;
    for (const program of ['unshare', 'nsenter', 'sh'])
      if (machine.findProgram(program) === undefined) report('tool-missing', { program });
    const conmon = machine.findProgram(conmonPath || 'conmon');
    if (conmon === undefined) report('conmon-missing', { program: conmonPath || 'conmon' });
    else {
      const why = await failureOf(subject, conmon);
      if (why !== undefined) report('conmon-fails', { program: conmon, why });
    }
    if (machine.findProgram('nft') === undefined) report('nft-missing');
    if (machine.findProgram(initPath || 'catatonit') === undefined) report('init-missing');
    if (machine.findProgram('criu') === undefined) report('criu-missing');
    for (const [handler, { path, type }] of Object.entries(config.handlers)) {
      const isDefault = handler === config.runtime.defaultHandler;
      const words = { handler, package: type, program: path || type };
      const program = machine.findProgram(words.program);
      if (program === undefined) {
        // Handlers that nobody wrote down are left out without a word.
        if (isDefault) report('runtime-missing', words);
        else if (path !== '') report('handler-missing', words);
        continue;
      }
      const { code, stdout, stderr } = await machine.run(program, ['--version']);
      const version = stdout.split('\n')[0]?.trim() ?? '';
      const [major, minor] = userNamespacesFrom[type];
      if (code !== 0 || version === '')
        report('runtime-fails', { ...words, program, why: firstLine(stderr) || `exit status ${code}` });
      else if (isDefault) {
        if (isBefore(version, major, minor))
          report('no-user-namespaces', { ...words, program, version, wanted: `${type} ${major}.${minor}` });
        // runc starts the program criu and always can.
        if (type === 'crun' && !/\+CRIU\b/.test(stdout)) report('no-checkpoints', { program });
      }
    }
  },
);

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}

async function failureOf({ machine }: Subject, program: string): Promise<string | undefined> {
  const { code, stderr } = await machine.run(program, ['--version']);
  return code === 0 ? undefined : firstLine(stderr) || `exit status ${code}`;
}
