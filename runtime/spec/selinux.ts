/** SELinux labels of a container (CRI SELinuxOption; OCI config.md selinuxLabel, config-linux.md mountLabel). */
import { RuntimeError } from '#base/errors.ts';
import type { SelinuxOptions } from '../sandbox/config.ts';

export interface SelinuxLabels {
  readonly process: string;
  /** For the root file system, /dev/shm and relabelled mounts. */
  readonly mount: string;
}

export interface SelinuxInput {
  readonly isEnabled: boolean;
  /** The container's options, or the sandbox's where the container has none. */
  readonly options: SelinuxOptions | undefined;
  /** The pod's own level, for options that name none: all containers of a pod share it. '' for plain s0. */
  readonly podLevel: string;
  readonly isPrivileged: boolean;
}

const maxCategory = 1023;

/**
 * The labels, or undefined where SELinux is off. Privileged processes are of type spc_t. Throws InvalidArgument for a
 * field that cannot be part of a label, so that creating the container fails and not its start.
 */
export function selinuxLabels(input: SelinuxInput): SelinuxLabels | undefined {
  if (!input.isEnabled) return undefined;
  const { options } = input;
  const user = field(options?.user, 'system_u', 'user');
  const role = field(options?.role, 'system_r', 'role');
  const type = input.isPrivileged ? 'spc_t' : field(options?.type, 'container_t', 'type');
  const level = checkLevel(options?.level || input.podLevel || 's0');
  return {
    process: `${user}:${role}:${type}:${level}`,
    mount: `system_u:object_r:container_file_t:${level}`,
  };
}

function field(value: string | undefined, fallback: string, name: string): string {
  if (value === undefined || value === '') return fallback;
  if (!/^[A-Za-z0-9_.-]{1,128}$/.test(value)) {
    throw new RuntimeError('InvalidArgument', `SELinux ${name} ${JSON.stringify(value)} is not valid`);
  }
  return value;
}

/** `s0`, `s0:c1,c2`, `s0:c0.c1023` or a range `s0-s0:c1,c2`. */
function checkLevel(level: string): string {
  const categories = [...level.matchAll(/c(\d+)/g)].map((match) => Number(match[1]));
  const single = String.raw`s\d{1,2}(?::c\d{1,4}(?:[.,]c\d{1,4})*)?`;
  const isSound =
    new RegExp(`^${single}(?:-${single})?$`).test(level) &&
    categories.every((category) => category <= maxCategory);
  if (!isSound) {
    throw new RuntimeError('InvalidArgument', `SELinux level ${JSON.stringify(level)} is not valid`);
  }
  return level;
}
