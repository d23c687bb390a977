/**
 * What a client asks of a container, in Berth's own words; `cri/convert` makes it from a ContainerConfig. Plain data that
 * survives JSON.
 */
import type {
  IdMapping,
  LinuxResources,
  NamespaceOptions,
  SecurityProfile,
  SelinuxOptions,
} from '../sandbox/config.ts';

export type ContainerId = string & { readonly brand: 'ContainerId' };

export type MountPropagation = 'private' | 'hostToContainer' | 'bidirectional';

export interface ImageSpec {
  /** As the client sent it: an ID, a tag or a digest. */
  readonly image: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly userSpecifiedImage: string;
  readonly runtimeHandler: string;
}

export interface RequestedMount {
  readonly containerPath: string;
  /** '' when `image` is given. */
  readonly hostPath: string;
  readonly isReadonly: boolean;
  readonly selinuxRelabel: boolean;
  readonly propagation: MountPropagation;
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
  readonly isRecursiveReadonly: boolean;
  readonly image: ImageSpec | undefined;
  readonly imageSubPath: string;
  /** Further options of the bind mount, such as noexec; absent in records of an older Berth. */
  readonly mountOptions?: readonly string[];
}

export interface RequestedDevice {
  readonly containerPath: string;
  readonly hostPath: string;
  /** A subset of "rwm". */
  readonly permissions: string;
}

export interface Capabilities {
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly addAmbient: readonly string[];
}

export interface ContainerSecurity {
  readonly namespaces: NamespaceOptions;
  readonly capabilities: Capabilities;
  readonly isPrivileged: boolean;
  readonly selinux: SelinuxOptions | undefined;
  readonly runAsUser: number | undefined;
  readonly runAsGroup: number | undefined;
  readonly runAsUsername: string;
  readonly readonlyRootfs: boolean;
  readonly supplementalGroups: readonly number[];
  readonly supplementalGroupsPolicy: 'merge' | 'strict';
  readonly seccomp: SecurityProfile | undefined;
  readonly apparmor: SecurityProfile | undefined;
  readonly noNewPrivs: boolean;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
}

export interface ContainerConfig {
  readonly metadata: { readonly name: string; readonly attempt: number };
  readonly image: ImageSpec;
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly workingDir: string;
  readonly envs: readonly { readonly key: string; readonly value: string }[];
  readonly mounts: readonly RequestedMount[];
  readonly devices: readonly RequestedDevice[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Relative to the sandbox's log directory; '' for none. */
  readonly logPath: string;
  readonly hasStdin: boolean;
  readonly stdinOnce: boolean;
  readonly hasTty: boolean;
  readonly resources: LinuxResources | undefined;
  readonly security: ContainerSecurity;
  /** Names `vendor/class=device`. */
  readonly cdiDevices: readonly string[];
  /** A signal name such as SIGTERM or SIGRTMIN+3; '' for the image's choice. */
  readonly stopSignal: string;
}
