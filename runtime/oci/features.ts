/** What an OCI runtime can do, as it says itself. */
import { RuntimeError } from '#base/errors.ts';
import { run, succeeded } from '#host/launch.ts';

/** What an OCI runtime can do, found out by `probeFeatures`. */
export interface HandlerFeatures {
  /** What `--version` prints first, such as `crun version 1.8.1`. */
  readonly version: string;
  /** Takes the mount option `rro`. */
  readonly hasRecursiveReadonly: boolean;
  /** Makes idmapped mounts with mappings given per mount. */
  readonly hasIdmappedMounts: boolean;
  /** Good for pods with a user namespace. */
  readonly hasUserNamespaces: boolean;
  /** Built to call CRIU. */
  readonly hasCheckpoint: boolean;
}

/** The parts of a features document that Berth reads (runtime-spec features.md). */
interface FeaturesDocument {
  readonly mountOptions?: readonly string[];
  readonly linux?: {
    readonly namespaces?: readonly string[];
    readonly mountExtensions?: { readonly idmap?: { readonly enabled?: boolean } };
  };
}

function parseFeatures(path: string, text: string): FeaturesDocument {
  try {
    return JSON.parse(text) as FeaturesDocument;
  } catch (error) {
    throw new RuntimeError('Internal', `${path} features printed no JSON`, { cause: error });
  }
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const match = /(\d+)\.(\d+)/.exec(version);
  if (!match) return false;
  const [found, foundMinor] = [Number(match[1]), Number(match[2])];
  return found > major || (found === major && foundMinor >= minor);
}

/**
 * Asks an OCI runtime what it can do: by its `features` command, and for a crun too old to have one (before 1.8.7) by its
 * version: the option rro came with 1.4, mappings per mount as Kubernetes needs them with 1.9.
 * Throws FailedPrecondition if the program cannot be run.
 */
export async function probeFeatures(type: 'crun' | 'runc', path: string): Promise<HandlerFeatures> {
  const [versionRun, featuresRun] = await Promise.all([
    run({ path, args: ['--version'], timeoutMs: 10_000 }),
    run({ path, args: ['features'], timeoutMs: 10_000 }),
  ]);
  const version = versionRun.stdout.toString().split('\n')[0]?.trim() ?? '';
  // crun lists what it was built with; runc calls the program criu and always can.
  const hasCheckpoint = type === 'runc' || /\+CRIU\b/.test(versionRun.stdout.toString());
  if (version === '')
    throw new RuntimeError('FailedPrecondition', `${path} --version printed nothing; is it ${type}?`);
  if (!succeeded(featuresRun.status)) {
    const isCrun = type === 'crun';
    return {
      version,
      hasRecursiveReadonly: isCrun && isAtLeast(version, 1, 4),
      hasIdmappedMounts: isCrun && isAtLeast(version, 1, 9),
      hasUserNamespaces: isCrun && isAtLeast(version, 1, 9),
      hasCheckpoint,
    };
  }
  const document = parseFeatures(path, featuresRun.stdout.toString());
  const hasIdmappedMounts = document.linux?.mountExtensions?.idmap?.enabled ?? false;
  return {
    version,
    hasRecursiveReadonly: document.mountOptions?.includes('rro') ?? false,
    hasIdmappedMounts,
    hasUserNamespaces: hasIdmappedMounts && (document.linux?.namespaces?.includes('user') ?? false),
    hasCheckpoint,
  };
}
