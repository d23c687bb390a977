/** Compose files as far as they are read here, after they were checked against `compose-shape.ts`. */

export interface ComposeSurroundings {
  /** The folder of the file: relative paths begin there. */
  readonly folder: string;
  /** Goes before the file's own name. */
  readonly projectName?: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** undefined for a file that is not there. */
  readFile(path: string): string | undefined;
}

export type Words = string | readonly string[];
export type Pairs = readonly string[] | Readonly<Record<string, unknown>>;

export interface Service {
  readonly image?: string;
  readonly command?: Words | null;
  readonly entrypoint?: Words | null;
  readonly environment?: Pairs;
  readonly env_file?: string | readonly (string | { readonly path: string; readonly required?: boolean })[];
  readonly ports?: readonly (
    | string
    | number
    | {
        readonly target: number;
        readonly published?: string | number;
        readonly host_ip?: string;
        readonly protocol?: string;
      }
  )[];
  readonly volumes?: readonly (
    | string
    | {
        readonly type: string;
        readonly source?: string;
        readonly target: string;
        readonly read_only?: boolean;
        readonly bind?: { readonly propagation?: string };
        readonly volume?: { readonly subpath?: string };
      }
  )[];
  readonly tmpfs?: Words;
  readonly depends_on?:
    | readonly string[]
    | Readonly<Record<string, { readonly condition?: string; readonly required?: boolean } | null>>;
  readonly network_mode?: string;
  readonly user?: string | number;
  readonly working_dir?: string;
  readonly hostname?: string;
  readonly container_name?: string;
  readonly extra_hosts?: Pairs;
  readonly dns?: Words;
  readonly dns_search?: Words;
  readonly cap_add?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly privileged?: boolean;
  readonly read_only?: boolean;
  readonly security_opt?: readonly string[];
  readonly group_add?: readonly (string | number)[];
  readonly sysctls?: Pairs;
  readonly pid?: string;
  readonly ipc?: string;
  readonly stdin_open?: boolean;
  readonly tty?: boolean;
  readonly stop_signal?: string;
  readonly stop_grace_period?: string;
  readonly labels?: Pairs;
  readonly annotations?: Pairs;
  readonly mem_limit?: string | number;
  readonly memswap_limit?: string | number;
  readonly cpus?: string | number;
  readonly cpu_shares?: number;
  readonly cpuset?: string;
  readonly pids_limit?: number;
  readonly init?: boolean;
  readonly shm_size?: string | number;
  readonly ulimits?: Readonly<Record<string, number | { readonly soft: number; readonly hard: number }>>;
  readonly runtime?: string;
  readonly pull_policy?: string;
  readonly profiles?: readonly string[];
  readonly deploy?: {
    readonly resources?: {
      readonly limits?: {
        readonly cpus?: string | number;
        readonly memory?: string | number;
        readonly pids?: number;
      };
    };
  };
}

export interface Project {
  readonly name?: string;
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes?: Readonly<Record<string, { readonly name?: string } | null>>;
}
