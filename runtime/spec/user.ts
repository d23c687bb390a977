/**
 * Who the process runs as (CRI api.proto, LinuxContainerSecurityContext; OCI image-spec config.md, `User`). The texts of
 * /etc/passwd and /etc/group come from the image and are not to be trusted: what does not parse is skipped, and nothing
 * from them reaches a spec but numbers and an absolute home.
 */
import { RuntimeError } from '#base/errors.ts';
import type { ContainerSecurity } from '../container/config.ts';
import type { ResolvedUser } from './inputs.ts';

/** The greatest uid or gid the CRI allows (2^31 - 1). */
export const maxUserId = 2147483647;
const maxFileLength = 4 * 1024 * 1024;
/** The kernel's limit (NGROUPS_MAX). */
const maxGroups = 65536;

export interface UserRequest {
  readonly security: Pick<
    ContainerSecurity,
    'runAsUser' | 'runAsGroup' | 'runAsUsername' | 'supplementalGroups' | 'supplementalGroupsPolicy'
  >;
  /** The image's `User`: '', `user` or `user:group`, each a name or a number. */
  readonly imageUser: string;
  /** Text of /etc/passwd in the root file system; undefined when there is none. */
  readonly passwd: string | undefined;
  /** Text of /etc/group in the root file system; undefined when there is none. */
  readonly group: string | undefined;
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * The uid, gid, groups and home of a container's process. run_as_username goes before run_as_user, and that before the
 * image's user. A number is always an id and never a name, so that an image cannot give the name `1000` to root.
 * Throws InvalidArgument: a group without a user, a name the image does not have, an id out of range, a file too large.
 */
export function resolveUser(request: UserRequest): ResolvedUser {
  const { security } = request;
  const { user, group } = requestedUser(request);
  const accounts = parsePasswd(request.passwd ?? '');
  const groups = parseGroup(request.group ?? '');

  const account = findAccount(accounts, user);
  const uid = account?.uid ?? parseId(user, 'user');
  const gid = group === '' ? (account?.gid ?? 0) : findGid(groups, group);
  const all = new Set<number>([gid]);
  if (security.supplementalGroupsPolicy === 'merge' && account !== undefined) {
    for (const entry of groups) if (entry.members.includes(account.name)) all.add(entry.gid);
  }
  for (const id of security.supplementalGroups) all.add(checkId(id, 'supplemental group'));
  if (all.size > maxGroups) {
    throw new RuntimeError('InvalidArgument', `user ${user} has ${all.size} groups, more than ${maxGroups}`);
  }
  return {
    uid,
    gid,
    additionalGids: [...all].sort((a, b) => a - b),
    home: account?.home ?? (uid === 0 ? '/root' : '/'),
  };
}

/** The user and group asked for, as text: a number or a name; group '' when none is named. */
function requestedUser(request: UserRequest): { user: string; group: string } {
  const { runAsUser, runAsGroup, runAsUsername } = request.security;
  if (runAsUser === undefined && runAsUsername === '') {
    if (runAsGroup !== undefined) {
      throw new RuntimeError(
        'InvalidArgument',
        `run_as_group ${runAsGroup} was given without run_as_user or run_as_username`,
      );
    }
    return splitImageUser(request.imageUser);
  }
  const group = runAsGroup === undefined ? '' : String(checkId(runAsGroup, 'group'));
  if (runAsUsername !== '') return { user: checkName(runAsUsername, 'run_as_username'), group };
  return { user: String(checkId(runAsUser ?? 0, 'user')), group };
}

function splitImageUser(imageUser: string): { user: string; group: string } {
  const [user = '', group = '', ...rest] = imageUser.split(':');
  if (rest.length > 0) {
    throw new RuntimeError(
      'InvalidArgument',
      `the image's user ${JSON.stringify(imageUser)} is not user:group`,
    );
  }
  return {
    user: user === '' ? '0' : checkName(user, "the image's user"),
    group: checkName(group, "the image's group"),
  };
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function checkName(name: string, what: string): string {
  if (/[\x00-\x1f\x7f:]/.test(name) || name.length > 256) {
    throw new RuntimeError('InvalidArgument', `${what} ${JSON.stringify(name.slice(0, 64))} is not a name`);
  }
  return name;
}

function checkId(id: number, what: string): number {
  if (!Number.isSafeInteger(id) || id < 0 || id > maxUserId) {
    throw new RuntimeError('InvalidArgument', `${what} ${id} is outside 0..${maxUserId}`);
  }
  return id;
}

function parseId(text: string, what: string): number {
  return checkId(Number(text), what);
}

/** The account of a name or a uid. A uid need not have one; a name must. */
function findAccount(accounts: readonly PasswdEntry[], user: string): PasswdEntry | undefined {
  if (isNumber(user)) {
    const uid = parseId(user, 'user');
    return accounts.find((entry) => entry.uid === uid);
  }
  const account = accounts.find((entry) => entry.name === user);
  if (account === undefined) {
    throw new RuntimeError(
      'InvalidArgument',
      `user ${user} is not in the image's /etc/passwd, give a uid or add the user`,
    );
  }
  return account;
}

function findGid(groups: readonly GroupEntry[], group: string): number {
  if (isNumber(group)) return parseId(group, 'group');
  const entry = groups.find((candidate) => candidate.name === group);
  if (entry === undefined) {
    throw new RuntimeError(
      'InvalidArgument',
      `group ${group} is not in the image's /etc/group, give a gid or add the group`,
    );
  }
  return entry.gid;
}

/** Lines of name:password:uid:gid:comment:home:shell; others are skipped, as getpwent does. */
function parsePasswd(text: string): PasswdEntry[] {
  const entries: PasswdEntry[] = [];
  for (const [name = '', , uid = '', gid = '', , home = ''] of fieldsOf(text, '/etc/passwd')) {
    if (name === '' || !isValidId(uid) || !isValidId(gid)) continue;
    const isHomeSound = home.startsWith('/') && !/[\x00-\x1f\x7f]/.test(home);
    entries.push({ name, uid: Number(uid), gid: Number(gid), home: isHomeSound ? home : '/' });
  }
  return entries;
}

/** Lines of name:password:gid:member,member. */
function parseGroup(text: string): GroupEntry[] {
  const entries: GroupEntry[] = [];
  for (const [name = '', , gid = '', members = ''] of fieldsOf(text, '/etc/group')) {
    if (name === '' || !isValidId(gid)) continue;
    entries.push({ name, gid: Number(gid), members: members.split(',').map((member) => member.trim()) });
  }
  return entries;
}

function isValidId(text: string): boolean {
  return isNumber(text) && Number(text) <= maxUserId;
}

function* fieldsOf(text: string, path: string): Generator<string[]> {
  if (text.length > maxFileLength) {
    throw new RuntimeError('InvalidArgument', `the image's ${path} is larger than ${maxFileLength} bytes`);
  }
  for (const line of text.split('\n')) {
    const trimmed = line.trim();
    if (trimmed !== '' && !trimmed.startsWith('#')) yield trimmed.split(':');
  }
}
