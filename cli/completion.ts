/**
 * Shell completion. The scripts hold no list: they call `berth __complete WORDS...`, which prints what may stand in the
 * place of the last word, a line each, a tab and a description behind it.
 */
import {
  type Argument,
  type Command,
  type CommandEntry,
  type CompletionKind,
  type Flag,
  findCommand,
  loadCommand,
} from './command.ts';
import { globalFlags } from './flags.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** Something to offer; `text` replaces the word. */
export interface Candidate {
  readonly text: string;
  readonly help?: string;
}

/** Stands for "files, as the shell completes them". */
export const filesMarker = ':files';

/** Names from the daemon, by kind; [] where it does not answer. */
export type ListNames = (
  kind: 'container' | 'runningContainer' | 'pod' | 'image' | 'volume',
) => Promise<readonly Candidate[]>;

interface Sources {
  readonly commands: readonly CommandEntry[];
  readonly listNames: ListNames;
}

/** What may stand in the place of the last of `words` (those behind `berth`). */
export async function complete(
  words: readonly string[],
  commands: readonly CommandEntry[],
  listNames: ListNames,
): Promise<readonly Candidate[]> {
  const sources = { commands, listNames };
  const current = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const place = skipFlags(before, globalFlags);
  if (place.pending) return offer(place.pending.complete ?? 'none', current, sources);
  const name = place.args[0];
  const entry = name === undefined ? undefined : findCommand(commands, name);
  if (entry === undefined) {
    if (name !== undefined) return [];
    if (current.startsWith('-')) return flagCandidates(globalFlags, current);
    return commands.flatMap(({ name: text, summary, hidden }) =>
      hidden !== true && text.startsWith(current) ? [{ text, help: summary }] : [],
    );
  }
  return completeIn(await loadCommand(entry), place.args.slice(1), current, sources);
}

async function completeIn(
  command: Command,
  before: readonly string[],
  current: string,
  sources: Sources,
): Promise<readonly Candidate[]> {
  const flags = [...command.flags, ...globalFlags];
  const { pending, args, isOver } = skipFlags(before, flags, command.stopsAtFirstArgument);
  if (pending) return offer(completionOf(pending), current, sources);
  if (!isOver && current.startsWith('-')) {
    const equals = current.indexOf('=');
    if (equals < 0) return flagCandidates(flags, current);
    const flag = flags.find(({ long }) => `--${long}` === current.slice(0, equals));
    const values = flag ? await offer(completionOf(flag), current.slice(equals + 1), sources) : [];
    return values
      .filter(({ text }) => text !== filesMarker)
      .map(({ text, ...rest }) => ({ text: `${current.slice(0, equals)}=${text}`, ...rest }));
  }
  const argument = argumentAt(command.arguments, args.length);
  return argument?.complete === undefined ? [] : offer(argument.complete, current, sources);
}

function completionOf({ complete: kind, choices }: Flag): CompletionKind {
  return choices ?? kind ?? 'none';
}

function argumentAt(args: readonly Argument[], at: number): Argument | undefined {
  const last = args.at(-1);
  return args[at] ?? (last?.repeatable === true ? last : undefined);
}

/** Passes over complete flags. `pending` is a flag whose value comes next. */
function skipFlags(
  words: readonly string[],
  flags: readonly Flag[],
  stopsAtFirstArgument = flags === globalFlags,
): { pending: Flag | undefined; args: readonly string[]; isOver: boolean } {
  const args: string[] = [];
  let pending: Flag | undefined;
  for (const [at, word] of words.entries()) {
    if (pending !== undefined) {
      pending = undefined;
    } else if (word === '--') {
      return { pending: undefined, args: [...args, ...words.slice(at + 1)], isOver: true };
    } else if (word.startsWith('--')) {
      const flag = flags.find(({ long }) => `--${long}` === word);
      if (flag !== undefined && flag.kind !== 'boolean') pending = flag;
    } else if (word.startsWith('-') && word.length > 1) {
      const flag = flags.find(({ short }) => short === word.at(-1));
      const isAlone = [...word.slice(1, -1)].every(
        (letter) => flags.find(({ short }) => short === letter)?.kind === 'boolean',
      );
      if (flag !== undefined && flag.kind !== 'boolean' && isAlone) pending = flag;
    } else if (stopsAtFirstArgument) {
      return { pending: undefined, args: [...args, ...words.slice(at)], isOver: true };
    } else args.push(word);
  }
  return { pending, args, isOver: false };
}

function flagCandidates(flags: readonly Flag[], current: string): Candidate[] {
  return flags.flatMap(({ long, help }) =>
    `--${long}`.startsWith(current) ? [{ text: `--${long}`, help }] : [],
  );
}

async function offer(
  kind: CompletionKind,
  current: string,
  { commands, listNames }: Sources,
): Promise<readonly Candidate[]> {
  if (kind === 'none') return [];
  if (kind === 'file') return [{ text: filesMarker }];
  const all =
    kind === 'command'
      ? commands
          .filter(({ hidden }) => hidden !== true)
          .map(({ name: text, summary: help }) => ({ text, help }))
      : typeof kind === 'string'
        ? await listNames(kind)
        : kind.map((text) => ({ text }));
  return all.filter(({ text }) => text.startsWith(current));
}

/** The script that a shell reads, for instance from its start-up file. */
export function completionScript(shell: Shell): string {
  return scripts[shell];
}

const scripts: Readonly<Record<Shell, string>> = {
  bash: `# bash completion for berth: source <(berth completion bash)
_berth() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}") word=\${COMP_WORDS[COMP_CWORD]} line
  # A colon splits words in bash, but not for berth.
  if declare -F _get_comp_words_by_ref >/dev/null; then
    local cur cword
    _get_comp_words_by_ref -n :=  cur words cword 2>/dev/null && words=("\${words[@]:1:cword}") && word=$cur
  fi
  COMPREPLY=()
  while IFS=$'\\t' read -r line _; do
    if [[ $line == ${filesMarker} ]]; then
      compopt -o filenames 2>/dev/null
      mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word")
    elif [[ -n $line ]]; then
      COMPREPLY+=("$line")
    fi
  done < <("\${COMP_WORDS[0]}" __complete -- "\${words[@]}" 2>/dev/null)
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$word"
  return 0
}
complete -F _berth berth
`,
  zsh: `#compdef berth
# zsh completion for berth: source <(berth completion zsh), or keep it as _berth in a folder of $fpath
_berth() {
  local line text help
  local -a texts helps
  while IFS= read -r line; do
    text=\${line%%$'\\t'*}
    help=\${line#*$'\\t'}
    if [[ $text == ${filesMarker} ]]; then
      _files
    elif [[ -n $text ]]; then
      texts+=("$text")
      [[ $help == $line ]] && helps+=("$text") || helps+=("$text -- $help")
    fi
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#texts} )) && compadd -l -d helps -a texts
}
if [[ \${zsh_eval_context[-1]} == loadautofunc ]]; then
  _berth "$@"
else
  compdef _berth berth
fi
`,
  fish: `# fish completion for berth: berth completion fish | source
function __berth_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  for line in ($words[1] __complete -- $words[2..-1] $current 2>/dev/null)
    if test "$line" = "${filesMarker}"
      __fish_complete_path $current
    else
      echo $line
    end
  end
end
complete -c berth -f -a '(__berth_complete)'
`,
};
