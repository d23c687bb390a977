/**
 * Every option of berthd, once. The parser, the flags, the sample file, the documentation and the type `Config` are all
 * made from this table; to add an option, add a row and run `make generate`.
 */

import type { ValueType } from './value-type.ts';
import {
  boolean,
  fileMode,
  httpUrl,
  integer,
  ipAddress,
  list,
  listenAddress,
  oneOf,
  path,
  ratio,
  subnet,
  text,
} from './value-type.ts';

export interface Option<T> {
  readonly type: ValueType<T>;
  /** As it would stand in the file. */
  readonly default: unknown;
  /** What it does, in full sentences; lines of the sample file are made from it. */
  readonly doc: string;
  /** Whether SIGHUP applies a new value; otherwise a restart is needed. */
  readonly isReloadable: boolean;
  /** Name of the flag, if it is not `section-key`. */
  readonly flag: string | undefined;
}

function option<T>(
  type: ValueType<T>,
  defaultValue: unknown,
  doc: string,
  more: { reloadable?: boolean; flag?: string } = {},
): Option<T> {
  return { type, default: defaultValue, doc, isReloadable: more.reloadable ?? false, flag: more.flag };
}

const GiB = 1024 ** 3;

/** A node without this file has no policy. */
export const defaultSignaturePolicy = '/etc/containers/policy.json';

