import { defineArea } from './area.ts';
import { isDaemonCommand } from './daemon-command.ts';

const programOf = (command: readonly string[]): string => (command[0] ?? '').replace(/^.*\//, '');
const withoutScheme = (endpoint: string): string =>
  endpoint.replace(/^unix:(\/\/)?/, '').replace(/^\/var\/run\//, '/run/');

/** The kubelet's runtime endpoint, by its flag or its file; '' if it says nothing. */
function kubeletEndpoint(commands: readonly (readonly string[])[], file: string): string {
  const kubelet = commands.find((command) => programOf(command) === 'kubelet') ?? [];
  const at = kubelet.findIndex((word) => /^--?container-runtime-endpoint(=|$)/.test(word));
  if (at >= 0) return kubelet[at]!.split('=')[1] ?? kubelet[at + 1] ?? '';
  return /^containerRuntimeEndpoint:\s*"?([^"\s]+)/m.exec(file)?.[1] ?? '';
}

/** Who else takes part on this node. */
export const neighbours = defineArea(
  'neighbours',
  'Neighbours',
  {
    'kubelet-elsewhere': {
      severity: 'warning',
      what: 'the kubelet talks to {endpoint}, not to {socket}',
      breaks: 'nothing of Berth, but the kubelet does not use it',
      mend: 'set containerRuntimeEndpoint: unix://{socket} in /var/lib/kubelet/config.yaml and restart the kubelet',
    },
    'crictl-elsewhere': {
      severity: 'note',
      what: '/etc/crictl.yaml names {endpoint}, not {socket}',
      breaks: 'crictl shows the pods of another runtime, or none',
      mend: 'crictl config --set runtime-endpoint=unix://{socket}',
    },
    'second-daemon': {
      severity: 'warning',
      what: 'another berthd runs (pid {pid}: {command})',
      breaks:
        'the default network and host ports of both: they share the bridge berth0 and the nftables table berth',
      mend: 'stop one of them: kill {pid}; or give it default_network = false and a network namespace of its own',
    },
    'other-runtime': {
      severity: 'note',
      what: '{program} runs too (pid {pid}) and uses the CNI configuration of {dir}',
      breaks:
        'nothing by itself; its pods and ours share subnets, and its removal may take the plugins along',
      mend: 'if it is not needed: systemctl disable --now {program}',
    },
    'bridge-taken': {
      severity: 'error',
      what: 'there is a network device berth0, and it is no bridge',
      breaks: 'the default network',
      mend: 'ip link set berth0 down && ip link set berth0 name was-berth0',
    },
    'nri-taken': {
      severity: 'warning',
      what: 'the NRI socket {path} is held by {program} (pid {pid})',
      breaks: 'NRI plugins reach only one of the two runtimes',
      mend: 'set nri.socket_path in /etc/berth/config.toml to another path, or nri.enable = false',
    },
  },
  ({ machine, config, daemonPid }, report) => {
    const { socket } = config.server;
    const running = machine.processes();
    const endpoint = kubeletEndpoint(
      running.map(({ command }) => command),
      machine.read('/var/lib/kubelet/config.yaml') ?? '',
    );
    if (endpoint !== '' && withoutScheme(endpoint) !== withoutScheme(socket))
      report('kubelet-elsewhere', { endpoint, socket });
    const crictl = /^runtime-endpoint:\s*"?([^"\s]+)/m.exec(machine.read('/etc/crictl.yaml') ?? '')?.[1];
    if (crictl !== undefined && withoutScheme(crictl) !== withoutScheme(socket))
      report('crictl-elsewhere', { endpoint: crictl, socket });
    for (const { pid, command } of running) {
      const isDaemon = isDaemonCommand(command);
      // In a network namespace of its own it has a bridge and rules of its own.
      const networks = ['self', pid].map((of) => machine.link(`/proc/${of}/ns/net`));
      if (isDaemon && pid !== daemonPid && networks[0] === networks[1])
        report('second-daemon', { pid, command: command.join(' ') });
    }
    const others = running.flatMap(({ pid, command }) => {
      const program = programOf(command);
      return ['containerd', 'crio'].includes(program) ? [{ pid, program }] : [];
    });
    for (const other of others) report('other-runtime', { ...other, dir: config.network.cniConfigDir });
    const device = '/sys/class/net/berth0';
    if (config.network.defaultNetwork && machine.stat(device) && !machine.stat(`${device}/bridge`))
      report('bridge-taken');
    const { enable, socketPath } = config.nri;
    const isHeld = (machine.read('/proc/net/unix') ?? '')
      .split('\n')
      .some((line) => withoutScheme(line.split(' ').at(-1) ?? '') === withoutScheme(socketPath));
    if (enable && socketPath !== '' && isHeld && daemonPid === undefined && others[0])
      report('nri-taken', { ...others[0], path: socketPath });
  },
);
