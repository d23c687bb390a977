/** Parts that the security contexts of sandboxes and containers have in common. */
import {
  type Int64Value,
  type SecurityProfile as ProfileMessage,
  SecurityProfile_ProfileType as ProfileType,
  type SELinuxOption,
} from '#proto/generated/cri.ts';
import type { SecurityProfile, SelinuxOptions } from '#runtime/sandbox/config.ts';
import { checkCount, checkText, invalidField, requireText, toNumber, toWord } from './field.ts';

/** Greatest uid and gid that peers accept. */
const maxId = 2 ** 31 - 1;

const profileTypes: Readonly<Record<number, SecurityProfile['type']>> = {
  [ProfileType.RuntimeDefault]: 'runtimeDefault',
  [ProfileType.Unconfined]: 'unconfined',
  [ProfileType.Localhost]: 'localhost',
};

/**
 * A seccomp or AppArmor profile. The message wins over the deprecated string (`unconfined`, `runtime/default`,
 * `docker/default`, `localhost/REF`), which counts only when the message is absent; undefined when both are.
 */
export function toSecurityProfile(
  message: ProfileMessage | undefined,
  path: string,
  deprecated: { readonly value: string; readonly path: string } | undefined,
): SecurityProfile | undefined {
  if (message === undefined) {
    return deprecated && deprecated.value !== ''
      ? fromDeprecated(deprecated.value, deprecated.path)
      : undefined;
  }
  const type = toWord(message.profile_type, profileTypes, `${path}.profile_type`);
  const localhostRef = checkText(message.localhost_ref, `${path}.localhost_ref`, 4095);
  if (type === 'localhost' && localhostRef === '') throw invalidField(`${path}.localhost_ref`, 'is empty');
  if (type !== 'localhost' && localhostRef !== '') {
    throw invalidField(`${path}.localhost_ref`, 'must be empty unless profile_type is Localhost');
  }
  return { type, localhostRef };
}

function fromDeprecated(value: string, path: string): SecurityProfile {
  if (value === 'unconfined') return { type: 'unconfined', localhostRef: '' };
  if (value === 'runtime/default' || value === 'docker/default')
    return { type: 'runtimeDefault', localhostRef: '' };
  const prefix = 'localhost/';
  if (!value.startsWith(prefix) || value.length === prefix.length) {
    throw invalidField(
      path,
      `must be unconfined, runtime/default or localhost/NAME: ${JSON.stringify(value)}`,
    );
  }
  return { type: 'localhost', localhostRef: requireText(value.slice(prefix.length), path, 4095) };
}

export function toSelinuxOptions(
  message: SELinuxOption | undefined,
  path: string,
): SelinuxOptions | undefined {
  if (message === undefined) return undefined;
  for (const part of ['user', 'role', 'type', 'level'] as const) {
    checkText(message[part], `${path}.${part}`, 1024);
    if (/\s/.test(message[part])) throw invalidField(`${path}.${part}`, 'must not contain blanks');
  }
  return { user: message.user, role: message.role, type: message.type, level: message.level };
}

/** A wrapped uid or gid; undefined when the message is absent. */
export function toId(message: Int64Value | undefined, path: string): number | undefined {
  return message === undefined ? undefined : toNumber(message.value, path, 0, maxId);
}

export function toGroups(groups: readonly bigint[], path: string): readonly number[] {
  return checkCount(groups, path, 65_536).map((group, index) =>
    toNumber(group, `${path}[${index}]`, 0, maxId),
  );
}
