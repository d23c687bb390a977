/** The completion scripts in the shells that they are for, where those are installed. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { completionScript } from './completion.ts';

const home = mkdtempSync(join(tmpdir(), 'berth-shells-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const bin = fileURLToPath(new URL('../bin', import.meta.url));
const environment = { ...process.env, HOME: home, PATH: `${bin}:${process.env.PATH}`, NO_COLOR: '1' };

const has = (shell: string): boolean =>
  ['/bin', '/usr/bin', '/usr/local/bin'].some((folder) => existsSync(join(folder, shell)));

test.runIf(has('fish'))('fish offers flags with their help, values and files', () => {
  const script = join(home, 'berth.fish');
  writeFileSync(script, completionScript('fish'));
  const offered = (line: string): string[] =>
    execFileSync('fish', ['--no-config', '-c', `source ${script}; complete -C ${JSON.stringify(line)}`], {
      encoding: 'utf8',
      env: environment,
      cwd: home,
    })
      .split('\n')
      .filter(Boolean);
  expect(offered('berth run --netw')).toEqual([expect.stringMatching(/^--network\t.+/)]);
  expect(offered('berth run --network h')).toEqual(['host']);
  expect(offered('berth vol')).toEqual([expect.stringMatching(/^volume\t.+/)]);
  expect(offered('berth run -v ./ber')).toEqual(['./berth.fish']);
});

test.runIf(has('zsh'))(
  'zsh completes a word on a terminal',
  () => {
    const script = join(home, '_berth');
    writeFileSync(script, completionScript('zsh'));
    // Completion needs the line editor, and that a terminal: zsh brings one for its child.
    const driver = `
    zmodload zsh/zpty
    zpty -b child zsh -f -i
    say() { zpty -w child "$1" }
    say "PS1=; stty -echo; autoload -Uz compinit; compinit -u -D; source ${script}; bindkey '^I' complete-word"
    say "show() { print -r -- \\"[shown:$BUFFER]\\" }; zle -N show; bindkey '^X' show; print -r -- ready-$((1+1))"
    zpty -r child seen '*ready-2*'
    zpty -n -w child $'berth run --netw\\t\\x18'
    zpty -r child seen '*shown:*'
    print -r -- "$seen"
    zpty -d child
  `;
    const shown = execFileSync('zsh', ['-f', '-c', driver], {
      encoding: 'utf8',
      env: environment,
      cwd: home,
      timeout: 20_000,
    });
    expect(shown).toContain('berth run --network');
  },
  30_000,
);
