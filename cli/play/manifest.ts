/** Manifests as far as they are read here, after they were checked against `kubernetes-shape.ts`. */

export interface KeyRef {
  readonly name: string;
  readonly key: string;
  readonly optional?: boolean;
}

export interface FieldRef {
  readonly fieldPath: string;
}

export interface ResourceFieldRef {
  readonly containerName?: string;
  readonly resource: string;
  readonly divisor?: string | number;
}

export interface EnvironmentSource {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: FieldRef;
    readonly resourceFieldRef?: ResourceFieldRef;
    readonly configMapKeyRef?: KeyRef;
    readonly secretKeyRef?: KeyRef;
  };
}

export interface Profile {
  readonly type: 'RuntimeDefault' | 'Unconfined' | 'Localhost';
  readonly localhostProfile?: string;
}

type Quantities = Readonly<Record<string, string | number>>;
type SelinuxOptions = Readonly<Record<'user' | 'role' | 'type' | 'level', string>>;

interface SharedSecurity {
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly runAsNonRoot?: boolean;
  readonly seccompProfile?: Profile;
  readonly appArmorProfile?: Profile;
  readonly seLinuxOptions?: Partial<SelinuxOptions>;
}

export interface ContainerSecurity extends SharedSecurity {
  readonly readOnlyRootFilesystem?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly privileged?: boolean;
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  readonly procMount?: 'Default' | 'Unmasked';
}

export interface PodSecurity extends SharedSecurity {
  readonly fsGroup?: number;
  readonly supplementalGroups?: readonly number[];
  readonly supplementalGroupsPolicy?: 'Merge' | 'Strict';
  readonly sysctls?: readonly { readonly name: string; readonly value: string }[];
}

export type PullPolicy = 'Always' | 'IfNotPresent' | 'Never';

export interface ManifestContainer {
  readonly name: string;
  readonly image: string;
  readonly imagePullPolicy?: PullPolicy;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly workingDir?: string;
  readonly env?: readonly EnvironmentSource[];
  readonly envFrom?: readonly {
    readonly prefix?: string;
    readonly configMapRef?: { readonly name: string; readonly optional?: boolean };
    readonly secretRef?: { readonly name: string; readonly optional?: boolean };
  }[];
  readonly ports?: readonly {
    readonly containerPort: number;
    readonly hostPort?: number;
    readonly hostIP?: string;
    readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
  }[];
  readonly resources?: { readonly limits?: Quantities; readonly requests?: Quantities };
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
    readonly recursiveReadOnly?: 'Disabled' | 'IfPossible' | 'Enabled';
    readonly subPath?: string;
    readonly subPathExpr?: string;
    readonly mountPropagation?: 'None' | 'HostToContainer' | 'Bidirectional';
  }[];
  readonly securityContext?: ContainerSecurity;
  readonly stdin?: boolean;
  readonly stdinOnce?: boolean;
  readonly tty?: boolean;
  readonly restartPolicy?: string;
}

export interface Item {
  readonly key: string;
  readonly path: string;
  readonly mode?: number;
}

export interface DownwardItem {
  readonly path: string;
  readonly fieldRef?: FieldRef;
  readonly resourceFieldRef?: ResourceFieldRef;
  readonly mode?: number;
}

export interface KeysSource {
  readonly name?: string;
  readonly secretName?: string;
  readonly items?: readonly Item[];
  readonly optional?: boolean;
  readonly defaultMode?: number;
}

export interface ManifestVolume {
  readonly name: string;
  readonly emptyDir?: { readonly medium?: string; readonly sizeLimit?: string | number };
  readonly hostPath?: { readonly path: string; readonly type?: string };
  readonly configMap?: KeysSource;
  readonly secret?: KeysSource;
  readonly downwardAPI?: { readonly items?: readonly DownwardItem[]; readonly defaultMode?: number };
  readonly projected?: {
    readonly sources?: readonly {
      readonly configMap?: KeysSource;
      readonly secret?: KeysSource;
      readonly downwardAPI?: { readonly items?: readonly DownwardItem[] };
    }[];
    readonly defaultMode?: number;
  };
  readonly image?: { readonly reference: string; readonly pullPolicy?: PullPolicy };
  readonly persistentVolumeClaim?: { readonly claimName: string; readonly readOnly?: boolean };
}

export interface PodSpec {
  readonly containers: readonly ManifestContainer[];
  readonly initContainers?: readonly ManifestContainer[];
  readonly volumes?: readonly ManifestVolume[];
  readonly terminationGracePeriodSeconds?: number;
  readonly dnsPolicy?: 'ClusterFirst' | 'ClusterFirstWithHostNet' | 'Default' | 'None';
  readonly dnsConfig?: {
    readonly nameservers?: readonly string[];
    readonly searches?: readonly string[];
    readonly options?: readonly { readonly name?: string; readonly value?: string }[];
  };
  readonly hostname?: string;
  readonly hostnameOverride?: string;
  readonly subdomain?: string;
  readonly setHostnameAsFQDN?: boolean;
  readonly hostAliases?: readonly { readonly ip: string; readonly hostnames?: readonly string[] }[];
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly hostUsers?: boolean;
  readonly shareProcessNamespace?: boolean;
  readonly runtimeClassName?: string;
  readonly securityContext?: PodSecurity;
}

export interface Metadata {
  readonly name?: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
}
