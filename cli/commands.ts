/**
 * The table of all commands, in the order in which help shows them. Each is loaded when it is used, so that a start stays
 * fast. To add one: a row here and `commands/NAME.ts`; then `make generate` for the man pages.
 */
import type { CommandEntry } from './command.ts';

export const commands: readonly CommandEntry[] = [
  {
    name: 'doctor',
    group: 'node',
    summary: 'find what is wrong on this node, and what mends it',
    load: () => import('./commands/doctor.ts'),
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