export const options = {
  daemon: {
    root_dir: option(
      path(),
      '/var/lib/berth',
      'Images, layers, container file systems and the state database. Must survive a reboot and stand on a file system that overlayfs accepts for its upper directory.',
      { flag: 'root-dir' },
    ),
    state_dir: option(
      path(),
      '/run/berth',
      'Sockets, bundles, pinned namespaces: everything a reboot must forget. Must stand on a tmpfs.',
      { flag: 'state-dir' },
    ),
    shutdown_grace_ms: option(
      integer(0, 600_000),
      10_000,
      'On SIGTERM, how long calls in flight may take to end. Containers are never stopped by a shutdown of the daemon.',
    ),
  },
  server: {
    socket: option(path(), '/run/berth/berth.sock', 'The unix socket of the CRI. At most 103 bytes long.', {
      flag: 'socket',
    }),
    socket_mode: option(
      fileMode,
      '0660',
      'Permissions of the socket. Whoever can connect is root on this machine.',
    ),
    socket_group: option(integer(0, 2 ** 31 - 1), 0, 'Numeric group that owns the socket.'),
  },
  log: {
    level: option(
      oneOf(['trace', 'debug', 'info', 'warn', 'error']),
      'info',
      'Least severe message that is logged. `debug` logs every call.',
      { reloadable: true },
    ),
    format: option(
      oneOf(['auto', 'json', 'pretty']),
      'auto',
      'One JSON object per line, or coloured text for people. `auto` is `pretty` on a terminal and `json` elsewhere.',
    ),
  },
  metrics: {
    address: option(
      listenAddress,
      '127.0.0.1:9095',
      'Where /metrics (Prometheus), /healthz and a read-only status page are served over HTTP. Whoever can connect sees names of pods and images. Empty: nowhere.',
    ),
  },
  tracing: {
    endpoint: option(
      httpUrl,
      '',
      'Where spans of calls, steps, CNI plugins and the OCI runtime are sent: an OpenTelemetry collector that takes OTLP over HTTP, such as `http://127.0.0.1:4318`. Without a path, `/v1/traces` is added. Empty: nothing is traced, at no cost.',
    ),
    sampling_ratio: option(
      ratio,
      0.01,
      'The share of calls that is traced when the caller does not say. A kubelet with tracing says it for each call, and is followed.',
    ),
  },
  runtime: {
    default_handler: option(
      text,
      'crun',
      'The handler of pods that name no RuntimeClass. Must be one of [handlers].',
    ),
    cgroup_driver: option(
      oneOf(['auto', 'cgroupfs', 'systemd']),
      'auto',
      'Who makes cgroups. `auto` is `systemd` where systemd is PID 1, else `cgroupfs`. The kubelet asks for this value and follows it.',
    ),
    conmon_path: option(path({ optional: true }), '', 'The conmon program. Empty: found in PATH.'),
    init_path: option(
      path({ optional: true }),
      '',
      'The init of pods that share a PID namespace (catatonit, statically linked). Empty: found in PATH.',
    ),
    pids_limit: option(
      integer(0, 4_194_304),
      0,
      'Greatest number of processes and threads of one container. 0: no limit but that of the pod.',
    ),
    exec_drain_ms: option(
      integer(0, 600_000),
      2000,
      'After a command of ExecSync has ended, how long to wait for output that its descendants hold open.',
    ),
    apparmor_profile: option(
      text,
      'berth-default',
      'The AppArmor profile that "runtime default" stands for, where the kernel has AppArmor on. `berth-default` is loaded at the start, by apparmor_parser; another one is yours to load. Empty: none is applied.',
    ),
    seccomp_profile: option(
      path({ optional: true }),
      '',
      'A JSON seccomp profile that "runtime default" stands for. Empty: the built-in one.',
    ),
    cdi_spec_dirs: option(
      list(path()),
      ['/etc/cdi', '/var/run/cdi'],
      'Folders of CDI specifications (.json, .yaml); where two define a device, the later folder wins. Read when a container asks for a device.',
    ),
    hooks_dirs: option(
      list(path()),
      ['/usr/share/containers/oci/hooks.d', '/etc/containers/oci/hooks.d'],
      'Folders of OCI hooks (.json, schema 1.0.0): programs that run as root at the start or end of the containers they match. A file hides those of its name in earlier folders. Empty list: none.',
    ),
  },
  checkpoint: {
    criu_path: option(
      path({ optional: true }),
      '',
      'The criu program, which checkpoints and restores containers. Empty: found in PATH when it is first needed.',
    ),
    restore_images: option(
      boolean,
      false,
      'Whether a container may be restored from an image that holds a checkpoint. Whoever makes such an image chooses the privileges of the restored process, whatever the pod may have.',
    ),
  },
  network: {
    cni_config_dir: option(
      path(),
      '/etc/cni/net.d',
      'Folder of CNI configurations; the first valid one by name is used. It is watched.',
    ),
    cni_plugin_dirs: option(
      list(path()),
      ['/opt/cni/bin', '/usr/lib/cni', '/usr/libexec/cni'],
      'Folders searched for CNI plugins, in order.',
    ),
    cni_cache_dir: option(
      path(),
      '/var/lib/cni',
      'Where results of CNI plugins are kept for their DEL, in the layout of libcni.',
    ),
    expedite_detach: option(
      boolean,
      true,
      'Whether the kernel may end RCU grace periods at once (/sys/kernel/rcu_expedited) while CNI plugins detach a pod, which takes half as long then (docs/performance.md). Never done on real-time kernels, or where rcu_expedited or rcu_normal is set.',
    ),
    builtin_plugins: option(
      boolean,
      false,
      'Whether berthd itself does what the CNI plugins bridge, host-local and portmap would do, for configurations of nothing else that it knows wholly; the programs of the node then do not run. For others they run, and Status says why.',
    ),
    default_network: option(
      boolean,
      true,
      'Whether to bring a network of our own (bridge berth0) while there is no CNI configuration.',
    ),
    default_subnet_v4: option(
      subnet(4),
      'auto',
      'IPv4 addresses of the default network. `auto`: the first /16 from 10.88.0.0 on that no route of the node touches.',
    ),
    default_subnet_v6: option(
      subnet(6),
      'auto',
      'IPv6 addresses of the default network. `auto`: a unique local prefix that follows from the machine id. Empty: IPv4 only.',
    ),
    ip_preference: option(
      oneOf(['ipv4', 'ipv6', 'cni']),
      'ipv4',
      'Which address of a pod is its primary one: the first of a family, or the first of the CNI result.',
    ),
    netns_dir: option(
      path(),
      '/run/netns',
      'Where network namespaces are pinned; `ip netns` shows those of /run/netns.',
    ),
  },
  images: {
    registry_config_dirs: option(
      list(path()),
      ['/etc/berth/certs.d', '/etc/containerd/certs.d'],
      'Roots of per-registry settings: HOST/hosts.toml with mirrors, CAs and client certificates. Read at every pull.',
    ),
    registries_conf: option(
      path({ optional: true }),
      '/etc/containers/registries.conf',
      "The containers projects' registry settings: mirrors, blocked and insecure registries, short names. It may be missing; `*.conf` in the directory of the same name with `.d` are read too. Read at every pull; see docs/registries.md for what wins. Empty: none.",
    ),
    auth_files: option(
      list(path()),
      ['/etc/berth/auth.json', '/run/containers/0/auth.json', '/root/.docker/config.json'],
      "Credentials and credential helpers for registries, in the format of Docker's config.json; the first file that knows a registry wins. They may be missing. Read at every pull. What the kubelet sends with a pull comes first.",
    ),
    signature_policy: option(
      path({ optional: true }),
      defaultSignaturePolicy,
      'Which images are trusted (containers-policy.json(5)): everything, nothing, or what sigstore keys signed. This file may be missing, another one that is named may not. Read at every pull. Empty: no policy.',
    ),
    max_parallel_downloads: option(
      integer(1, 64),
      4,
      'Layers of one image that are downloaded and unpacked at a time.',
    ),
    pull_min_bytes_per_second: option(
      integer(0, GiB),
      1024,
      'A download slower than this over the whole of `pull_window_ms` is given up. 0: only one that stands still is.',
    ),
    pull_window_ms: option(
      integer(1000, 3_600_000),
      60_000,
      'See `pull_min_bytes_per_second`; also how long a download may stand still.',
    ),
    max_layer_bytes: option(integer(1, 1024 * GiB), 64 * GiB, 'A layer that unpacks to more is refused.'),
    max_layer_entries: option(integer(1, 100_000_000), 5_000_000, 'A layer with more files is refused.'),
    pinned: option(list(text), [], 'Image references that the kubelet must not garbage-collect.', {
      reloadable: true,
    }),
    snapshotter: option(
      oneOf(['auto', 'overlay', 'native']),
      'auto',
      'How layers become a root file system. `native` copies; `auto` is `overlay` where the kernel has it.',
    ),
  },
  nri: {
    enable: option(
      boolean,
      true,
      'Whether plugins of the node resource interface may watch and change pods and containers. Without plugins it costs nothing but a socket.',
    ),
    socket_path: option(
      path({ optional: true }),
      '/var/run/nri/nri.sock',
      'Where plugins connect. Empty: only those of `plugin_dir` take part. Whoever can connect is root on this machine.',
    ),
    plugin_dir: option(
      path(),
      '/opt/nri/plugins',
      'Folder of plugins (programs named like 10-name) that are started with the daemon and take part before it serves.',
    ),
    config_dir: option(
      path(),
      '/etc/nri/conf.d',
      'Folder of their configurations: 10-name.conf, else name.conf.',
    ),
    registration_timeout_ms: option(
      integer(100, 600_000),
      5000,
      'How long a plugin may take from its connection, or its start, to its registration.',
    ),
    request_timeout_ms: option(
      integer(100, 600_000),
      2000,
      'How long a plugin may take to answer. One that takes longer is disconnected, and the request goes on without it.',
    ),
  },
  streaming: {
    address: option(
      ipAddress,
      '127.0.0.1',
      'Where the HTTP server of exec, attach and port-forward listens. The kubelet and crictl connect to it from this machine.',
    ),
    port: option(integer(0, 65_535), 0, 'Its port. 0: chosen by the kernel.'),
    tls_cert: option(
      path({ optional: true }),
      '',
      'Certificate chain (PEM) to serve HTTPS with. Read again on a reload, for new connections; only switching TLS on or off needs a restart.',
      { reloadable: true },
    ),
    tls_key: option(path({ optional: true }), '', 'Key (PEM) of `tls_cert`.', { reloadable: true }),
    tls_client_ca: option(
      path({ optional: true }),
      '',
      'Authorities (PEM): only clients with a certificate of one of them are served, over HTTPS. Empty: the URL alone admits. Read again on a reload, as `tls_cert`.',
      { reloadable: true },
    ),
    idle_timeout_ms: option(
      integer(1000, 86_400_000),
      14_400_000,
      'A session without a byte in either direction for this long is closed.',
    ),
  },
} as const satisfies Record<string, Record<string, Option<unknown>>>;

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;
type Value<O> = O extends Option<infer T> ? T : never;

