/**
 * What a managed pod's container has beyond what the CRI can say: file systems in memory, limits of its processes, an init.
 * The words are annotations (`#base/managed-pod.ts`); a pod of a kubelet gets none of it.
 */
import { RuntimeError } from '#base/errors.ts';
import { extrasOf, type ManagedExtras } from '#base/managed-pod.ts';
import type { ContainerSpecInput } from './inputs.ts';
import { cleanPath, inMountOrder } from './mounts.ts';
import type { OciMount, OciProcess } from './oci-spec.ts';

/** Where the init stands in the container: on a tmpfs that every container has, so that no image is in the way. */
const initInContainer = '/dev/.berth-init';

/** getrlimit(2). */
const limitNames = new Set(
  'as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(
    ' ',
  ),
);

const tmpfsOption =
  /^(?:ro|rw|exec|noexec|suid|nosuid|dev|nodev|(?:no|rel|strict)?atime|size=\d+[kmg%]?|mode=[0-7]{1,4}|(?:uid|gid|nr_inodes)=\d+[kmg]?)$/i;

/** The extras of a container. Throws InvalidArgument for one that cannot be meant so, FailedPrecondition without an init. */
export function managedExtras(
  input: Pick<ContainerSpecInput, 'config' | 'sandboxConfig' | 'initPath'>,
): ManagedExtras | undefined {
  const extras = extrasOf(input.sandboxConfig.labels, input.config.annotations);
  if (extras?.hasInit === true && (input.initPath ?? '') === '')
    throw new RuntimeError(
      'FailedPrecondition',
      'an init was asked for (--init), which catatonit is, and it is not installed; run: apt-get install catatonit',
    );
  return extras;
}

/** The mounts with file systems in memory, and with the init. */
export function withExtraMounts(
  mounts: readonly OciMount[],
  extras: ManagedExtras | undefined,
  initPath: string | undefined,
): OciMount[] {
  if (extras === undefined) return [...mounts];
  const more = Object.entries(extras.tmpfs).map(([path, options]) => tmpfsMount(path, options));
  const replaced = new Set(more.map(({ destination }) => destination));
  const init = extras.hasInit
    ? [
        {
          destination: initInContainer,
          type: 'bind',
          source: initPath!,
          options: ['bind', 'ro', 'nosuid', 'nodev'],
        },
      ]
    : [];
  return inMountOrder([...mounts.filter(({ destination }) => !replaced.has(destination)), ...more, ...init]);
}

/** The process below its init, and with its limits. */
export function withExtraLimits(process: OciProcess, extras: ManagedExtras | undefined): OciProcess {
  if (extras === undefined) return process;
  const rlimits = Object.entries(extras.limits).map(([name, { soft, hard }]) => {
    if (!limitNames.has(name))
      throw new RuntimeError(
        'InvalidArgument',
        `there is no limit ${JSON.stringify(name)}; there are ${[...limitNames].join(', ')}`,
      );
    return { type: `RLIMIT_${name.toUpperCase()}`, soft, hard };
  });
  return {
    ...process,
    ...(extras.hasInit ? { args: [initInContainer, '--', ...process.args] } : {}),
    ...(rlimits.length > 0 ? { rlimits } : {}),
  };
}

function tmpfsMount(path: string, text: string): OciMount {
  const destination = cleanPath(path);
  const options = text.split(',').filter((option) => option !== '');
  const wrong = options.find((option) => !tmpfsOption.test(option));
  if (wrong !== undefined)
    throw new RuntimeError(
      'InvalidArgument',
      `the option ${JSON.stringify(wrong)} of the tmpfs at ${path} is not known; known are size=, mode=, uid=, gid=, nr_inodes=, ro, exec, suid, dev`,
    );
  if (!path.startsWith('/') || destination === '/')
    throw new RuntimeError('InvalidArgument', `a tmpfs cannot be at ${JSON.stringify(path)}`);
  return {
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'nodev', 'noexec', ...options],
  };
}
