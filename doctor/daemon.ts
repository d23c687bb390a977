import { messageOf } from '#base/errors.ts';
import { defineArea, type Subject } from './area.ts';
import { isDaemonCommand } from './daemon-command.ts';

const start = 'systemctl start berthd, or berthd in a terminal to see what it says';

/** The daemon itself: configuration, process, socket. */
export const daemon = defineArea(
  'daemon',
  'Daemon',
  {
    'config-invalid': {
      severity: 'error',
      what: '{problem}',
      breaks:
        'berthd does not start, and a running one refuses to reload; this examination took the defaults',
      mend: 'correct it, then berthd --check-config',
    },
    'not-running': {
      severity: 'error',
      what: 'berthd does not run',
      breaks: 'every call; containers that run go on',
      mend: start,
    },
    'socket-gone': {
      severity: 'error',
      what: 'berthd runs (pid {pid}), and its socket {path} is gone',
      breaks: 'every call; containers that run go on',
      mend: 'systemctl restart berthd; containers stay',
    },
    'socket-foreign': {
      severity: 'error',
      what: 'something answers on {path}, and it is not the berthd of {state}',
      breaks: 'berthd does not start',
      mend: 'ss -xlp src {path} shows whose it is: stop that, or set server.socket in /etc/berth/config.toml',
    },
    unresponsive: {
      severity: 'error',
      what: 'berthd (pid {pid}) has the socket {path} and does not answer within five seconds',
      breaks: 'every call; containers that run go on',
      mend: 'systemctl restart berthd; containers stay. Before, keep its log: journalctl -u berthd',
    },
    'socket-closed': {
      severity: 'warning',
      what: 'the socket {path} may not be opened by this user',
      breaks: 'berth and crictl for this user',
      mend: 'use sudo, or set server.socket_group in /etc/berth/config.toml to a group of yours',
    },
    'socket-open': {
      severity: 'error',
      what: 'the socket {path} is open to every user (mode {mode})',
      breaks: 'security: whoever can connect is root on this node',
      mend: 'chmod o-rwx {path}, and set server.socket_mode = "0660" in /etc/berth/config.toml',
    },
    'lock-foreign': {
      severity: 'error',
      what: 'the lock {path} is held by pid {pid}, which is no berthd ({command})',
      breaks: 'berthd does not start',
      mend: 'kill {pid}: it has inherited the lock from a berthd that is gone',
    },
    'kill-mode': {
      severity: 'error',
      what: 'the unit berthd.service has KillMode={mode}',
      breaks: 'every container, when berthd is stopped or restarted: systemd ends them with it',
      mend: 'set KillMode=process under [Service] (systemctl edit berthd), then systemctl daemon-reload',
    },
    'not-delegated': {
      severity: 'warning',
      what: 'the unit berthd.service has Delegate=no',
      breaks: 'control groups of containers: systemd may move or limit what is in them',
      mend: 'set Delegate=yes under [Service] (systemctl edit berthd), then systemctl daemon-reload && systemctl restart berthd',
    },
    stopped: {
      severity: 'error',
      what: 'berthd (pid {pid}) is stopped or cannot be woken (state {state})',
      breaks: 'every call; containers that run go on',
      mend: 'kill -CONT {pid}; if it waits for a disk (state D), see dmesg',
    },
  },
  async (subject, report) => {
    const { machine, config, configProblems, daemonPid } = subject;
    const unit = await readUnit(subject);
    if (unit.KillMode !== undefined && !['process', 'none'].includes(unit.KillMode))
      report('kill-mode', { mode: unit.KillMode });
    if (unit.Delegate === 'no') report('not-delegated');
    for (const problem of configProblems) report('config-invalid', { problem: machine.shown(problem) });
    const path = config.server.socket;
    const mode = (machine.stat(path)?.mode ?? 0) & 0o777;
    if ((mode & 0o007) !== 0) report('socket-open', { path, mode: mode.toString(8) });
    const lock = `${config.daemon.stateDir}/berthd.lock`;
    if (daemonPid !== undefined) {
      const words = (machine.read(`/proc/${daemonPid}/cmdline`) ?? '').split('\0');
      const command = words.join(' ').trim();
      if (!isDaemonCommand(words)) {
        report('lock-foreign', { path: lock, pid: daemonPid, command });
        return;
      }
      const state = /^State:\s*(\S)/m.exec(machine.read(`/proc/${daemonPid}/status`) ?? '')?.[1] ?? '';
      if (['T', 't', 'D'].includes(state)) {
        report('stopped', { pid: daemonPid, state });
        return;
      }
    }
    const answer = await machine.ask(path);
    if (answer === 'forbidden') report('socket-closed', { path });
    else if (daemonPid === undefined) {
      if (answer === 'answers') report('socket-foreign', { path, state: config.daemon.stateDir });
      else report('not-running');
    } else if (answer === 'absent' || answer === 'refused') report('socket-gone', { path, pid: daemonPid });
    else if (answer === 'silent') report('unresponsive', { path, pid: daemonPid });
  },
);

/** What systemd has of our unit; empty where it has none. */
async function readUnit({ machine, isSystemd }: Subject): Promise<Readonly<Record<string, string>>> {
  const systemctl = isSystemd ? machine.findProgram('systemctl') : undefined;
  if (systemctl === undefined) return {};
  const asked = ['show', 'berthd.service', '--property=LoadState,KillMode,Delegate'];
  const { stdout } = await machine.run(systemctl, asked);
  const entries = stdout.split('\n').map((line) => line.split('='));
  const unit = Object.fromEntries(entries.map(([key = '', value = '']) => [key, value]));
  return unit.LoadState === 'loaded' ? unit : {};
}

/** What the records and the machine do not agree in, as `berth-audit` says. */
export const leftovers = defineArea(
  'leftovers',
  'Leftovers',
  {
    leak: {
      severity: 'warning',
      what: "{what} {path} is there and nobody's",
      breaks: 'nothing at once: it takes space, memory or an address',
      mend: '{mend}; all of them: systemctl stop berthd && berth-audit --fix && systemctl start berthd',
    },
    missing: {
      severity: 'error',
      what: '{what} {path} of {id} is missing',
      breaks: 'the pod or container that counts on it',
      mend: '{mend}',
    },
    conflict: {
      severity: 'warning',
      what: '{what} {path} is that of {id}, and records contradict each other in it',
      breaks: 'a client that goes by the name is answered with one of them, and does not know of the other',
      mend: '{mend}',
    },
    unreadable: {
      severity: 'error',
      what: 'the records cannot be read: {why}',
      breaks: 'berthd does not start, or knows nothing of what ran',
      mend: 'keep a copy of {root}/state.db, then look at docs/recovery.md',
    },
  },
  async ({ machine, config, readers }, report) => {
    const root = config.daemon.rootDir;
    if (!machine.stat(`${root}/state.db`)) return;
    try {
      for (const { kind, what, path, id, mend } of await readers.audit())
        report(kind, { what, path, id: id.slice(0, 12), mend });
    } catch (error) {
      report('unreadable', { why: machine.shown(messageOf(error)), root });
    }
  },
);