/** What `[handlers.NAME]` holds. */
export interface HandlerConfig {
  readonly path: string;
  readonly type: 'crun' | 'runc';
}

export const handlerOptions = {
  path: option(path({ optional: true }), '', 'The program. Empty: found in PATH by the name of its type.'),
  type: option(oneOf(['crun', 'runc']), 'crun', 'Whose command line and messages it has.'),
} as const;

/** The handlers there are before any file is read; a file changes or adds to them by name. */
export const defaultHandlers: Readonly<Record<string, HandlerConfig>> = {
  crun: { path: '', type: 'crun' },
  runc: { path: '', type: 'runc' },
};

/** The effective configuration: `config.images.maxParallelDownloads`. */
export type Config = {
  readonly [Section in keyof typeof options]: {
    readonly [Key in keyof (typeof options)[Section] & string as CamelCase<Key>]: Value<
      (typeof options)[Section][Key]
    >;
  };
} & { readonly handlers: Readonly<Record<string, HandlerConfig>> };

export interface OptionRow {
  readonly section: string;
  readonly key: string;
  /** `images.pinned` */
  readonly name: string;
  readonly flag: string;
  readonly option: Option<unknown>;
}

/** The table in rows, in order. */
export function optionRows(): OptionRow[] {
  return Object.entries(options).flatMap(([section, keys]) =>
    Object.entries(keys as Record<string, Option<unknown>>).map(([key, row]) => ({
      section,
      key,
      name: `${section}.${key}`,
      flag: row.flag ?? `${section}-${key}`.replaceAll('_', '-'),
      option: row,
    })),
  );
}

/** `max_layer_bytes` as a property name. */
export function camelCase(key: string): string {
  return key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
