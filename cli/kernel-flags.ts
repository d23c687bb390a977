/** Flags of `run` that stand for what the kernel or its files have: limits of processes, lines of /etc/hosts, ids of users. */
import { isIP } from 'node:net';
import { NamespaceMode, type NamespaceOptionInit } from '#proto/generated/cri.ts';
import { UsageError } from './command.ts';
import type { FlagValues } from './flag-values.ts';

/** `NAME=SOFT[:HARD]` of `--ulimit` as `[soft, hard]` by name, -1 for none. Throws UsageError. */
export function limitsByName(texts: readonly string[]): Record<string, [number, number]> {
  return Object.fromEntries(
    texts.map((text) => {
      const match = /^([a-z]+)=(-1|unlimited|\d+)(?::(-1|unlimited|\d+))?$/.exec(text);
      if (match === null)
        throw new UsageError(
          `--ulimit: ${JSON.stringify(text)} is not NAME=SOFT[:HARD]`,
          'For instance --ulimit nofile=1024:4096; unlimited is -1.',
        );
      const [soft, hard] = [match[2]!, match[3] ?? match[2]!].map((word) =>
        word === 'unlimited' ? -1 : Number(word),
      ) as [number, number];
      if (hard !== -1 && (soft === -1 || soft > hard))
        throw new UsageError(`--ulimit: ${JSON.stringify(text)}: the soft limit is above the hard one`);
      return [match[1]!, [soft, hard]];
    }),
  );
}

/** `NAME:IP` of `--add-host` as lines of /etc/hosts. Throws UsageError. */
export function hostLines(texts: readonly string[]): string[] {
  return texts.map((text) => {
    const [, name, address = ''] = /^([^\s:=]+)[:=](.+)$/.exec(text) ?? [];
    const ip = address.replace(/^\[|\]$/g, '');
    if (ip === 'host-gateway')
      throw new UsageError(
        '--add-host: which address leads to this machine is known when the pod has a network, and not before',
        'Give an address of this machine: `ip addr` lists them.',
      );
    if (name === undefined || isIP(ip) === 0)
      throw new UsageError(
        `--add-host: ${JSON.stringify(text)} is not NAME:IP`,
        'For instance --add-host db:10.0.0.7.',
      );
    return `${ip} ${name}`;
  });
}

const usualIds = 65_536;

/** `host`, or `FIRST[:COUNT]` of `--userns`: ids of this machine that stand for 0 and on in the container. Throws UsageError. */
export function userNamespace(flags: FlagValues): Pick<NamespaceOptionInit, 'userns_options'> {
  const text = flags.string('userns')!;
  if (text === 'host') return {};
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
  if (match === null)
    throw new UsageError(
      `--userns: ${JSON.stringify(text)} is not host or FIRST[:COUNT]`,
      'For instance --userns 100000:65536: root in the container is user 100000 of this machine.',
    );
  const ids = [{ host_id: Number(match[1]), container_id: 0, length: Number(match[2] ?? usualIds) }];
  return { userns_options: { mode: NamespaceMode.POD, uids: ids, gids: ids } };
}
