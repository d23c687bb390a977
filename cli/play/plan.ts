/** What a file asks for, whichever language it is written in, before any of it is made. Pure data. */
import type {
  LinuxContainerResourcesInit,
  LinuxContainerSecurityContextInit,
  MountPropagation,
  PortMappingInit,
  SecurityProfileInit,
} from '#proto/generated/cri.ts';

/** What is known of a pod once it has its network, and of the node. */
export interface PodFacts {
  readonly podIps: readonly string[];
  readonly hostIp: string;
  readonly nodeName: string;
  /** What a container without a limit may use. */
  readonly cpus: number;
  readonly memoryBytes: number;
}

/** A value that may be known only when the pod is there; undefined leaves the variable out. */
export type Late = (facts: PodFacts) => string | undefined;

export interface EnvironmentEntry {
  readonly name: string;
  readonly value: Late;
}

export interface VolumeFile {
  readonly path: string;
  readonly content: (facts: PodFacts) => Buffer;
  readonly mode: number;
}

/** Where a volume's content lives. */
export type VolumePlan =
  /** A folder that goes with its pod. */
  | { readonly kind: 'scratch'; readonly inMemory: boolean }
  /** A folder of files that are written before the pod starts and go with it. */
  | { readonly kind: 'files'; readonly files: readonly VolumeFile[] }
  /** A folder that stays until it is asked away; shared by all that name it. */
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'host'; readonly path: string; readonly type: string }
  | { readonly kind: 'image'; readonly image: string; readonly pull: PullWhen };

export interface MountPlan {
  readonly volume: string;
  readonly path: string;
  readonly subPath: string;
  /** $(NAME) in `subPath` stands for variables of the container. */
  readonly expandsSubPath: boolean;
  readonly isReadOnly: boolean;
  readonly isRecursivelyReadOnly: boolean;
  readonly propagation: MountPropagation;
}

export type PullWhen = 'missing' | 'always' | 'never';

export interface ContainerPlan {
  /** In its pod. */
  readonly name: string;
  /** On this machine. */
  readonly fullName: string;
  /** init runs to its end before the next; sidecar starts with the init containers and stays. */
  readonly role: 'init' | 'sidecar' | 'main';
  readonly image: string;
  readonly pull: PullWhen;
  readonly command: readonly string[];
  readonly args: readonly string[];
  /** $(NAME) in command, args and values stands for variables, as Kubernetes has it. */
  readonly expandsVariables: boolean;
  readonly workingDir: string;
  readonly environment: readonly EnvironmentEntry[];
  readonly mounts: readonly MountPlan[];
  readonly resources: LinuxContainerResourcesInit;
  readonly security: LinuxContainerSecurityContextInit;
  /** Most processes; undefined or below 1 for the daemon's own limit. */
  readonly pidsLimit: number | undefined;
  readonly mustNotBeRoot: boolean;
  readonly stdin: boolean;
  readonly stdinOnce: boolean;
  readonly tty: boolean;
  readonly stopSignal: number;
}

export interface HostsLine {
  readonly ip: string;
  readonly names: readonly string[];
}

export interface PodPlan {
  /** What of the file it belongs to: `Pod default/web`, `Deployment default/web`, `compose shop`. */
  readonly owner: string;
  readonly namespace: string;
  readonly name: string;
  /** Unique on the machine, and the same whenever the file is played. */
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** What the daemon is told by annotations (`#base/managed-pod.ts`), of the pod and its containers. */
  readonly marks: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly dns:
    | {
        readonly servers: readonly string[];
        readonly searches: readonly string[];
        readonly options: readonly string[];
      }
    | undefined;
  readonly ports: readonly PortMappingInit[];
  readonly network: 'pod' | 'host' | 'none';
  readonly pid: 'container' | 'pod' | 'host';
  readonly ipc: 'pod' | 'host';
  readonly sysctls: Readonly<Record<string, string>>;
  readonly seccomp: SecurityProfileInit;
  readonly runtimeHandler: string;
  readonly stopSeconds: number;
  /** The group of the volumes' files. */
  readonly volumeGroup: number | undefined;
  readonly volumes: Readonly<Record<string, VolumePlan>>;
  /** In the order of starting. */
  readonly containers: readonly ContainerPlan[];
  /** Own lines of /etc/hosts; undefined leaves the file to the daemon. */
  readonly hosts: readonly HostsLine[] | undefined;
  /** Under which its siblings find it, and it them, by /etc/hosts. [] for none. */
  readonly siblingNames: readonly string[];
}

export interface PlayPlan {
  /** In the order of starting. */
  readonly pods: readonly PodPlan[];
  /** All that a file may have made, also in an earlier version of it. */
  readonly owners: readonly string[];
  readonly notes: readonly string[];
}

/** A mistake in a file that cannot be played; `problems` are lines for the user. */
export class PlayError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'PlayError';
    this.problems = problems;
  }
}
