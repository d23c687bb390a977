/**
 * A CNI plugin for tests: a shell script that records how it was called and answers as told. Everything it knows lies in
 * the folder `TYPE.d` beside it: `calls` (one file per call), `versions`, and `COMMAND.status`, `COMMAND.stdout`,
 * `COMMAND.stderr`, `COMMAND.block` per command.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const script = `#!/bin/sh
dir="$0.d"
input="$(cat)"
command="$CNI_COMMAND"
number=$(ls "$dir/calls" | wc -l)
file="$dir/calls/$(date +%s%N)-$number"
printf '%s\\n' "$command" "$CNI_CONTAINERID" "$CNI_NETNS" "$CNI_IFNAME" "$CNI_ARGS" "$CNI_PATH" "$0" > "$file.draft"
printf '%s' "$input" >> "$file.draft"
mv "$file.draft" "$file"
if [ -e "$dir/$command.block" ]; then sleep 600 & wait; fi
[ -e "$dir/$command.stderr" ] && cat "$dir/$command.stderr" >&2
if [ -e "$dir/$command.stdout" ]; then cat "$dir/$command.stdout"
elif [ "$command" = VERSION ]; then cat "$dir/versions"
fi
[ -e "$dir/$command.status" ] && exit "$(cat "$dir/$command.status")"
exit 0
`;

export interface RecordedCall {
  readonly plugin: string;
  readonly command: string;
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
  readonly args: string;
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it freely
  readonly config: any;
}

export interface Answer {
  readonly status?: number;
  readonly stdout?: unknown;
  readonly stderr?: string;
  /** Never ends by itself, and has a child that does not either. */
  readonly blocks?: boolean;
}

export class FixturePlugin {
  readonly type: string;
  readonly #data: string;

  /** Installs the plugin `type` in the folder `dir`. */
  constructor(dir: string, type: string, versions: readonly string[] = ['0.4.0', '1.0.0', '1.1.0']) {
    this.type = type;
    this.#data = `${dir}/${type}.d`;
    mkdirSync(`${this.#data}/calls`, { recursive: true });
    writeFileSync(`${dir}/${type}`, script, { mode: 0o755 });
    writeFileSync(
      `${this.#data}/versions`,
      JSON.stringify({ cniVersion: '1.1.0', supportedVersions: versions }),
    );
  }

  /** Sets the answer to a command; without one the plugin succeeds and prints nothing. */
  answer(command: string, answer: Answer): void {
    for (const kind of ['status', 'stdout', 'stderr', 'block'])
      rmSync(`${this.#data}/${command}.${kind}`, { force: true });
    const write = (kind: string, text: string) => writeFileSync(`${this.#data}/${command}.${kind}`, text);
    if (answer.status !== undefined) write('status', String(answer.status));
    if (answer.stdout !== undefined) {
      write('stdout', typeof answer.stdout === 'string' ? answer.stdout : JSON.stringify(answer.stdout));
    }
    if (answer.stderr !== undefined) write('stderr', answer.stderr);
    if (answer.blocks) write('block', '');
  }

  /** Fails a command as the specification asks: status 1, the error as JSON. */
  fail(command: string, code: number, msg: string, details = ''): void {
    this.answer(command, { status: 1, stdout: { cniVersion: '1.0.0', code, msg, details } });
  }

  /** The calls so far, VERSION left out unless asked for, in order, each with the time it was made at in its name. */
  listCalls(withVersion = false): (RecordedCall & { readonly order: string })[] {
    return readdirSync(`${this.#data}/calls`)
      .filter((name) => !name.endsWith('.draft'))
      .sort()
      .map((order) => {
        const text = readFileSync(`${this.#data}/calls/${order}`, 'utf8');
        const [
          command = '',
          containerId = '',
          netns = '',
          ifName = '',
          args = '',
          path = '',
          program = '',
          ...rest
        ] = text.split('\n');
        const plugin = program.slice(program.lastIndexOf('/') + 1);
        const config = JSON.parse(rest.join('\n') || 'null');
        return { order, plugin, command, containerId, netns, ifName, args, path, config };
      })
      .filter(({ command }) => withVersion || command !== 'VERSION');
  }

  /** Forgets the calls so far. */
  clear(): void {
    for (const name of readdirSync(`${this.#data}/calls`)) rmSync(`${this.#data}/calls/${name}`);
  }
}
