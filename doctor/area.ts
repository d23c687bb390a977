/** What the doctor can find, cut into areas: each has a table of its faults, from which findings and documentation are made. */
import type { Finding as AuditFinding } from '#base/finding.ts';
import type { Machine } from './machine.ts';

/** `error`: something does not work. `warning`: something will not, or not always. `note`: a feature is missing. */
export type Severity = 'error' | 'warning' | 'note';

/** A row of an area's table. `{words in braces}` stand for what is found on the machine. */
export interface Fault {
  readonly severity: Severity;
  readonly what: string;
  readonly breaks: string;
  /** Commands, or what to write where. */
  readonly mend: string;
}

export interface Diagnosis {
  /** `AREA/FAULT`, for scripts. */
  readonly id: string;
  readonly severity: Severity;
  readonly what: string;
  readonly breaks: string;
  readonly mend: string;
}

/** The part of berthd's configuration that decides about faults. */
export interface DoctorConfig {
  readonly daemon: { readonly rootDir: string; readonly stateDir: string };
  readonly server: { readonly socket: string };
  readonly runtime: {
    readonly defaultHandler: string;
    readonly cgroupDriver: 'auto' | 'cgroupfs' | 'systemd';
    readonly conmonPath: string;
    readonly initPath: string;
    readonly apparmorProfile: string;
    readonly seccompProfile: string;
  };
  readonly network: {
    readonly cniConfigDir: string;
    readonly cniPluginDirs: readonly string[];
    readonly defaultNetwork: boolean;
  };
  readonly images: {
    readonly registryConfigDirs: readonly string[];
    readonly registriesConf: string;
    readonly authFiles: readonly string[];
    readonly signaturePolicy: string;
    readonly snapshotter: 'auto' | 'overlay' | 'native';
  };
  readonly nri: { readonly enable: boolean; readonly socketPath: string };
  readonly handlers: Readonly<Record<string, { readonly path: string; readonly type: 'crun' | 'runc' }>>;
}

/** The CNI configuration in use. */
export interface ChosenNetwork {
  readonly path: string;
  readonly name: string;
  /** Of the specification. */
  readonly version: string;
  /** The plugins' objects as written. */
  readonly plugins: readonly Readonly<Record<string, unknown>>[];
  /** Whether berthd carries it out without its plugins, and if it is told to, why not. */
  readonly builtin: { readonly isUsed: boolean; readonly reason: string };
}

/** What the doctor asks of the parts that know a file format: the same code that the daemon reads them with. */
export interface Readers {
  /** `problems` says what is wrong with files that were passed over; '' if nothing is. */
  readCniFolder(dir: string): {
    readonly chosen: ChosenNetwork | undefined;
    readonly hasCandidates: boolean;
    readonly problems: string;
  };
  /** Throws what a pull from `domain` would. */
  readRegistryHosts(root: string, domain: string): readonly { origin: string; skipVerify: boolean }[];
  /** Throws what a pull would. */
  readRegistriesConf(path: string): { readonly blocked: readonly string[] };
  /** Throws what a pull would; whether the policy lets an image of a name nobody knows in. */
  readSignaturePolicy(path: string): { readonly rejectsByDefault: boolean };
  /** Compares the daemon's records with the machine. Throws NotFound if there are none yet. */
  audit(): Promise<readonly AuditFinding[]>;
}

/** All that an area may look at. */
export interface Subject {
  readonly machine: Machine;
  readonly config: DoctorConfig;
  /** Mistakes in the configuration; `config` then holds the defaults. */
  readonly configProblems: readonly string[];
  readonly readers: Readers;
  /** The daemon's, by the lock that it holds; undefined if none runs. */
  readonly daemonPid: number | undefined;
  /** Whether systemd is PID 1. */
  readonly isSystemd: boolean;
}

/** Values for the words in braces. */
type Words = Readonly<Record<string, string | number>>;

export interface Area {
  readonly name: string;
  readonly title: string;
  readonly faults: Readonly<Record<string, Fault>>;
  look(subject: Subject): Promise<Diagnosis[]>;
}

function fill(text: string, words: Words): string {
  return text.replace(/\{(\w+)\}/g, (whole, word: string) => String(words[word] ?? whole));
}

/** Defines an area. `look` reports the names of faults, with the words that go into their texts. */
export function defineArea<K extends string>(
  name: string,
  title: string,
  faults: Readonly<Record<K, Fault>>,
  look: (subject: Subject, report: (fault: K, words?: Words) => void) => Promise<void> | void,
): Area {
  return {
    name,
    title,
    faults,
    look: async (subject) => {
      const found: Diagnosis[] = [];
      await look(subject, (key, words = {}) => {
        const { severity, what, breaks, mend } = faults[key];
        found.push({
          id: `${name}/${key}`,
          severity,
          what: fill(what, words),
          breaks: fill(breaks, words),
          mend: fill(mend, words),
        });
      });
      return found;
    },
  };
}

/** The cgroup driver that berthd uses with this configuration. */
export function effectiveDriver({ config, isSystemd }: Subject): 'cgroupfs' | 'systemd' {
  const { cgroupDriver } = config.runtime;
  if (cgroupDriver !== 'auto') return cgroupDriver;
  return isSystemd ? 'systemd' : 'cgroupfs';
}

/** Whether a kubelet is set up on this node. */
export function hasKubelet({ machine }: Subject): boolean {
  return machine.stat('/var/lib/kubelet/config.yaml') !== undefined;
}

/** A sysctl as a number; undefined if this kernel does not have it. */
export function readNumber(machine: Machine, path: string): number | undefined {
  const text = machine.read(path)?.trim() ?? '';
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}
