/** The pod of the demo, as a kubelet would ask for it: two containers of one image. */
import type { RequestOf } from '#conformance/cri-client.ts';

export type PodConfig = NonNullable<RequestOf<'RunPodSandbox'>['config']>;
type ContainerConfig = NonNullable<RequestOf<'CreateContainer'>['config']>;

export const webPort = 8080;
export const memoryLimitBytes = 64n << 20n;

/** Ends at once when asked to, instead of after the grace period: PID 1 ignores signals that it does not handle. */
const endOnTerm = "trap 'exit 0' TERM";

const scripts = {
  web: [
    endOnTerm,
    'mkdir -p /www',
    'echo "hello from $(hostname)" >/www/index.html',
    `echo "web: serving port ${webPort}"`,
    `httpd -f -v -p ${webPort} -h /www & wait`,
  ].join('; '),
  side: `${endOnTerm}; echo "side: nothing to do but tick"; while :; do echo tick; sleep 1 & wait $!; done`,
} as const;

export type ContainerName = keyof typeof scripts;

export interface PodPlace {
  /** Receives the log files; the kubelet's is /var/log/pods/NAMESPACE_NAME_UID. */
  readonly logDirectory: string;
  readonly cgroupParent: string;
}

export function makePodConfig(place: PodPlace): PodConfig {
  return {
    metadata: { name: 'hello', uid: crypto.randomUUID(), namespace: 'demo', attempt: 0 },
    hostname: 'hello',
    log_directory: place.logDirectory,
    labels: { app: 'berth-demo' },
    dns_config: { servers: ['192.0.2.53'], searches: ['demo.example'] },
    linux: {
      cgroup_parent: place.cgroupParent,
      // NamespaceMode: network and IPC are the pod's, processes each container's own.
      security_context: { namespace_options: { network: 0, ipc: 0, pid: 1 } },
    },
  };
}

export function makeContainerConfig(name: ContainerName, image: string): ContainerConfig {
  return {
    metadata: { name, attempt: 0 },
    image: { image },
    command: ['sh', '-c', scripts[name]],
    log_path: `${name}.log`,
    labels: { app: 'berth-demo' },
    linux: {
      resources: { memory_limit_in_bytes: memoryLimitBytes, cpu_shares: 102n },
      security_context: {
        namespace_options: { network: 0, ipc: 0, pid: 1 },
        no_new_privs: true,
        // SecurityProfile.ProfileType.RuntimeDefault
        seccomp: { profile_type: 0 },
      },
    },
  };
}
