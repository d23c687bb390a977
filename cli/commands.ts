/**
 * The table of all commands, in the order in which help shows them. Each is loaded when it is used, so that a start stays
 * fast. To add one: a row here and `commands/NAME.ts`; then `make generate` for the man pages.
 */
import type { CommandEntry } from './command.ts';

export const commands: readonly CommandEntry[] = [
  {
    name: 'run',
    group: 'containers',
    summary: 'make a container of an image and run a command in it',
    load: () => import('./commands/run.ts'),
  },
  {
    name: 'create',
    group: 'containers',
    summary: 'make a container without starting it',
    load: () => import('./commands/create.ts'),
  },
  {
    name: 'start',
    group: 'containers',
    summary: 'start containers that are created or have ended',
    load: () => import('./commands/start.ts'),
  },
  {
    name: 'stop',
    group: 'containers',
    summary: 'ask containers to end',
    load: () => import('./commands/stop.ts'),
  },
  {
    name: 'restart',
    group: 'containers',
    summary: 'stop containers and start them again',
    load: () => import('./commands/restart.ts'),
  },
  {
    name: 'kill',
    group: 'containers',
    summary: 'send a signal to containers',
    load: () => import('./commands/kill.ts'),
  },
  {
    name: 'rm',
    group: 'containers',
    summary: 'remove containers',
    load: () => import('./commands/rm.ts'),
  },
  {
    name: 'ps',
    aliases: ['list', 'ls'],
    group: 'containers',
    summary: 'list containers',
    load: () => import('./commands/ps.ts'),
  },
  {
    name: 'pods',
    group: 'containers',
    summary: 'list pods',
    load: () => import('./commands/pods.ts'),
  },
  {
    name: 'exec',
    group: 'containers',
    summary: 'run a command in a running container',
    load: () => import('./commands/exec.ts'),
  },
  {
    name: 'attach',
    group: 'containers',
    summary: "join a running container's input and output",
    load: () => import('./commands/attach.ts'),
  },
  {
    name: 'wait',
    group: 'containers',
    summary: 'wait until containers have ended',
    load: () => import('./commands/wait.ts'),
  },
  {
    name: 'logs',
    group: 'containers',
    summary: 'print what a container wrote',
    load: () => import('./commands/logs.ts'),
  },
  {
    name: 'stats',
    group: 'containers',
    summary: 'show what containers use',
    load: () => import('./commands/stats.ts'),
  },
  {
    name: 'top',
    group: 'containers',
    summary: 'show the processes of a container',
    load: () => import('./commands/top.ts'),
  },
  {
    name: 'events',
    group: 'containers',
    summary: 'print what happens to containers and pods',
    load: () => import('./commands/events.ts'),
  },
  {
    name: 'port-forward',
    group: 'containers',
    summary: 'pass connections on to a port in a pod',
    load: () => import('./commands/port-forward.ts'),
  },
  {
    name: 'cp',
    group: 'containers',
    summary: 'copy files into and out of a container',
    load: () => import('./commands/cp.ts'),
  },
  {
    name: 'inspect',
    group: 'containers',
    summary: 'print all that is known of containers or pods',
    load: () => import('./commands/inspect.ts'),
  },
  {
    name: 'port',
    group: 'containers',
    summary: 'show the ports of this machine that lead to a container',
    load: () => import('./commands/port.ts'),
  },
  {
    name: 'update',
    group: 'containers',
    summary: 'change limits of containers',
    load: () => import('./commands/update.ts'),
  },
  {
    name: 'play',
    group: 'containers',
    summary: 'run the pods of a manifest or a Compose file',
    load: () => import('./commands/play.ts'),
  },
  {
    name: 'doctor',
    group: 'node',
    summary: 'find what is wrong on this node, and what mends it',
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'info',
    group: 'node',
    summary: 'show the daemon, what it holds and where',
    load: () => import('./commands/info.ts'),
  },
  {
    name: 'audit',
    group: 'node',
    summary: 'compare records and machine',
    load: () => import('./commands/audit.ts'),
  },
  {
    name: 'version',
    group: 'node',
    summary: 'show the versions of berth and of the daemon',
    load: () => import('./commands/version.ts'),
  },
  {
    name: 'completion',
    group: 'node',
    summary: 'print the completion script of a shell',
    load: () => import('./commands/completion.ts'),
  },
  {
    name: 'help',
    group: 'node',
    summary: 'show help for berth or one of its commands',
    load: () => import('./commands/help.ts'),
  },
  {
    name: '__complete',
    group: 'node',
    summary: 'what a shell may offer for a word (called by completion scripts)',
    hidden: true,
    load: () => import('./commands/complete.ts'),
  },
];
